"""Where an evaluation comes from: the model, its run, the dataset, versions and the day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from hf_cushing.files import PageHead

UNKNOWN = "not recorded"

LIBRARIES = ("torch", "transformers")
"""Whose versions the head of a page names; the manifest has all."""


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
        On which the run was finished, as 2026-11-25; the last of several.
    version, libraries : str
        Of hf-cushing that trained it, and of what it rests on.
    """

    model: str = UNKNOWN
    method: str = ""
    runs: str = ""
    dataset: str = UNKNOWN
    dataset_revision: str = ""
    model_revision: str = ""
    date: str = UNKNOWN
    version: str = UNKNOWN
    libraries: str = ""

    @property
    def head(self) -> PageHead:
        """For the head of a page."""
        method = f", {self.method}" if self.method else ""
        revision = f", revision {self.dataset_revision}" if self.dataset_revision else ""
        libraries = f", {self.libraries}" if self.libraries else ""
        trained = f"trained with hf-cushing {self.version}{libraries}"
        return PageHead(
            run=self.runs or UNKNOWN,
            model=f"{self.model}{method}; weights {self.model_revision or UNKNOWN}",
            dataset=f"{self.dataset}{revision}",
            versions=f"of the training {UNKNOWN}" if self.version == UNKNOWN else trained,
            date=self.date if self.date == UNKNOWN else f"run finished {self.date}",
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
    versions = [manifest.get("environment", {}) for manifest in known]
    return Origin(
        model=_same(PurePath(m["config"]["model"]["model"].rstrip("/")).name for m in known),
        method=_same(m["config"]["model"]["finetune"] for m in known),
        runs=runs,
        dataset=_same(m["config"]["data"]["dataset"].rstrip("/").split("/")[-1] for m in known),
        dataset_revision=_same(m["dataset_revision"] for m in known),
        model_revision=_some(revisions),
        date=max(m.get("finished", UNKNOWN) for m in known),
        version=_same(own.get("hf-cushing", UNKNOWN) for own in versions),
        libraries=_same(f"{n} {own[n]}" for own in versions for n in LIBRARIES if n in own),
    )


def _same(values: Any) -> str:
    return ", ".join(dict.fromkeys(values))


def _some(names: Sequence[str], most: int = 3) -> str:
    """The first and the last of many."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{names[0]} … {names[-1]} ({len(names)} runs)"
