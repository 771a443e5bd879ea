"""What is read first: a few titled sentences, the same in the terminal, on a page and in a card."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 100
MOST_LINES = 23
"""Of the terminal, which leaves room for the names of the files."""


@dataclass(frozen=True)
class Section:
    """A question and its answer.

    Attributes
    ----------
    title : str
    lines : tuple of str
        Sentences.
    """

    title: str
    lines: tuple[str, ...]


def screen_text(sections: Sequence[Section], notice: str = "") -> str:
    """For a terminal: at most `MOST_LINES` lines of `WIDTH` characters, the titles on the left."""
    margin = max(len(section.title) for section in sections) + 2
    lines = []
    for section in sections:
        for number, line in enumerate(section.lines):
            start = section.title.ljust(margin) if number == 0 else " " * margin
            lines += textwrap.wrap(
                line, WIDTH, initial_indent=start, subsequent_indent=" " * (margin + 2),
                break_on_hyphens=False,
            )  # fmt: skip
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], " " * margin + "… the report has the rest."]
    return "\n".join([*lines, *([notice] if notice else [])])


def screen_lines(sections: Sequence[Section]) -> list[str]:
    """The sentences alone."""
    return [line for section in sections for line in section.lines]


def screen_markdown(sections: Sequence[Section]) -> str:
    """For a card: a title and its sentences as a list."""
    blocks = [
        "\n".join([f"**{section.title}**", "", *(f"- {line}" for line in section.lines)])
        for section in sections
        if section.lines
    ]
    return "\n\n".join(blocks)
