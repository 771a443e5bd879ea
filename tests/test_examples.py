"""The notebook and its script twin."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
jupytext = pytest.importorskip("jupytext")


def cells(path):
    return [(c.cell_type, c.source) for c in jupytext.read(path).cells]


def test_notebook_has_the_cells_of_its_script():
    assert cells(EXAMPLES / "first_hour.ipynb") == cells(EXAMPLES / "first_hour.py")


@pytest.mark.slow
def test_notebook_runs_offline_on_drawn_faces(tmp_path):
    nbclient = pytest.importorskip("nbclient")  # nbconvert has it
    notebook = jupytext.read(EXAMPLES / "first_hour.py")
    done = nbclient.NotebookClient(notebook, timeout=600, cwd=str(tmp_path)).execute()
    printed = "".join(
        output.get("text", "") for cell in done.cells for output in cell.get("outputs", [])
    )
    assert "160 of 160 photos kept" in printed
    assert "AUROC" in printed


@pytest.mark.slow
def test_script_runs_as_it_is(tmp_path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "first_hour.py"], cwd=tmp_path, check=False,
        capture_output=True, text=True, env=os.environ | {"FIRST_HOUR_PHOTOS": "60"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "60 of 60 photos kept" in done.stdout
