"""Send a staged folder to the Hub: one atomic commit, private first, resumable."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from hf_cushing.files import sha256_file
from hf_cushing.publish.remote import Remote, read_remote
from hf_cushing.publish.retries import CONFLICT, Retries, is_transient, reason, remedy, status
from hf_cushing.publish.staged import Staged
from hf_cushing.schema import RESEARCH_NOTICE, UserError

NO_FILE = "{folder} holds no file to publish"
NO_TOKEN = "no token for the Hub: run `hf auth login`, or set HF_TOKEN to one with write access"
READ_TOKEN = "the token may only read: make one with write access, then `hf auth login`"
SPACE_TOKEN_WRITES = (
    "the Space's token may write: whoever gets into the Space could change your repos. Make a "
    "fine-grained one that may read the model and nothing else"
)
SPACE_TOKEN_BLIND = "the Space's token may not read {model}: give it that right, and no other"
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
    warning : str
        Why the collection does not link the repo; empty where all is well.
    secret : bool
        The Space was given a token, by which it reads its model.
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
    warning: str
    secret: bool
    private: bool
    gated: bool
    files: int


@dataclass
class Upload:
    """One upload on its way.

    Attributes
    ----------
    digests : dict
        SHA-256 of each file by its path in the repo.
    state : str
        What stands on the Hub if it stops here.
    """

    api: HfApi
    staged: Staged
    retries: Retries
    digests: dict[str, str]
    state: str = ""

    @property
    def may_gate(self) -> bool:
        """Whether access is to be asked for; Spaces know no access requests."""
        return self.staged.gated and self.staged.kind != "space"

    @property
    def space_token(self) -> str:
        """What a Space reads its model with; empty for everything else."""
        return getattr(self.staged.options, "space_token", "")

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the Hub's library on the repo, with retries."""
        request = getattr(self.api, method)
        return self.retries(lambda: request(**self.staged.repo, **arguments))

    def read(self) -> Remote | None:
        """The repo as it stands."""
        return read_remote(self.api, self.staged, self.retries)


def upload(
    staged: Staged, *, api: HfApi | None = None, retries: Retries | None = None
) -> Published:
    """Publish a staged folder; the repo then holds exactly its files.

    The repo is made private, then gated where photographs are involved, then filled by one
    commit, and only then made public if asked. Running again after a failure goes on: large
    files that arrived are not sent again, and a step already done is passed over.
    A new repo stays where its commit failed: empty, private, and said so in the error.

    Parameters
    ----------
    staged : Staged
        With `options.override` it is published in spite of `findings`, and over files that are
        not ours.
    api : HfApi, optional
        By default, with the endpoint and the token of the environment.
    retries : Retries, optional

    Raises
    ------
    UserError
        Says what went wrong, what stands on the Hub, and what to do.
    """
    if staged.findings and staged.options.override is None:
        raise UserError("; ".join(f"{f.rule}: {f.message}" for f in staged.findings))
    digests = {name: sha256_file(path) for name, path in staged.files.items()}
    if not digests:
        raise UserError(NO_FILE.format(folder=staged.folder))
    job = Upload(api or HfApi(), staged, retries or Retries(), digests)
    try:
        return _run(job)
    except (HTTPError, OfflineModeIsEnabled, ValueError, OSError, RuntimeError) as error:
        raise UserError(_failure(job, error)) from None


def _run(job: Upload) -> Published:
    staged, repo_id = job.staged, job.staged.repo_id
    _check_token(job)
    remote = job.read()
    same = remote is not None and remote.files == job.digests
    _check_repo(job, remote, same=same)
    job.state = f"No file was changed in {repo_id}."
    if remote is None:
        remote = _create(job)
    if job.may_gate and not remote.gated:
        job.call("update_repo_settings", gated="manual")
    if job.space_token:  # before the commit, after which the Space starts
        give = {"repo_id": repo_id, "key": "HF_TOKEN", "value": job.space_token}
        job.retries(lambda: job.api.add_space_secret(**give))
    commit = remote.head if same else _commit(job, remote)
    complete = f"All files are in {repo_id} (commit {commit[:7]})"
    if remote.private and not staged.private:
        job.state = f"{complete}; it is private still, and tag and collection are missing."
        job.call("update_repo_settings", private=False)
    job.state = f"{complete}; tag and collection are missing."
    tag = staged.options.tag or _version(remote.tags, commit)
    job.call("create_tag", tag=tag, revision=commit, exist_ok=True)
    slug, warning = _collect(job)
    prefix = "" if staged.kind == "model" else f"{staged.kind}s/"
    return Published(
        kind=staged.kind,
        repo_id=repo_id,
        url=f"{job.api.endpoint}/{prefix}{repo_id}",
        commit=commit,
        tag=tag,
        collection=slug,
        warning=warning,
        secret=bool(job.space_token),
        private=staged.private,
        gated=job.may_gate or remote.gated,
        files=len(job.digests),
    )


def check_token(api: HfApi | None = None) -> None:
    """Stop where there is no token for the Hub at all, without asking it.

    Raises
    ------
    UserError
    """
    if not ((api and api.token) or get_token()):
        raise UserError(NO_TOKEN)


