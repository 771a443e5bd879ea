"""dlib's face-recognition network in torch, and the vectors by which persons are told apart.

The same weights give the same descriptors as dlib itself, up to rounding, in a seventh of the time.
Descriptors are biometric data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hf_cushing.faces.identity import CHIP_MEAN, CHIP_STD, DESCRIPTOR_SIZE
from hf_cushing.faces.landmarks import dlib_model
from hf_cushing.files import sha256_file
from hf_cushing.schema import UserError

FILE = "dlib_face_recognition_resnet_model_v1.dat"
SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

STEM, STAGES = 32, ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Channels and blocks of dlib's network; all stages but the first halve the side."""

BATCH = 16
"""Faces that go through the network at once."""


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


def normalised(chips: np.ndarray) -> Tensor:
    """Network input, float32, (n, 3, side, side), of RGB chips: uint8, (n, side, side, 3)."""
    mean, std = torch.tensor([value / 255 for value in CHIP_MEAN]), CHIP_STD / 255
    return ((torch.from_numpy(chips) / 255 - mean) / std).permute(0, 3, 1, 2)


def describe_faces(chips: Sequence[np.ndarray]) -> np.ndarray:
    """dlib's descriptors of chips (`face_chip`): float32, shape (n, 128).

    Euclidean distances between different persons lie around 0.8, of one person around 0.4.
    """
    rows = [np.empty((0, DESCRIPTOR_SIZE), np.float32)]
    for start in range(0, len(chips), BATCH):
        with torch.inference_mode():
            pixels = normalised(np.stack(chips[start : start + BATCH]))
            rows.append(dlib_network().descriptors(pixels).numpy())
    return np.concatenate(rows)


def identity_vectors(chips: Sequence[np.ndarray]) -> np.ndarray:
    """Descriptors averaged over a chip and its mirror image, of length 1: float32, (n, 128).

    On LFW, half of the persons (`benchmarks/identity.py`), dlib's bare descriptors found fewer
    of the planted second ids at the same number of false pairs than these.
    """
    vectors = describe_faces(chips) + describe_faces([chip[:, ::-1] for chip in chips])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
