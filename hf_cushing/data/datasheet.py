"""What only a person can say of a dataset, read from YAML for the card (Gebru et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from hf_cushing.config import read_yaml
from hf_cushing.schema import UserError


def _question(text: str) -> str:
    return field(default="", metadata={"question": text})


@dataclass(frozen=True, kw_only=True)
class Datasheet:
    """Answers, empty where still missing. Questions after Gebru et al. 2021 (arXiv 1803.09010)."""

    purpose: str = _question("For what purpose were the photographs collected?")
    creators: str = _question("Who collected them, on behalf of which institution?")
    funding: str = _question("Who paid for it?")
    eligibility: str = _question("Who was included and excluded, and how were controls chosen?")
    reference_standard: str = _question("By which criteria and tests was the diagnosis made?")
    collection_dates: str = _question("When were the photographs taken, before or after treatment?")
    place_and_camera: str = _question("Where, with which camera, light and background?")
    consent: str = _question("How did the persons consent to this use, and how do they withdraw?")
    ethics_approval: str = _question("Which board approved it, under which number?")
    licence: str = _question("Under which licence or agreement may others use it?")
    access: str = _question("Who may have access, and who decides?")
    contact: str = _question("Who answers questions and maintains the dataset?")

    @property
    def answers(self) -> list[tuple[str, str, str]]:
        """Name, question and answer of each field."""
        return [(f.name, f.metadata["question"], getattr(self, f.name)) for f in fields(self)]

    @property
    def missing(self) -> list[str]:
        """Fields to be filled in before the dataset is published."""
        return [name for name, _, answer in self.answers if not answer]


def read_datasheet(path: Path | None) -> Datasheet:
    """Read the answers from a YAML file; without a file all are missing.

    Raises
    ------
    UserError
        For an unknown field, or an answer that is not a text.
    """
    if path is None:
        return Datasheet()
    values = read_yaml(path, [item.name for item in fields(Datasheet)])
    for name, answer in values.items():
        if not isinstance(answer, (str, type(None))):
            raise UserError(f"{path}: {name}: write the answer as text, in quotation marks")
    return Datasheet(**{name: (answer or "").strip() for name, answer in values.items()})
