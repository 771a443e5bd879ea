"""dlib's face-recognition network as a native transformers ResNet: pretrained without a network.

The weights come with `face_recognition_models`, which every installation has: 29 convolutions,
trained by Davis King on about 3 million photographs of 7,485 persons and released into the public
domain (davisking/dlib-models on GitHub). Two facts let them fit into a ResNet of transformers:

- dlib's strided layers have no padding, those of transformers have half a kernel. dlib's feature
  positions (3, 5, 9, 17, 33 and 65 input pixels apart) are all 1 modulo their stride, and so are
  those of the padded network after a shift of one pixel: inside the picture both compute the same
  values, and only the border differs.
- Where dlib's network halves its side, the shortcut is a 2 × 2 mean with channels of zeros added.
  That window lies inside the 3 × 3 window of the block's first convolution, so further channels
  carry the mean through the ReLU (it is never negative), and the second convolution adds it by its
  middle tap. The block's own shortcut is zero.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from hf_cushing.data.descriptors import Block, Convolution, dlib_network, normalised

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STATISTICS_FACES = 8
"""Drawn faces from which the batch norms get their statistics."""


def load_face_resnet(model: PreTrainedModel) -> None:
    """Put the weights into a `ResNetForImageClassification` of these settings; not its head.

    In evaluation mode the network computes what dlib's does, up to the border. The batch norms'
    statistics are those of a few drawn faces, with gain and shift set so that the output stays.
    """
    network, resnet = dlib_network(), model.resnet
    training = model.training
    model.eval()
    with torch.no_grad():
        for parameter in resnet.parameters():
            parameter.zero_()
        _put(resnet.embedder.embedder, network.stem)
        layers = [layer for stage in resnet.encoder.stages for layer in stage.layers]
        for layer, block in zip(layers, network.blocks, strict=True):
            first, second = layer.layer[0], layer.layer[1]
            _put(first, block.first)
            _put(second, block.second)
            if block.halves:
                _carry_shortcut(first, second, block)
        set_statistics(resnet, _drawn_faces())
    model.train(training)


def _put(layer: nn.Module, source: Convolution) -> None:
    """Write a convolution into the first channels of a layer that starts as zeros."""
    count, channels_in = source.weight.shape[:2]
    norm = layer.normalization
    layer.convolution.weight[:count, :channels_in] = source.weight
    norm.weight[:count] = source.gain * math.sqrt(1 + norm.eps)  # fresh statistics are 0 and 1
    norm.bias[:count] = source.bias * source.gain + source.shift


def _carry_shortcut(first: nn.Module, second: nn.Module, block: Block) -> None:
    """Carry the 2 × 2 mean of the input through further channels of the two convolutions."""
    channels, channels_in = block.first.weight.shape[:2]
    for channel in range(channels_in):
        first.convolution.weight[channels + channel, channel, :2, :2] = 0.25
        first.normalization.weight[channels + channel] = math.sqrt(1 + first.normalization.eps)
        second.convolution.weight[channel, channels + channel, 1, 1] = (
            1 / block.second.gain[channel]
        )


def set_statistics(resnet: nn.Module, pixels: Tensor) -> None:
    """Give each batch norm the statistics of its input, and keep what it computes.

    Parameters
    ----------
    resnet : torch.nn.Module
        In evaluation mode.
    pixels : torch.Tensor
        float32, shape (n, 3, side, side), normalised.
    """
    hooks = [
        module.register_forward_pre_hook(_adopt_statistics)
        for module in resnet.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    with torch.no_grad():
        resnet(pixels)
    for hook in hooks:
        hook.remove()


def _adopt_statistics(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
    values = inputs[0].double()
    mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3), correction=0)
    before = (norm.running_var.double() + norm.eps).sqrt()
    after = (variance + norm.eps).sqrt()
    gain = norm.weight.double() / before
    norm.bias.copy_(norm.bias.double() + gain * (mean - norm.running_mean.double()))
    norm.weight.copy_(gain * after)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)


def _drawn_faces() -> Tensor:
    """Drawn faces as network input: float32, shape (`STATISTICS_FACES`, 3, 150, 150)."""
    from PIL import Image

    from hf_cushing.data.drawing import Signs, draw
    from hf_cushing.data.synthetic import CAMERAS, invent_person, take_shot

    rng = np.random.default_rng(0)
    faces = []
    for number in range(STATISTICS_FACES):
        person = invent_person(rng, ("female", "male")[number % 2], int(rng.integers(20, 70)))
        photo, _ = draw(person, take_shot(rng, min(CAMERAS)), Signs())
        faces.append(np.asarray(Image.fromarray(photo).resize((150, 150))))
    return normalised(np.stack(faces))
