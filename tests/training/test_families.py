"""Every family × every way to learn, as far as the plain pipeline: one or two updates each.

Two ways a family are tried each time; `tests/models/test_adapt.py` has all ways for all families.
"""

from itertools import product

import pytest
from transformers import pipeline as plain_pipeline

from hf_cushing.data.loading import load_faces
from hf_cushing.run import Run
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from tests.conftest import train_options

METHODS = ("head", "last_n", "lora", "full")
QUICK = {
    "tiny-clip": ("lora", "last_n"),
    "tiny-siglip": ("head", "full"),
    "tiny-dinov3": ("lora", "full"),
    "tiny-convnextv2": ("head", "last_n"),
    "face-resnet": ("head",),
}
NEW = ("tiny-clip", "tiny-siglip", "tiny-dinov3", "tiny-convnextv2")
OLDER = ("tiny-vit", "tiny-swin", "tiny-dinov2", "tiny-resnet", "tiny-densenet")


CASES = [
    pytest.param(name, method, marks=[pytest.mark.slow] * (method not in QUICK.get(name, ())))
    for name, method in (
        *product((*NEW, *OLDER, "face-resnet"), METHODS),
        ("face-resnet", "lp-ft"),
    )
]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_a_run_answers_in_the_plain_pipeline(dataset, tmp_path, name, method):
    out = tmp_path / "run"
    more = [] if method == "head" else ["--epochs", "1", "--batch_size", "64", "--augment", "none"]
    if name == "face-resnet":
        more += ["--init", "pretrained"]
    fine_tune(parse(train_options(dataset, out, "--finetune", method, *more, model=name)))
    recorded, photo = Run(str(out)).recorded_predictions, load_faces(str(dataset)).roles["test"][0]
    # a level of a colour apart: the pipeline may resize by torchvision
    (expected,) = recorded.probabilities[recorded.photo_id == photo["photo_id"]]
    answer = plain_pipeline("image-classification", model=str(out))(photo["image"])
    found = {entry["label"]: entry["score"] for entry in answer}
    assert [found["control"], found["cushing"]] == pytest.approx(expected.tolist(), abs=2e-3)
