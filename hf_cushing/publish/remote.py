"""A repo on the Hub as it stands: what is in it, whose it is, and what publishing would delete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import (
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from hf_cushing.data.parquet import shards_of
from hf_cushing.files import sha256_file
from hf_cushing.publish.retries import Retries, reason, status
from hf_cushing.publish.staged import TAGS, Staged
from hf_cushing.schema import UserError

HUB_OWN = ".gitattributes"
"""The Hub makes this file itself; it is left alone."""

CARD = "README.md"
FOREIGN = (
    "{repo} holds {count} files, and its card lacks the tag '{tag}': it was not published with "
    "hf-cushing, which would replace them all. Check --repo-id; if it is right, add that tag to "
    "the card on the Hub, or give --override REASON"
)


@dataclass(frozen=True)
class Remote:
    """A repo as it stands: `files` maps paths to digests, `tags` names to commits.

    `ours`: its card has the tag of what hf-cushing publishes.
    """

    head: str
    private: bool
    gated: bool
    files: dict[str, str]
    tags: dict[str, str]
    ours: bool

    def deletions(self, names: Collection[str]) -> list[str]:
        """Its files that are not among `names`: publishing those deletes them."""
        return sorted(self.files.keys() - set(names))

    def refuse_foreign(self, repo_id: str) -> None:
        """Stop where it holds somebody else's work; a card alone may be what the Hub made."""
        others = self.files.keys() - {CARD}
        if others and not self.ours:
            raise UserError(FOREIGN.format(repo=repo_id, count=len(self.files), tag=TAGS[0]))


def preview_remote(staged: Staged) -> Remote | None:
    """The repo that `staged` would go to, asked for once; None where there is none.

    Raises
    ------
    UserError
        The Hub doesn't answer, or the token may not see the repo.
    """
    try:
        return read_remote(HfApi(), staged, Retries(tries=1))
    except (HTTPError, OfflineModeIsEnabled, json.JSONDecodeError) as error:
        raise UserError(reason(error)) from None


def model_on_hub(model_id: str, token: str | bool | None = None) -> ModelInfo | None:
    """What the Hub tells of a model; None where it is not there, not seen, or can't be asked."""
    try:
        return HfApi().model_info(model_id, token=token)
    except (HTTPError, OfflineModeIsEnabled, json.JSONDecodeError):
        return None


def is_public(model_id: str) -> bool:
    """Whether everybody may load a model; no where the Hub can't be asked.

    Spaces preload no others.
    """
    info = model_on_hub(model_id, token=False)
    return info is not None and not info.private and not info.gated


def commit_of_dataset(
    repo_id: str, *, revision: str | None = None, folder: Path | None = None
) -> str:
    """Commit of a dataset on the Hub, 40 hex digits.

    Parameters
    ----------
    repo_id : str
    revision : str, optional
        Branch, tag or commit.
    folder : Path, optional
        Where it was prepared: the repo must hold its shards, whose names tell their content.

    Returns
    -------
    str
        Empty where it is not there, can't be asked for, or is another dataset.
    """
    try:
        info = HfApi().dataset_info(repo_id, revision=revision)
    except (HTTPError, OfflineModeIsEnabled, HFValidationError, json.JSONDecodeError):
        return ""
    own = {f"data/{path.name}" for path in shards_of(folder)} if folder else set()
    return info.sha if own <= {file.rfilename for file in info.siblings or ()} else ""


def read_remote(api: HfApi, staged: Staged, retries: Retries) -> Remote | None:
    """The repo's head, settings, files and tags; None where there is no such repo."""
    try:
        info = retries(lambda: api.repo_info(**staged.repo))
    except RepositoryNotFoundError as error:
        if status(error) != 404:  # the library says so of a 401, too
            raise
        return None
    entries = retries(
        lambda: list(api.list_repo_tree(**staged.repo, recursive=True, revision=info.sha))
    )
    tags = retries(lambda: api.list_repo_refs(**staged.repo)).tags
    local = staged.files
    return Remote(
        head=info.sha,
        private=bool(info.private),
        gated=bool(getattr(info, "gated", False)),
        files={
            entry.path: _digest(entry, local.get(entry.path))
            for entry in entries
            if isinstance(entry, RepoFile) and (entry.path != HUB_OWN or HUB_OWN in local)
        },
        tags={entry.name: entry.target_commit for entry in tags},
        ours=TAGS[0] in _card_tags(info),
    )


def _card_tags(info: Any) -> list[str]:
    """Tags of a repo's card; the Hub tells them by themselves, and in the card's metadata."""
    return [*(info.tags or ()), *(getattr(getattr(info, "card_data", None), "tags", None) or ())]


def _digest(entry: RepoFile, local: Path | None) -> str:
    """SHA-256 of a file in the repo, or its git id where the Hub knows no SHA-256 of it.

    Where the local file of that path has the same git id, it has the same SHA-256.
    """
    if entry.lfs:
        return entry.lfs.sha256
    same = local is not None and git_id(local) == entry.blob_id
    return sha256_file(local) if same else f"git:{entry.blob_id}"


def git_id(path: Path) -> str:
    """Id that git gives to a file's content: SHA-1 of its size and its bytes."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
