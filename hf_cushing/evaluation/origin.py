"""Where an evaluation comes from: the model, its run, the dataset, versions and the day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

UNKNOWN = "not recorded"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What was evaluated, for the head of every page; the same for the same run.

    Attributes
    ----------
    model, method : str
        Short name or Hub id, and what learned.
    runs : str
        Names of the run folders, without their paths.
    dataset, dataset_revision : str
    model_revision : str
        First of them; several where folds are pooled.
    date : str
        On which the run was finished, as 2026-11-25.
    version : str
        Of hf-cushing, that trained it.
    """

    model: str = UNKNOWN
    method: str = ""
    runs: str = ""
    dataset: str = UNKNOWN
    dataset_revision: str = ""
    model_revision: str = ""
    date: str = UNKNOWN
    version: str = UNKNOWN

    @property
    def lines(self) -> tuple[str, ...]:
        """For the head of a page, a fact each."""
        method = f", {self.method}" if self.method else ""
        return (
            f"Model {self.model}{method}; run {self.runs or UNKNOWN}; weights "
            f"{self.model_revision or UNKNOWN}",
            f"Dataset {self.dataset}, revision {self.dataset_revision or UNKNOWN}",
            f"Trained with hf-cushing {self.version}, finished {self.date}",
        )


def origin_of(manifests: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Origin:
    """From the manifests of one run, or of several that are pooled.

    Parameters
    ----------
    manifests : sequence of mapping
        Empty ones are of models that record nothing.
    names : sequence of str
        Of the runs.
    """
    known = [manifest for manifest in manifests if manifest]
    runs = _some(names)
    if not known:
        return Origin(runs=runs)
    revisions = [manifest["model_revision"][:12] for manifest in known]
    return Origin(
        model=_same(PurePath(m["config"]["model"]["model"].rstrip("/")).name for m in known),
        method=_same(m["config"]["model"]["finetune"] for m in known),
        runs=runs,
        dataset=_same(m["config"]["data"]["dataset"].rstrip("/").split("/")[-1] for m in known),
        dataset_revision=_same(m["dataset_revision"] for m in known),
        model_revision=_some(revisions),
        date=max(m.get("finished", UNKNOWN) for m in known),
        version=_same(m.get("environment", {}).get("hf-cushing", UNKNOWN) for m in known),
    )


def _same(values: Any) -> str:
    return ", ".join(dict.fromkeys(values))


def _some(names: Sequence[str], most: int = 3) -> str:
    """The first and the last of many."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{names[0]} … {names[-1]} ({len(names)} runs)"
