"""A folder that is ready to go, and what the gate found in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_cushing.publish.options import PublishOptions
from hf_cushing.schema import DRAWN_SOURCE

TAGS = ("hf-cushing", "medical", "face", "fairness", "research-only")
"""Of every card; by the first one a repo is known as ours."""


def tags_of(*, drawn: bool) -> list[str]:
    """Tags of a card; what is made of drawings has one more."""
    return [*TAGS, DRAWN_SOURCE] if drawn else [*TAGS]


@dataclass(frozen=True)
class Finding:
    """One reason to refuse.

    Attributes
    ----------
    rule : str
        Name of the rule, of `gate.RULES`.
    message : str
        What was found, and where.
    remedy : str
    """

    rule: str
    message: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A folder ready to go, and what the gate found.

    Attributes
    ----------
    kind : str
        ``model``, ``dataset`` or ``space``.
    folder : Path
        Exactly the files that would go, and nothing else.
    source : Path
        The run folder or dataset folder that `folder` was made from.
    options : PublishOptions
        `ModelOptions` of a model.
    gated : bool
        Access is asked for, with the fields of the card.
    drawn : bool
        All faces behind it are drawings; no person is shown, and none taught it.
    notes : tuple of str
        What the publisher should know or do; no reasons to refuse.
    findings : tuple of Finding
        Reasons to refuse; empty: safe by the rules of the gate.
    """

    kind: str
    folder: Path
    source: Path
    options: PublishOptions
    gated: bool = False
    drawn: bool = False
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def repo_id(self) -> str:
        """OWNER/NAME."""
        return self.options.repo_id

    @property
    def private(self) -> bool:
        """Whether only the owner and whom he lets in may see the repo."""
        return not self.options.public

    @property
    def files(self) -> dict[str, Path]:
        """All files by their path in the repo, in order of the paths."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in paths}

    @property
    def repo(self) -> dict[str, str]:
        """The arguments that name the repo to the Hub's library."""
        return {"repo_id": self.repo_id, "repo_type": self.kind}
