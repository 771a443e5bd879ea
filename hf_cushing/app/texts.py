"""Words, numbers and sentences of the pages, in the language that a visitor reads.

A language is a file of ``words/``, named by its code.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.faces.regions import GROUPS
from hf_cushing.predict.answer import Remark

GROUPS_OF_SEX = {"female": "females", "male": "males", "unknown": "people", "all": "all"}
"""A sex to the key of the word for those who have it."""

FOLDER = Path(__file__).with_name("words")


@cache
def languages() -> dict[str, dict[str, Any]]:
    """The words by the language's code, English first."""
    paths = sorted(FOLDER.glob("*.yaml"), key=lambda path: (path.stem != "en", path.stem))
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths}


@cache
def space_words(language: str) -> dict[str, Any]:
    """Words of the Space."""
    return languages()[language] | languages()[language]["space"]


@cache
def room_words(language: str) -> dict[str, Any]:
    """Words of the reading room."""
    return languages()[language] | languages()[language]["reading_room"]


def disease_name(label: str, words: dict) -> str:
    """A label, or "uncertain", as it reads in a sentence or a table."""
    return words.get(label, label.replace("_", " "))


def diseases_of(labels: Iterable[str], words: dict) -> str:
    """All diseases in a sentence."""
    return " / ".join(disease_name(label, words) for label in labels)


def title_of(labels: Iterable[str], words: dict) -> str:
    """The name of the page, with the diseases of its model."""
    title = words["title"].format(diseases=diseases_of(labels, words))
    return title[0].upper() + title[1:]


def remark_text(remark: Remark, sex: str, words: dict) -> str:
    """What must be said about an answer for a person of this sex."""
    if remark.reason == "few_patients":
        return few_patients_text(remark.count, sex, words)
    flags = ", ".join(words["flags"][flag] for flag in remark.flags)
    return words[remark.reason].format(count=remark.count, flags=flags)


def few_patients_text(count: int, sex: str, words: dict) -> str:
    """That so few validation patients of a sex rule nothing out."""
    return words["few_patients"].format(count=count, who=words[GROUPS_OF_SEX[sex]])


def point_text(point: OperatingPoint | None, words: dict) -> str:
    """A threshold, and where it comes from."""
    if point is None:
        return words["no_point"]
    threshold = percent(point.threshold)
    kind, _, number = point.rule.partition(":")
    rule = words["rules"][kind].format(number=number)
    who, split = words[GROUPS_OF_SEX[point.sex]], split_name(point.split, words)
    return words["point_from"].format(who=who, threshold=threshold, rule=rule, split=split)


def split_name(split: str, words: dict) -> str:
    """A part of the data; one that has no word keeps its name."""
    return words["splits"].get(split, split)


def region_names(words: dict) -> dict[str, str]:
    """Groups of regions and their names."""
    return {group: words["region_names"][group] for group in GROUPS}


def percent(value: float) -> str:
    """A share, 0..1, in whole per cent; the ends only where they are exact.

    >>> percent(0.437), percent(0.999), percent(0.0)
    ('44 %', '> 99 %', '0 %')
    """
    if 0.99 < value < 1:
        return "> 99 %"
    if 0 < value < 0.01:
        return "< 1 %"
    return f"{value:.0%}".replace("%", " %")


def interval(low: float, high: float) -> str:
    """Two shares, 0..1, as in ``60–97 %``."""
    return f"{percent(low).removesuffix(' %')}–{percent(high)}"


def language_of(header: str) -> str:
    """Language that a browser asks for: ``zh`` if it comes before English, else ``en``.

    >>> language_of("zh-CN,zh;q=0.9,en;q=0.8"), language_of("de,en;q=0.5"), language_of("")
    ('zh', 'en', 'en')
    """
    asked = [part.split(";")[0].strip().lower()[:2] for part in header.split(",")]
    return next((code for code in asked if code in languages()), "en")
