"""Rules that look at the files themselves: card, pickles, code, paths, tokens.

Each yields what it found, one message a fault; nothing means that the rule is kept.
"""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from hf_cushing.models.foreign_code import ALIGNMENT, asked_code
from hf_cushing.publish.alignment import CODE, PROCESSOR, is_own_code
from hf_cushing.publish.staged import Staged
from hf_cushing.schema import RESEARCH_NOTICE

PICKLES = (".pkl", ".pickle", ".bin", ".pt", ".pth", ".ckpt", ".joblib", ".npy", ".npz", ".h5",
           ".dill", ".msgpack")  # fmt: skip
"""Formats that hold, or may hold, a pickle."""

LEAST_PYTHON = (3, 11)
CODE_FILES = (".py", ".pyc", ".so", ".ipynb", ".sh")
TEXT = (".md", ".json", ".txt", ".yaml", ".yml", ".csv", ".html")
HOME = re.compile(
    r"(?<![\w./<~*})\]])(?<!\]\()/(?!api/|gradio_api/)(?:\w[\w.@+-]*/)+\w[\w.@+-]*"
    r"|file://\S+|(?<!\w)[A-Za-z]:\\{1,2}\w[\w.-]*|(?<![\w\\])\\{2,4}\w[\w.-]*\\{1,2}\w"
)
"""An absolute path of two parts or more, on Windows of one: no URL, link or route of an API."""

TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{20,}\b")


def licence(staged: Staged) -> Iterator[str]:
    """A licence must be given, and stand in the card."""
    if not staged.options.license:
        yield "no licence is given: nobody would know what they may do"
    elif card_metadata(staged.folder).get("license") != staged.options.license:
        yield f"README.md doesn't name the licence {staged.options.license}"


def notice(staged: Staged) -> Iterator[str]:
    """The research notice must stand in the card."""
    path = staged.folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if RESEARCH_NOTICE not in " ".join(text.replace("\n>", "\n").split()):
        yield "README.md lacks the notice that this is for research only"


def app(staged: Staged) -> Iterator[str]:
    """A Space starts something, on a Python that can run it."""
    for name in ("app.py", "hf_cushing/app/app.py", "requirements.txt"):
        if not (staged.folder / name).is_file():
            yield f"{name} is missing"
    asked = str(card_metadata(staged.folder).get("python_version", "3.10"))
    if tuple(map(int, asked.split(".")[:2])) < LEAST_PYTHON:
        yield f"README.md lets the Space run Python {asked}, and the package needs 3.11"


def pickles(staged: Staged) -> Iterator[str]:
    """No file that runs code when it is read."""
    for name, path in staged.files.items():
        with open(path, "rb") as file:
            start = file.read(2)
        pickled = start[:1] == b"\x80" and start[1:] in (b"\x02", b"\x03", b"\x04", b"\x05")
        if path.suffix.lower() in PICKLES or pickled:
            yield f"{name} is, or may hold, a pickle"


def remote_code(staged: Staged) -> Iterator[str]:
    """A model or dataset is data: no code that a reader's computer would run, but our own."""
    own = {name for name, path in staged.files.items() if is_own_code(name, path)}
    for name, path in staged.files.items():
        if (path.suffix in CODE_FILES and name not in own) or (name in CODE and name not in own):
            yield f"{name} is code" + (" other than ours of that name" if name in CODE else "")
        elif path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            if name == PROCESSOR and own == set(CODE) and content.get("auto_map") == ALIGNMENT:
                del content["auto_map"]
            for setting in asked_code(content):
                yield f"{name} asks for code of its own ({setting})"


def traces(staged: Staged) -> Iterator[str]:
    """No path, user, host or token of the machine that made the files."""
    patterns = [HOME, *(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for name in _own_names())]
    for name, path in staged.files.items():
        if path.suffix in TEXT:
            text = path.read_text(encoding="utf-8")
            if token := TOKEN.search(text):
                line = text.count("\n", 0, token.start()) + 1
                yield f"{name}, line {line} holds a token of the Hub"
            found = next((m for p in patterns if (m := p.search(text))), None)
            if found:
                line = text.count("\n", 0, found.start()) + 1
                yield f"{name}, line {line} holds '{found.group()}'"


def _own_names() -> list[str]:
    """User and host of this machine, unless they are everyday words."""
    names = {str(Path.home()), socket.gethostname()}
    with suppress(KeyError, OSError):
        names.add(getpass.getuser())
    return sorted(n for n in names if len(n) > 3 and (re.search(r"[^a-z]", n) or len(n) > 8))


def card_metadata(folder: Path) -> dict[str, Any]:
    """The YAML at the head of the card."""
    from huggingface_hub import RepoCard

    if not (folder / "README.md").is_file():
        return {}
    return RepoCard.load(folder / "README.md", ignore_metadata_errors=True).data.to_dict()
