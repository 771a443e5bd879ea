"""The files of a Space: the app, the source it needs, and what is to be installed."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import hf_cushing
from hf_cushing.files import write_text
from hf_cushing.schema import UserError

SOURCES = (".py", ".json", ".css", ".js", ".png", ".svg", ".txt", ".md")
"""Files of the packages that a Space runs."""

SPACE_EXTRAS = ("explain",)

APP = '''"""Starts the app; `MODEL_ID` in the Space's settings names another model than this."""

import os
import runpy

os.environ.setdefault("MODEL_ID", "{model_id}")
runpy.run_module("spaces_app.app", run_name="__main__")
'''


def write_app(folder: Path, model_id: str | None) -> None:
    """Write everything but the card: app.py, requirements, and our packages.

    None of the resources: the app reads no template, and whoever fills in a file of ``configs``
    doesn't want it in a Space.
    """
    try:
        import spaces_app
    except ImportError:
        raise UserError("spaces_app is missing from this installation") from None
    for package in (hf_cushing, spaces_app):
        _copy_tree(Path(package.__path__[0]), folder / package.__name__)
    write_text(folder / "app.py", APP.format(model_id=model_id or ""))
    write_text(folder / "requirements.txt", "\n".join(space_requirements()) + "\n")


def _copy_tree(source: Path, target: Path) -> None:
    """Files that a Space runs; neither resources, caches nor hidden ones."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        hidden = any(part.startswith((".", "__pycache__", "_resources")) for part in inside.parts)
        if path.is_file() and not hidden and path.suffix in SOURCES:
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inside)


def gradio_version() -> str:
    """The version here, which the Space is to run too."""
    try:
        return version("gradio")
    except PackageNotFoundError:
        raise UserError(
            "a Space needs the version of gradio; run `pip install 'hf-cushing[app]'`"
        ) from None


def space_requirements() -> list[str]:
    """What a Space installs: our dependencies, and those of heatmaps; gradio is there already."""
    from packaging.requirements import Requirement

    found = []
    for line in requires("hf-cushing") or ():
        requirement = Requirement(line)
        extras = ("", *SPACE_EXTRAS)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            requirement.marker = None
            found.append(str(requirement))
    return sorted(found)
