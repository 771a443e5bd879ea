"""dlib's face network in torch: the exact forward pass, and the native ResNet that carries it."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageClassification

from hf_cushing.data import descriptors
from hf_cushing.data.descriptors import FILE, STAGES, dlib_network, normalised
from hf_cushing.faces.align import align_face
from hf_cushing.faces.photo import open_photo
from hf_cushing.models import face_resnet
from hf_cushing.models.backbones import FACE_RESNET
from hf_cushing.models.face_resnet import (
    load_face_resnet,
    set_statistics,
)
from hf_cushing.schema import UserError
from tests.conftest import shared


def chip_of(photo):
    """dlib's own chip of a photo: RGB, 150 × 150."""
    import dlib

    face = align_face(photo)
    points = dlib.points([dlib.point(int(x), int(y)) for x, y in np.rint(face.landmarks)])
    low, high = face.landmarks.min(0).astype(int), face.landmarks.max(0).astype(int)
    box = dlib.rectangle(*low.tolist(), *high.tolist())
    detection = dlib.full_object_detection(box, points)
    return dlib.get_face_chip(np.asarray(face.image), detection, 150, 0.25)


def check_against_dlib(photos):
    import dlib

    from hf_cushing.faces.landmarks import dlib_model

    chips = [chip_of(photo) for photo in photos]
    original = dlib.face_recognition_model_v1(str(dlib_model(FILE)))
    expected = np.array([original.compute_face_descriptor(chip) for chip in chips])
    with torch.no_grad():
        found = dlib_network().descriptors(normalised(np.stack(chips))).numpy()
    assert np.abs(found - expected).max() <= 1e-5


def test_exact_pass_equals_dlibs_descriptor_of_drawn_faces(faces):
    check_against_dlib([open_photo(face) for face in faces])


def test_exact_pass_equals_dlibs_descriptor_of_twenty_photographs():
    files = sorted((shared("data/lfw_moonface") / "images").iterdir())[:20]
    check_against_dlib([open_photo(file) for file in files])


@pytest.fixture(scope="module")
def native():
    model = AutoModelForImageClassification.from_config(FACE_RESNET.config())
    load_face_resnet(model.eval())
    return model


def pooled(model, pixels):
    with torch.no_grad():
        return model.resnet(pixels).pooler_output.flatten(1)


def test_native_network_computes_what_dlibs_does_away_from_the_border(native):
    """A shift of one pixel, and one position of the map: see the module's text."""
    pixels = torch.randn(1, 3, 641, 641, generator=torch.Generator().manual_seed(0)) * 0.2
    network = dlib_network()
    count = sum(blocks for _, blocks in STAGES[:3])  # up to a stride of 16
    with torch.no_grad():
        expected = network._replace(blocks=network.blocks[:count]).features(pixels)
        found = native.resnet(pixels[:, :, 1:, 1:], output_hidden_states=True).hidden_states[3]
    side = expected.shape[-1]
    inner = slice(12, side - 12)
    same = found[:, : expected.shape[1], 1 : side + 1, 1 : side + 1]
    assert len(range(*inner.indices(side))) > 10
    assert torch.allclose(same[..., inner, inner], expected[..., inner, inner], atol=1e-4)
    assert expected.abs().max() > 0.1


def test_statistics_leave_the_output_as_it_was(native, monkeypatch):
    bare = AutoModelForImageClassification.from_config(FACE_RESNET.config())
    with monkeypatch.context() as patched:
        patched.setattr(face_resnet, "set_statistics", lambda *_: None)
        load_face_resnet(bare.eval())
    pixels = torch.randn(4, 3, 134, 134, generator=torch.Generator().manual_seed(0)) * 0.2
    before = pooled(bare, pixels)
    assert (pooled(native, pixels) - before).abs().max() <= 1e-5
    set_statistics(bare.resnet, pixels)
    assert (pooled(bare, pixels) - before).abs().max() <= 1e-5


def test_batch_norms_in_training_mode_work_on_faces_as_in_evaluation(native):
    """Statistics are those of faces: batch statistics of drawn faces give nearly the same."""
    pixels = face_resnet._drawn_faces()
    still = pooled(native, pixels)
    native.train()
    try:
        moving = pooled(native, pixels)
    finally:
        native.eval()
        load_face_resnet(native)  # training mode has moved the statistics
    assert torch.allclose(still, moving, atol=1e-3)


def test_shortcut_channels_carry_nothing_into_the_output(native):
    pixels = torch.randn(2, 3, 134, 134, generator=torch.Generator().manual_seed(1)) * 0.2
    assert pooled(native, pixels)[:, 256:].abs().max() == 0


def test_another_file_is_refused_with_the_remedy(monkeypatch, tmp_path):
    (tmp_path / "network.dat").write_bytes(b"another")
    monkeypatch.setattr(descriptors, "dlib_model", lambda name: tmp_path / "network.dat")
    dlib_network.cache_clear()
    try:
        with pytest.raises(UserError, match="pip install --force-reinstall"):
            dlib_network()
    finally:
        dlib_network.cache_clear()
