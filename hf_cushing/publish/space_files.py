"""The files of a Space: the app, the source it needs, and what is to be installed; the metric's."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import hf_cushing
from hf_cushing.files import resource, write_text
from hf_cushing.schema import UserError

SOURCES = (".py", ".json", ".yaml", ".css", ".js", ".png", ".svg", ".txt", ".md")
"""Files of the package that a Space runs."""


PACKAGE = Path(hf_cushing.__path__[0])

METRIC = PACKAGE / "evaluation" / "subgroup_f1"
"""The metric's own files; `evaluate` looks for a file of the repo's name."""

METRIC_FILES = ("README.md", "app.py", "requirements.txt", f"{METRIC.name}.py",
                "f1_formula.py")  # fmt: skip


def write_app(folder: Path, model_id: str | None) -> None:
    """Write everything but the card: app.py, requirements, and our package.

    None of the resources: the app reads no template, and whoever fills in a file of ``configs``
    doesn't want it in a Space.
    """
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=_left_out)
    app = resource("spaces_app/app.py").read_text(encoding="utf-8")
    filled = app.replace('MODEL_ID = ""', f"MODEL_ID = {json.dumps(model_id or '')}")
    write_text(folder / "app.py", filled)
    shutil.copyfile(resource("spaces_app/requirements.txt"), folder / "requirements.txt")


def _left_out(folder: str, names: list[str]) -> list[str]:
    """Resources, caches, hidden files, and what a Space doesn't run."""
    return [
        name
        for name in names
        if name.startswith((".", "__pycache__", "_resources"))
        or (Path(folder, name).is_file() and Path(name).suffix not in SOURCES)
    ]


def gradio_version() -> str:
    """The version here, which the Space is to run too."""
    try:
        return version("gradio")
    except PackageNotFoundError:
        raise UserError(
            "a Space needs the version of gradio; run `pip install 'hf-cushing[app]'`"
        ) from None
