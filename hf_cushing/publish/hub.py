"""Send a staged folder to the Hub: one atomic commit, private first, resumable."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

from hf_cushing.files import sha256_file
from hf_cushing.publish.patience import CONFLICT, Patience, is_passing, reason, remedy, status
from hf_cushing.publish.remote import Remote, read_remote
from hf_cushing.schema import RESEARCH_NOTICE, UserError

if TYPE_CHECKING:
    from hf_cushing.publish.staging import Staged

NO_TOKEN = "no token for the Hub: run `hf auth login`, or set HF_TOKEN to one with write access"
READ_TOKEN = "the token may only read: make one with write access, then `hf auth login`"
GATED_SPACE = "a Space can't ask for access requests, so one with photographs must stay private"
NOW_PUBLIC = "{repo} is public already: pass --public, or make it private in its settings"
OLD_TAG = "tag '{tag}' of {repo} already names another version: give another --tag"


@dataclass(frozen=True, kw_only=True)
class Published:
    """What stands on the Hub now.

    Attributes
    ----------
    kind, repo_id, url : str
    commit : str
        40 hex digits; that of an earlier run where nothing had changed.
    tag : str
    collection : str or None
        Its slug.
    private, gated : bool
        `gated`: the owner decides on each request for access.
    files : int
    """

    kind: str
    repo_id: str
    url: str
    commit: str
    tag: str
    collection: str | None
    private: bool
    gated: bool
    files: int


@dataclass
class Upload:
    """One upload on its way; `state` says what stands on the Hub if it stops here."""

    api: HfApi
    staged: Staged
    patience: Patience
    overridden: bool = False
    state: str = ""

    @property
    def repo(self) -> dict[str, str]:  # the arguments that name it
        return {"repo_id": self.staged.repo_id, "repo_type": self.staged.kind}

    @property
    def may_gate(self) -> bool:  # Spaces know no access requests
        return self.staged.gated and self.staged.kind != "space"


def upload(
    staged: Staged,
    *,
    tag: str | None = None,
    collection: str | None = None,
    overridden: bool = False,
    api: HfApi | None = None,
    patience: Patience | None = None,
) -> Published:
    """Publish a staged folder; the repo then holds exactly its files.

    The repo is made private, then gated where photographs are involved, then filled by one
    commit, and only then made public if asked. Running again after a failure goes on: large
    files that arrived are not sent again, and a step already done is passed over.
    A new repo stays where its commit failed: empty, private, and said so in the error.

    Parameters
    ----------
    staged : Staged
    tag : str, optional
        Name of this version; by default the next of v1, v2, …
    collection : str, optional
        Title of the owner's collection that links the repos; made if missing.
    overridden : bool
        Publish in spite of `staged.findings`, and over files that are not ours.
    api : HfApi, optional
        By default, with the endpoint and the token of the environment.
    patience : Patience, optional

    Raises
    ------
    UserError
        Says what went wrong, what stands on the Hub, and what to do.
    """
    api = api or HfApi()
    if staged.findings and not overridden:
        raise UserError("; ".join(f"{f.rule}: {f.message}" for f in staged.findings))
    local = local_digests(staged.folder)
    job = Upload(api, staged, patience or Patience(), overridden)
    try:
        return _run(job, local, tag, collection)
    except (HTTPError, OfflineModeIsEnabled, ValueError, OSError, RuntimeError) as error:
        raise UserError(_failure(job, error)) from None


def planned_files(folder: Path) -> dict[str, int]:
    """Paths in the repo and sizes in bytes of all files that would go, by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def local_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file by its path in the repo."""
    names = planned_files(folder)
    if not names:
        raise UserError(f"{folder} holds no file to publish")
    return {name: sha256_file(folder / name) for name in names}


def _run(job: Upload, local: dict[str, str], tag: str | None, collection: str | None) -> Published:
    repo_id, kind = job.staged.repo_id, job.staged.kind
    _check_token(job)
    remote = _read(job, local)
    same = remote is not None and remote.files == local
    _check_repo(job, remote, tag, same=same)
    job.state = f"No file was changed in {repo_id}."
    if remote is None:
        remote = _create(job, local)
    if job.may_gate and not remote.gated:
        job.patience(lambda: job.api.update_repo_settings(**job.repo, gated="manual"))
    commit = remote.head if same else _commit(job, remote, local)
    complete = f"All files are in {repo_id} (commit {commit[:7]})"
    if remote.private and not job.staged.private:
        job.state = f"{complete}; it is private still, and tag and collection are missing."
        job.patience(lambda: job.api.update_repo_settings(**job.repo, private=False))
    job.state = f"{complete}; tag and collection are missing."
    tag = tag or _version(remote.tags, commit)
    job.patience(lambda: job.api.create_tag(**job.repo, tag=tag, revision=commit, exist_ok=True))
    job.state = f"{complete}; only the collection is missing."
    slug = job.patience(lambda: _collect(job, collection)) if collection else None
    prefix = "" if kind == "model" else f"{kind}s/"
    return Published(
        kind=kind,
        repo_id=repo_id,
        url=f"{job.api.endpoint}/{prefix}{repo_id}",
        commit=commit,
        tag=tag,
        collection=slug,
        private=job.staged.private,
        gated=job.may_gate or remote.gated,
        files=len(local),
    )


def _check_token(job: Upload) -> None:
    """Stop before anything is made where the token is missing, refused or may only read."""
    if not (job.api.token or get_token()):
        raise UserError(NO_TOKEN)
    job.state = "Nothing was sent."
    token = job.patience(job.api.whoami).get("auth", {}).get("accessToken", {})
    if token.get("role") == "read":
        raise UserError(READ_TOKEN)


def _check_repo(job: Upload, remote: Remote | None, tag: str | None, *, same: bool) -> None:
    """Refuse what a repo's files, visibility or tags forbid, before anything is changed."""
    staged = job.staged
    if staged.gated and staged.kind == "space" and not staged.private:
        raise UserError(GATED_SPACE)
    if remote is None:
        return
    if not same and not job.overridden:
        remote.refuse_foreign(staged.repo_id)
    if staged.private and not remote.private:
        raise UserError(NOW_PUBLIC.format(repo=staged.repo_id))
    if tag in remote.tags and not (same and remote.tags[tag] == remote.head):
        raise UserError(OLD_TAG.format(tag=tag, repo=staged.repo_id))