def _check_token(job: Upload) -> None:
    """Stop before anything is made where the token is missing, refused or may only read."""
    check_token(job.api)
    job.state = "Nothing was sent."
    token = job.retries(job.api.whoami).get("auth", {}).get("accessToken", {})
    if token.get("role") == "read":
        raise UserError(READ_TOKEN)
    if job.space_token:
        _check_space_token(job)


def _check_space_token(job: Upload) -> None:
    """Refuse a token that may do more than read the Space's model, or less."""
    api = HfApi(endpoint=job.api.endpoint, token=job.space_token)
    facts = job.retries(api.whoami).get("auth", {}).get("accessToken", {})
    scopes = facts.get("fineGrained", {})
    rights = [
        *scopes.get("global", ()),
        *(p for s in scopes.get("scoped", ()) for p in s["permissions"]),
    ]
    if facts.get("role") == "write" or any("write" in right for right in rights):
        raise UserError(SPACE_TOKEN_WRITES)
    model = job.staged.options.model_id
    try:
        job.retries(lambda: api.auth_check(model))
    except (RepositoryNotFoundError, GatedRepoError):
        raise UserError(SPACE_TOKEN_BLIND.format(model=model)) from None


def _check_repo(job: Upload, remote: Remote | None, *, same: bool) -> None:
    """Refuse what a repo's files, visibility or tags forbid, before anything is changed."""
    staged, tag = job.staged, job.staged.options.tag
    if staged.gated and staged.kind == "space" and not staged.private:
        raise UserError(GATED_SPACE)
    if remote is None:
        return
    if not same and staged.options.override is None:
        remote.refuse_foreign(staged.repo_id)
    if staged.private and not remote.private:
        raise UserError(NOW_PUBLIC.format(repo=staged.repo_id))
    if tag in remote.tags and not (same and remote.tags[tag] == remote.head):
        raise UserError(OLD_TAG.format(tag=tag, repo=staged.repo_id))


def _create(job: Upload) -> Remote:
    """Make the repo, private whatever is asked: it goes public when its files are complete."""
    repo_id = job.staged.repo_id
    job.state = f"{repo_id} was not made, or is empty and private."
    sdk = {"space_sdk": "gradio"} if job.staged.kind == "space" else {}
    job.call("create_repo", private=True, exist_ok=True, **sdk)
    job.state = f"{repo_id} was made; it is empty and private, and the next run fills it."
    remote = job.read()
    if remote is None or not remote.private:
        raise UserError(f"{repo_id} isn't the private repo that was asked for: look at it first")
    return remote


def _commit(job: Upload, remote: Remote) -> str:
    """Send all files and delete all others in one commit on top of what was read."""
    additions = [CommitOperationAdd(name, path) for name, path in job.staged.files.items()]
    deletions = [CommitOperationDelete(name) for name in remote.deletions(job.digests)]
    # The Hub's .gitignore of an older version must not drop files silently: hence the empty one.
    # This call has the library's own retries; what arrived is not sent again.
    job.api.preupload_lfs_files(
        additions=additions, gitignore_content="", free_memory=False, **job.staged.repo
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*about to commit a data file")
            commit = job.call(
                "create_commit",
                operations=[*deletions, *additions],
                commit_message="Publish with hf-cushing",
                parent_commit=remote.head,
            ).oid
    except (HTTPError, json.JSONDecodeError) as error:
        if not (is_transient(error) or status(error) in CONFLICT):
            raise
        commit = _arrived(job, error)
    _verify(job, commit)
    return commit


def _arrived(job: Upload, error: Exception) -> str:
    """The commit after all, where it arrived and only its answer was lost; else the error."""
    previous = job.state
    job.state = f"Either all files arrived in {job.staged.repo_id} or none; the next run looks."
    remote = job.read()
    if remote is not None and remote.files == job.digests:
        return remote.head
    job.state = previous
    raise error


def _verify(job: Upload, commit: str) -> None:
    job.state = f"The commit {commit[:7]} of {job.staged.repo_id} was accepted, but not checked."
    remote = job.read()
    if remote is None or remote.files != job.digests:
        found = set(remote.files.items() if remote else ())
        wrong = sorted({name for name, _ in found ^ set(job.digests.items())})
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


def _collect(job: Upload) -> tuple[str | None, str]:
    """Link the repo, which is complete; the slug, or why there is none."""
    title = job.staged.options.collection
    if not title:
        return None, ""
    try:
        return job.retries(lambda: _add_to_collection(job, title)), ""
    except (HTTPError, OfflineModeIsEnabled, json.JSONDecodeError) as error:
        return None, (
            f"the collection '{title}' does not link {job.staged.repo_id} ({reason(error)}); run "
            "again, add it on the Hub, or give --collection ''"
        )


def _add_to_collection(job: Upload, title: str) -> str:
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
    own = job.api.token if isinstance(job.api.token, str) else get_token()
    for token in filter(None, (own, job.space_token)):
        text = text.replace(token, "hf_…")
    return text
