"""Reporting checklists: what the card answers, what is missing, what only a person can fill in.

The items of TRIPOD+AI, CLAIM 2024 and Model Cards are in ``model_cards/checklists.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from hf_cushing.files import render_template, resource
from hf_cushing.publish.card_facts import ModelFacts
from hf_cushing.schema import RESEARCH_NOTICE

FILLED, MISSING, PERSON = "filled", "missing", "only a person can fill in"


@dataclass(frozen=True)
class Item:
    """One item: its number, what it asks, `FILLED`, `MISSING` or `PERSON`, and where to look."""

    number: str
    asked: str
    status: str
    where: str


def read_items() -> dict[str, list[list[str]]]:
    """Each checklist's items: number, what is asked, and what answers it."""
    return yaml.safe_load(resource("model_cards/checklists.yaml").read_text(encoding="utf-8"))


def answered_items(facts: ModelFacts) -> dict[str, list[Item]]:
    """Every item of each checklist, answered as far as the run's facts go."""
    return {
        source: [Item(number, asked, *_answer(key, facts)) for number, asked, key in items]
        for source, items in read_items().items()
    }


def _answer(key: str, facts: ModelFacts) -> tuple[str, str]:
    if not key:
        return PERSON, ""
    if key.startswith("answer:"):
        name = key.removeprefix("answer:")
        return (FILLED, f"datasheet: {name}") if facts.datasheet.get(name) else (PERSON, "")
    if key == "plan":
        return PERSON, "`hf-cushing plan` computes it"
    conditions = {
        "missing": (False, ""),
        "dataset": (bool(facts.dataset_id), "Data"),
        "training counts": (facts.counts_of_training, "Data"),
        "regions": (bool(facts.regions), "Where in the face it looks"),
        "robustness": (facts.report.repeatability is not None, "The same photos once more"),
        "licence": (bool(facts.license), "Citation"),
    }
    there, where = conditions.get(key, (True, key))
    return (FILLED, where) if there else (MISSING, "")


def checklist_page(facts: ModelFacts) -> str:
    """``checklist.md``."""
    return render_template(
        "checklist.md.jinja",
        repo_id=facts.repo_id,
        notice=RESEARCH_NOTICE,
        found=answered_items(facts),
        statuses=(FILLED, MISSING, PERSON),
        person=PERSON,
        missing=MISSING,
    )