def _create(job: Upload, local: dict[str, str]) -> Remote:
    """Make the repo, private whatever is asked: it goes public when its files are complete."""
    repo_id = job.staged.repo_id
    job.state = f"{repo_id} was not made, or is empty and private."
    sdk = {"space_sdk": "gradio"} if job.staged.kind == "space" else {}
    job.patience(lambda: job.api.create_repo(**job.repo, private=True, exist_ok=True, **sdk))
    job.state = f"{repo_id} was made; it is empty and private, and the next run fills it."
    remote = _read(job, local)
    if remote is None or not remote.private:
        raise UserError(f"{repo_id} isn't the private repo that was asked for: look at it first")
    return remote


def _read(job: Upload, local: dict[str, str]) -> Remote | None:
    return read_remote(job.api, job.staged, local, job.patience)


def _commit(job: Upload, remote: Remote, local: dict[str, str]) -> str:
    """Send all files and delete all others in one commit on top of what was read."""
    folder = job.staged.folder
    additions = [CommitOperationAdd(name, folder / name) for name in local]
    deletions = [CommitOperationDelete(name) for name in remote.deletions(local)]
    # The Hub's .gitignore of an older version must not drop files silently: hence the empty one.
    # This call has the library's own retries; what arrived is not sent again.
    job.api.preupload_lfs_files(
        additions=additions, gitignore_content="", free_memory=False, **job.repo
    )

    def send() -> str:
        return job.api.create_commit(
            operations=[*deletions, *additions],
            commit_message="Publish with hf-cushing",
            parent_commit=remote.head,
            **job.repo,
        ).oid

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*about to commit a data file")
            commit = job.patience(send)
    except (HTTPError, json.JSONDecodeError) as error:
        if not (is_passing(error) or status(error) in CONFLICT):
            raise
        commit = _arrived(job, local, error)
    _verify(job, local, commit)
    return commit


def _arrived(job: Upload, local: dict[str, str], error: Exception) -> str:
    """The commit after all, where it arrived and only its answer was lost; else the error."""
    previous = job.state
    job.state = f"Either all files arrived in {job.staged.repo_id} or none; the next run looks."
    remote = _read(job, local)
    if remote is not None and remote.files == local:
        return remote.head
    job.state = previous
    raise error


def _verify(job: Upload, local: dict[str, str], commit: str) -> None:
    job.state = f"The commit {commit[:7]} of {job.staged.repo_id} was accepted, but not checked."
    remote = _read(job, local)
    if remote is None or remote.files != local:
        found = remote.files if remote else {}
        wrong = sorted(name for name in local.keys() | found if local.get(name) != found.get(name))
        raise UserError(
            f"{job.staged.repo_id} doesn't hold what was sent ({', '.join(wrong[:5])}): "
            "somebody else changed it, or the upload is damaged; run again"
        )


def _version(tags: dict[str, str], commit: str) -> str:
    """The tag that already names this commit, or the next of v1, v2, …"""
    for name, target in tags.items():
        if target == commit:
            return name
    numbers = [int(name[1:]) for name in tags if name[:1] == "v" and name[1:].isdecimal()]
    return f"v{max(numbers, default=0) + 1}"


def _collect(job: Upload, title: str) -> str:
    """Put the repo into the owner's collection of that title, made private if missing."""
    api, owner = job.api, job.staged.repo_id.split("/")[0]
    found = next((c for c in api.list_collections(owner=owner) if c.title == title), None)
    if found is None:
        found = api.create_collection(
            title, namespace=owner, description=RESEARCH_NOTICE, private=True
        )
    api.add_collection_item(found.slug, job.staged.repo_id, job.staged.kind, exists_ok=True)
    return found.slug


def _failure(job: Upload, error: Exception) -> str:
    """What went wrong, what stands on the Hub, what to do; the token nowhere."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, HTTPError):
        error = error.__cause__  # the library wraps what fails in its threads
    if isinstance(error, (HTTPError, OfflineModeIsEnabled, json.JSONDecodeError)):
        why, todo = reason(error), remedy(error, job.staged.repo_id)
    else:  # the card's metadata, a large file refused, the transfer library
        why, todo = " ".join(str(error).split())[:500], "Mend what is named, then run again."
    text = f"{job.staged.repo_id} could not be published: {why}. {job.state} {todo}"
    token = job.api.token if isinstance(job.api.token, str) else get_token()
    return text.replace(token, "hf_…") if token else text
