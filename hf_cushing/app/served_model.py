"""A model as the pages show it: its answers, its heatmap, how good and how repeatable it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from hf_cushing.evaluation.record import Report
from hf_cushing.explain.photo import choose_method
from hf_cushing.faces.uploads import Budget
from hf_cushing.predict.answer import Predictor
from hf_cushing.predict.decision import decide
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from hf_cushing.stats.reliable_change import Repeatability


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A loaded model with what is known of it.

    Attributes
    ----------
    predictor : Predictor
    method : str
        Heatmap, of `heatmaps.METHODS`.
    judged : bool
        Whether `method` was shown to beat random maps on this model.
    repeatability : dict
        Label to that of its log-odds, where ``hf-cushing followup`` measured it.
    """

    predictor: Predictor
    method: str
    judged: bool
    repeatability: dict[str, Repeatability]

    @property
    def run(self) -> Run:
        return self.predictor.run

    @cached_property
    def report(self) -> Report | None:
        """The recorded evaluation; None where there is none that can be read."""
        try:
            return self.run.report
        except UserError:
            return None

    def warm_up(self) -> None:
        """Go all the way once, so that the first visitor doesn't wait for what loads late."""
        blank = Image.new("RGB", (200, 200), "gray")
        next(self.predictor.answers([blank]))
        probabilities, _ = self.predictor.score([blank])
        decide(self.run, probabilities, ["unknown"])


def load_model(
    run: Run, *, explanation: Path | None = None, followup: Path | None = None
) -> ServedModel:
    """Load a model to be served.

    Parameters
    ----------
    run : Run
    explanation, followup : Path, optional
        Folders of ``hf-cushing explain`` and ``hf-cushing followup``; by default what lies in the
        run's own folder.

    Raises
    ------
    UserError
        No such model, files that can't be read, or reports of another model.
    """
    predictor = Predictor(run, opener=lambda: Budget().open)
    method, judged = choose_method(run, explanation)
    return ServedModel(
        predictor=predictor,
        method=method,
        judged=judged,
        repeatability=_repeatability(run.companion("followup.json", followup)),
    )


def _repeatability(report: dict[str, Any]) -> dict[str, Repeatability]:
    if not report:
        return {}
    facts = {field.name: report["repeatability"][field.name] for field in fields(Repeatability)}
    values = {name: math.nan if value is None else value for name, value in facts.items()}
    measured = Repeatability(**values)
    return {report["label"]: measured} if measured.known else {}
