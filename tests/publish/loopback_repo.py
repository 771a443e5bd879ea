"""What the loopback Hub keeps: repos with their commits, tags and files, in memory."""

import hashlib
from dataclasses import dataclass, field
from urllib.parse import unquote

from huggingface_hub import RepoCard
from starlette.exceptions import HTTPException

PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}
WHEN = "2026-11-24T00:00:00.000Z"


@dataclass(frozen=True)
class File:
    content: bytes
    lfs: bool = False

    @property
    def sha256(self):
        return hashlib.sha256(self.content).hexdigest()

    @property
    def git_id(self):
        content = self.content
        if self.lfs:
            content = (
                "version https://git-lfs.github.com/spec/v1\n"
                f"oid sha256:{self.sha256}\nsize {len(self.content)}\n"
            ).encode()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def entry(self, path):
        found = {"type": "file", "path": path, "size": len(self.content), "oid": self.git_id}
        if self.lfs:
            found["lfs"] = {"oid": self.sha256, "size": found["size"], "pointerSize": 134}
        return found


@dataclass
class Repo:
    kind: str
    repo_id: str
    private: bool = False
    gated: str | bool = False
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def head(self):
        return self.refs["main"]

    @property
    def files(self):
        return self.commits[self.head]

    def commit(self, files, branch="main"):
        oid = hashlib.sha1(f"{self.kind}{self.repo_id}{len(self.commits)}".encode()).hexdigest()
        self.commits[oid] = files
        self.refs[branch] = oid
        return oid

    def resolve(self, revision):
        revision = unquote(revision).removeprefix("refs/heads/")
        oid = self.refs.get(revision) or self.tags.get(revision) or revision
        if oid not in self.commits:
            raise missing("RevisionNotFound", f"Invalid rev id: {revision}")
        return oid

    def info(self, revision="main"):
        oid = self.resolve(revision)
        return {
            "_id": self.repo_id,
            "id": self.repo_id,
            "modelId": self.repo_id,
            "author": self.repo_id.split("/")[0],
            "sha": oid,
            "private": self.private,
            "gated": self.gated,
            "disabled": False,
            "lastModified": WHEN,
            "createdAt": WHEN,
            "downloads": 0,
            "likes": 0,
            "tags": _card(self.commits[oid]).get("tags") or [],
            "cardData": _card(self.commits[oid]),
            "siblings": [{"rfilename": path} for path in self.commits[oid]],
        }


def _card(files):
    """The metadata of the card."""
    card = files.get("README.md", File(b"")).content.decode()
    return RepoCard(card, ignore_metadata_errors=True).data.to_dict()


def missing(code, text):
    return HTTPException(404, text, {"X-Error-Code": code, "X-Error-Message": text})
