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
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hf_cushing.faces.landmarks import dlib_model
from hf_cushing.files import sha256_file
from hf_cushing.models.backbones import FACE_RESNET
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FILE = "dlib_face_recognition_resnet_model_v1.dat"
SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

STEM, STAGES = 32, ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Channels and blocks of dlib's network; all stages but the first halve the side."""

STATISTICS_FACES = 8
"""Drawn faces from which the batch norms get their statistics."""


class Convolution(NamedTuple):
    """A convolution with what follows: ``gain * (weight ∗ x + bias) + shift`` by channel."""

    weight: Tensor
    bias: Tensor
    gain: Tensor
    shift: Tensor

    def __call__(self, x: Tensor, *, stride: int, padding: int) -> Tensor:
        y = F.conv2d(x, self.weight, self.bias, stride, padding)
        return y * self.gain[:, None, None] + self.shift[:, None, None]


class Block(NamedTuple):
    """Two convolutions beside a shortcut; `halves` the side or not."""

    first: Convolution
    second: Convolution
    halves: bool


class DlibNetwork(NamedTuple):
    """The network as dlib has it.

    Attributes
    ----------
    stem : Convolution
    blocks : tuple of Block
    projection : torch.Tensor
        Shape (256, 128): from the pooled features to the descriptor.
    """

    stem: Convolution
    blocks: tuple[Block, ...]
    projection: Tensor

    def descriptors(self, pixels: Tensor) -> Tensor:
        """dlib's own forward pass.

        Parameters
        ----------
        pixels : torch.Tensor
            float32, shape (n, 3, 150, 150): dlib's chips, as `normalised` gives them.

        Returns
        -------
        torch.Tensor
            Shape (n, 128): equal to dlib's descriptors up to rounding.
        """
        return self.features(pixels).mean((2, 3)) @ self.projection

    def features(self, pixels: Tensor) -> Tensor:
        """The last block's maps: shape (n, channels, h, w)."""
        x = F.max_pool2d(F.relu(self.stem(pixels, stride=2, padding=0)), 3, 2)
        for first, second, halves in self.blocks:
            stride, padding = (2, 0) if halves else (1, 1)
            y = F.relu(first(x, stride=stride, padding=padding))
            y = second(y, stride=1, padding=1)
            x = F.relu(_added(y, F.avg_pool2d(x, 2, 2) if halves else x))
        return x


def _added(y: Tensor, x: Tensor) -> Tensor:
    """Sum of two maps; the smaller one of each dimension is filled up with zeros, as in dlib."""
    c, h, w = (max(a, b) for a, b in zip(y.shape[1:], x.shape[1:], strict=True))

    def filled(t: Tensor) -> Tensor:
        return F.pad(t, (0, w - t.shape[3], 0, h - t.shape[2], 0, c - t.shape[1]))

    return filled(y) + filled(x)


@cache
def dlib_network() -> DlibNetwork:
    """Read the weights from the installed file.

    Raises
    ------
    UserError
        No file, or another than the one that is known.
    """
    path = dlib_model(FILE)
    if not path.is_file() or sha256_file(path) != SHA256:
        raise UserError(
            f"{path.name} is missing or has another content than expected; "
            "run `pip install --force-reinstall face-recognition-models`"
        )
    tensors = _tensors(path.read_bytes())

    def convolution(channels_in: int, channels: int, side: int) -> Convolution:
        weights, affine = next(tensors), next(tensors)
        kernel = weights[:-channels].reshape(channels, channels_in, side, side)
        return Convolution(kernel, weights[-channels:], affine[:channels], affine[channels:])

    stem = convolution(3, STEM, 7)
    blocks, channels_in = [], STEM
    for stage, (channels, count) in enumerate(STAGES):
        for number in range(count):
            first = convolution(channels_in, channels, 3)
            second = convolution(channels, channels, 3)
            blocks.append(Block(first, second, halves=stage > 0 and number == 0))
            channels_in = channels
    return DlibNetwork(stem, tuple(blocks), next(tensors).reshape(256, 128))


def _tensors(data: bytes) -> Iterator[Tensor]:
    """The tensors of a dlib file in their order, flat.

    Each is its version (the packed integer 2), four packed sizes, and little-endian floats; a
    packed integer is the number of its bytes and the bytes. Between them lie the layers' settings,
    which are passed over: what only looks like a tensor has sizes or values that none has.
    """
    place = 0
    while place < len(data) - 12:
        sizes, start = _sizes(data, place)
        count = math.prod(sizes)
        if len(sizes) == 4 and 4 < count < 10**7 and start + 4 * count <= len(data):
            values = np.frombuffer(data, "<f4", count, start)
            if np.isfinite(values).all() and 1e-6 < np.abs(values).max() < 1e3:
                yield torch.from_numpy(values.copy())
                place = start + 4 * count
                continue
        place += 1


def _sizes(data: bytes, place: int) -> tuple[list[int], int]:
    """The sizes of a tensor that starts at `place`, and where its floats begin."""
    sizes: list[int] = []
    if data[place : place + 2] != b"\x01\x02":
        return sizes, place
    place += 2
    while len(sizes) < 4 and 0 < data[place] <= 8:
        end = place + 1 + data[place]
        sizes.append(int.from_bytes(data[place + 1 : end], "little"))
        place = end
    return sizes, place


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


def normalised(chips: np.ndarray) -> Tensor:
    """Network input, float32, (n, 3, side, side), of RGB chips: uint8, (n, side, side, 3)."""
    mean, std = torch.tensor(FACE_RESNET.mean), torch.tensor(FACE_RESNET.std)
    return ((torch.from_numpy(chips) / 255 - mean) / std).permute(0, 3, 1, 2)
