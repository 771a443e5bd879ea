"""The wheel: what is in it, and whether it does all that a user does, outside the checkout.

By default its dependencies are those of this environment, so that no network is needed;
`make dist` sets FROM_INDEX=1, and pip installs them anew.
"""

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import hf_cushing

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow

TRIAL = """
import evaluate, hf_cushing
from pathlib import Path
assert Path(hf_cushing.__file__).is_relative_to({environment!r}), hf_cushing.__file__
evaluate.load(hf_cushing.subgroup_f1_path())
row = hf_cushing.predict("runs/demo", min(Path("data/demo/raw/images").iterdir()), cpu=True)[0]
print(row.answer.label)
"""


def call(*command, cwd, **more):
    """Run a command as a user elsewhere would: nothing of this checkout is on its path."""
    own = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "HF_HUB_OFFLINE")}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=own, check=False, capture_output=True,
        text=True, **more,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if "WHEEL" in os.environ:
        return ROOT / os.environ["WHEEL"]
    out = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=ROOT)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A new environment with the wheel installed."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    call(sys.executable, "-m", "venv", folder, cwd="/")
    python, more = folder / "bin" / "python", []
    if not os.environ.get("FROM_INDEX"):
        more = ["--no-deps", "--no-index"]
        own = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd="/")
        others = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
        # After the wheel's own folder; an editable install of this checkout must not win
        (Path(own.strip()) / "zz_others.pth").write_text(others + "\n")
    call(python, "-m", "pip", "install", "--quiet", *more, wheel, cwd="/")
    return folder


def test_wheel_has_recipes_templates_types_and_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = message_from_string(
            archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
        )
    assert "hf_cushing/py.typed" in names
    for kind in ("configs/recipes/quick.yaml", "configs/studies/quick.yaml", "model_cards/run.md"):
        assert any(name.startswith(f"hf_cushing/_resources/{kind}") for name in names), kind
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]
    assert metadata["Version"] == hf_cushing.__version__
    assert {"all", "app"} <= set(metadata.get_all("Provides-Extra"))
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert metadata.get_all("Project-URL")


def test_version_stands_in_one_place_and_the_citation_agrees():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.M)[1] == hf_cushing.__version__
    assert hf_cushing.__version__ not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_wheel_prepares_trains_evaluates_and_predicts_outside_the_checkout(environment, tmp_path):
    command, python = environment / "bin" / "hf-cushing", environment / "bin" / "python"
    assert "train" in call(command, "--help", cwd=tmp_path)
    assert "Chance" in call(command, "demo", "--photos", "60", cwd=tmp_path)
    trained = ("--dataset", "data/demo/dataset", "--config", "quick", "--cpu", "--bootstrap", "100")
    two = ("--output_dir", "runs/two", "--processes", "2")
    assert "processes: 2" in call(command, "train", *trained, *two, cwd=tmp_path)
    launched = ("-m", "accelerate.commands.launch", "--num_processes", "1", "-m",
                "hf_cushing.train", *trained, "--output_dir", "runs/launched")  # fmt: skip
    assert "processes: 1" in call(python, *launched, cwd=tmp_path)
    code = TRIAL.format(environment=str(environment))
    assert call(python, "-c", code, cwd=tmp_path).splitlines()[-1] in (
        "control", "cushing", "uncertain",
    )  # fmt: skip
