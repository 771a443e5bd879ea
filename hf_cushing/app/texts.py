"""Words, numbers and sentences of the pages, in the language that a visitor reads.

A language is a file of ``words/``, named by its code.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hf_cushing.faces.regions import GROUPS
from hf_cushing.predict.answer import Remark

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


def remark_text(remark: Remark, sex: str, words: dict) -> str:
    """What must be said about an answer for a person of this sex."""
    if remark.reason == "few_patients":
        return few_patients_text(remark.count, sex, words)
    flags = ", ".join(words["flags"][flag] for flag in remark.flags)
    return words[remark.reason].format(count=remark.count, flags=flags)


def few_patients_text(count: int, sex: str, words: dict) -> str:
    """That so few validation patients rule nothing out, and what may help."""
    text = words["few_patients"].format(count=count)
    return f"{text} {words['state_sex']}" if sex == "unknown" else text


def region_names(words: dict) -> dict[str, str]:
    """Groups of regions and their names."""
    return dict(zip(GROUPS, words["names"], strict=True))


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


def language_of(header: str) -> str:
    """Language that a browser asks for: ``zh`` if it comes before English, else ``en``.

    >>> language_of("zh-CN,zh;q=0.9,en;q=0.8"), language_of("de,en;q=0.5"), language_of("")
    ('zh', 'en', 'en')
    """
    asked = [part.split(";")[0].strip().lower()[:2] for part in header.split(",")]
    return next((code for code in asked if code in languages()), "en")
