"""Files of a model that ask for code: refused by name, whatever is answered on standard input."""

import io
import json
import shutil

import pytest

from hf_cushing.models.build import build_classifier, load_classifier
from hf_cushing.models.foreign_code import ALIGNMENT
from hf_cushing.publish.clean_process import clean_scores
from hf_cushing.schema import UserError

LABELS = ["control", "cushing"]
CODE = """
import pathlib
pathlib.Path(r"{mark}").write_text("the code ran")
from transformers import BitImageProcessorPil as Processor, ResNetConfig as Config
from transformers import ResNetForImageClassification as Model
"""
HOSTILE = [
    ("config.json", {"auto_map": {"AutoConfig": "code.Config"}, "model_type": "own"}, "auto_map"),
    ("config.json", {"auto_map": {"AutoModelForImageClassification": "code.Model"}}, "auto_map"),
    ("config.json", {"text_config": {"auto_map": {"AutoConfig": "code.Config"}}}, "auto_map"),
    ("config.json", {"custom_pipelines": {"image-classification": {"impl": "code.P"}}},
     "custom_pipelines"),
    ("config.json", {"_attn_implementation": "owner/kernel"}, "_attn_implementation owner/kernel"),
    ("config.json", {"attn_implementation": {"": "owner/kernel"}}, "attn_implementation owner/k"),
    ("preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "code.Processor"}},
     "auto_map"),
    ("preprocessor_config.json", {"auto_map": {**ALIGNMENT, "AutoVideoProcessor": "code.P"}},
     "auto_map"),
]  # fmt: skip


@pytest.fixture
def hostile(run, tmp_path, monkeypatch):
    """Spoil a file of a run; whoever asks on standard input is told "y"."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 20))

    def spoil(file, change):
        folder = tmp_path / "run"
        shutil.copytree(run, folder)
        (folder / "code.py").write_text(CODE.format(mark=tmp_path / "ran"))
        content = json.loads((folder / file).read_text())
        if "AutoImageProcessor" in change.get("auto_map", {}):
            del content["image_processor_type"]  # else transformers takes its own class
        (folder / file).write_text(json.dumps(content | change))
        return str(folder)

    return spoil


@pytest.mark.parametrize(("file", "change", "setting"), HOSTILE)
def test_code_of_a_run_or_checkpoint_is_refused_by_name_and_never_asked_about(
    hostile, tmp_path, file, change, setting
):
    folder = hostile(file, change)
    for load in (load_classifier, lambda name: build_classifier(name, LABELS)):
        with pytest.raises(UserError, match=f"{file} asks for code of its own .{setting}"):
            load(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_clean_process_of_the_gate_runs_no_code_of_the_model(hostile, tmp_path):
    folder = hostile(*HOSTILE[0][:2])
    with pytest.raises(UserError, match="trust_remote_code"):
        clean_scores(folder, [], backends=["default"], work=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_our_own_alignment_is_let_pass_and_not_used(hostile):
    folder = hostile("preprocessor_config.json", {})
    path = f"{folder}/preprocessor_config.json"
    with open(path) as file:
        content = json.load(file)
    with open(path, "w") as file:
        json.dump(content | {"auto_map": ALIGNMENT}, file)
    assert type(load_classifier(folder).processor).__name__ == "BitImageProcessorPil"
