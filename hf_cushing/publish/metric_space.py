"""The Space of the metric `subgroup_f1`: what `evaluate.load("OWNER/subgroup_f1")` fetches."""

from __future__ import annotations

import shutil
from pathlib import Path

import hf_cushing
from hf_cushing.publish.staging import Staged
from hf_cushing.schema import UsageError

METRIC = "subgroup_f1"
FILES = ("README.md", "app.py", "requirements.txt", f"{METRIC}.py")


def source() -> Path:
    """Where the metric's own files lie."""
    return Path(hf_cushing.__file__).parent / "evaluation" / METRIC


def stage_metric(repo_id: str, work: Path, *, private: bool = True) -> Staged:
    """Copy the metric's files, which hold nothing of any run, into ``work/metric``.

    Raises
    ------
    UsageError
        Another name than ``OWNER/subgroup_f1``: `evaluate` looks for a file of the repo's name.
    """
    owner, _, name = repo_id.partition("/")
    if not owner or name != METRIC:
        raise UsageError(f"'{repo_id}': the metric's Space must be called OWNER/{METRIC}")
    folder = Path(work) / "metric"
    folder.mkdir(parents=True)
    for file in FILES:
        shutil.copyfile(source() / file, folder / file)
    return Staged("space", repo_id, folder, private, False, ())
