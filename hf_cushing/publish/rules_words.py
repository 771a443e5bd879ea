"""Rules on the text in a model's files: known names, numbers, and words that the program writes.

A person's name can't be told from other words, so that a list of what may go is the only one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from hf_cushing.evaluation import adjusted, gaps, grades, subgroups
from hf_cushing.evaluation.comparison import Comparison
from hf_cushing.evaluation.conformal import AbstentionRow
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.origin import LIBRARIES, UNKNOWN, Origin
from hf_cushing.evaluation.plain import PlainReport
from hf_cushing.evaluation.record import Report
from hf_cushing.evaluation.repeatability import ALTERATIONS, Change, Repeatability
from hf_cushing.models.settings import known_settings, only
from hf_cushing.publish.alignment import PROCESSOR
from hf_cushing.publish.staged import Staged
from hf_cushing.schema import RESEARCH_NOTICE
from hf_cushing.stats import agreement
from hf_cushing.stats.metrics import FEW_TO_CALIBRATE, METRICS, NO_DRAWS
from hf_cushing.stats.paired_metrics import OTHER_THRESHOLDS, Difference
from hf_cushing.stats.resampling import UNSTABLE, UNVARIED
from hf_cushing.stats.significance import McNemar

RECORDS = (AbstentionRow, adjusted.Adjusted, Change, Comparison, Difference, gaps.Gap,
           grades.GradeRow, grades.Grading, McNemar, OperatingPoint, Origin, PlainReport,
           Repeatability, Report, subgroups.SubgroupReport, subgroups.Value)  # fmt: skip
FIELDS = {item.name: item.type for record in RECORDS for item in fields(record)}
NAMES = {*FIELDS, *METRICS, *ALTERATIONS, "schema_version", "notice", "tp", "fp", "tn", "fn"}
"""Names in ``metrics.json``."""

TEXTS = {name for name, kind in FIELDS.items() if kind.startswith(("str", "tuple[str"))}
TEXTS |= {"notice"}
"""Those of them that may hold a word; all others hold numbers."""

REASONS = (
    *(metric.undefined for metric in (*METRICS.values(), *gaps.PARITY.values())),
    subgroups.TOO_FEW, NO_DRAWS, FEW_TO_CALIBRATE, grades.TOO_FEW, UNSTABLE,
    UNVARIED, OTHER_THRESHOLDS,
    adjusted.FEW, adjusted.FOLLOWS, adjusted.SEPARATED,
    agreement.ALL_ALIKE, agreement.NO_SPREAD, "undefined of a sex", "nobody gets an answer",
    "from both intervals", "paired wilson", "none seen", "first better", "second better",
    "one patient only", "the models agree here: neither direction is better", UNKNOWN,
    "the scores don't rise with the truth on validation; don't calibrate them",
    "calibration needs photos of several classes in validation",
)  # fmt: skip
"""How a figure came about, or why it is missing; a sentence of other words is none of ours."""

SENTENCES = {word for reason in REASONS for word in re.findall(r"[\w']+", reason)}
WORD = re.compile(r"[A-Za-z0-9_.,:;+/()<>=-]*")
"""A code, version, date, or the name of a folder: no blank, no letter beyond ASCII."""

ONE_VERSION = rf"(?:{'|'.join(LIBRARIES)}) [0-9][0-9A-Za-z.+-]*"
VERSIONS = re.compile(rf"{ONE_VERSION}(, {ONE_VERSION})*")
"""Of the libraries, as a report's origin names them."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
MODEL_FILES = ("config.json", PROCESSOR, "adapter/adapter_config.json")
RECORDED = ("metrics.json", "manifest.json", "explain.json", "followup.json")
WEIGHTS = ("model.safetensors", "adapter/adapter_model.safetensors")


def known_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """A ``metrics.json`` without the entries that no report has."""
    return only(metrics, NAMES)


def model_words(staged: Staged) -> Iterator[str]:
    """No name in a model's files: entries that the program knows, numbers, and its own words."""
    for file in (*RECORDED, *MODEL_FILES):
        if not (staged.folder / file).is_file():
            continue
        content = json.loads((staged.folder / file).read_text(encoding="utf-8"))
        if file == PROCESSOR:
            content.pop("auto_map", None)  # the rule on remote code looks at it
        if file == "metrics.json":
            unknown = content != known_metrics(content)
        else:
            unknown = file in MODEL_FILES and content != known_settings(Path(file).name, content)
        if unknown:
            yield f"{file} holds entries that no such file has"
        odd = list(_odd_texts(content, in_metrics=file == "metrics.json"))
        if odd:
            yield f"{file} holds text where a number or a known word belongs ({odd[0]})"


def weights_say_nothing(staged: Staged) -> Iterator[str]:
    """A file of weights holds no notes: its header has room for any text."""
    for name in WEIGHTS:
        path = staged.folder / name
        if path.is_file() and _notes_of(path) - {("format", "pt")}:
            yield f"{name} holds notes beside the weights"


def _notes_of(path: Path) -> set[tuple[str, str]]:
    """The metadata in the header of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return set(header.get("__metadata__", {}).items())


def _odd_texts(content: Any, *, in_metrics: bool, name: str = "") -> Iterator[str]:
    """Where a text is none of ours; the text itself isn't told."""
    if isinstance(content, dict):
        for key, value in content.items():
            if NAME.fullmatch(key):
                yield from _odd_texts(value, in_metrics=in_metrics, name=key)
            else:
                yield "the name of an entry"
    elif isinstance(content, list):
        for item in content:
            yield from _odd_texts(item, in_metrics=in_metrics, name=name)
    elif isinstance(content, str):
        if name == "libraries" and VERSIONS.fullmatch(content):
            return
        belongs = not in_metrics or name in TEXTS
        if not belongs or not (_is_sentence(content) or WORD.fullmatch(content)):
            yield name


def _is_sentence(text: str) -> bool:
    """Whether it is the notice, or made of the words that say why a figure is missing."""
    return text == RESEARCH_NOTICE or set(re.findall(r"[^\W\d][\w']*", text)) <= SENTENCES
