"""Which file a table means: names differ in capitals, in Unicode's forms, or lack the rest."""

from __future__ import annotations

import difflib
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ABSOLUTE = re.compile(r"(/|[A-Za-z]:)")

NEAR = 3
"""Files named in a message."""


class FolderFiles:
    """The visible files of a folder, found by the names that tables give them.

    Parameters
    ----------
    root : Path
    aside : iterable of Path
        Files that are no photos: the table and what says how to read it.
    base : Path, optional
        Folder of the table, to which its names may be relative.
    """

    def __init__(self, root: Path, aside: Iterable[Path] = (), base: Path | None = None) -> None:
        apart = set(aside)
        found = (p for p in root.rglob("*") if p not in apart and p.is_file())
        paths = (p.relative_to(root) for p in found)
        self.root = root
        self.base = (base or root).relative_to(root).as_posix()
        self.names = sorted(
            p.as_posix() for p in paths if not any(part.startswith(".") for part in p.parts)
        )
        self._exact = set(self.names)
        self._paths: dict[str, list[str]] = {}
        self._bare: dict[str, list[str]] = {}
        for name in self.names:
            for key in _keys(name):
                self._paths.setdefault(key, []).append(name)
            for key in _keys(PurePosixPath(name).name):
                self._bare.setdefault(key, []).append(name)

    def find(self, written: str) -> str:
        """The one file that a table means, relative to the folder; empty if none or several.

        A name without folders may lie in any; one with folders must lie there, or an absolute one
        end so: no photo is taken from another patient's folder.
        """
        written = written.replace("\\", "/")
        if not written or written in self._exact:
            return written
        for known, name in self._ways(written):
            if len(found := known.get(_plain(name), [])) == 1:
                return found[0]
        return ""

    def _ways(self, written: str) -> Iterator[tuple[dict[str, list[str]], str]]:
        parts = PurePosixPath(written).parts
        yield self._paths, str(PurePosixPath(written))
        if ABSOLUTE.match(written):
            yield from ((self._paths, "/".join(parts[n:])) for n in range(1, len(parts)))
        elif len(parts) == 1:
            yield self._bare, written
        else:
            yield self._paths, str(PurePosixPath(self.base, written))
            if _plain(parts[0]) == _plain(self.root.resolve().name):
                yield self._paths, "/".join(parts[1:])

    def what_is_there(self, written: str) -> str:
        """Say which file may be meant, or which archive holds it; empty if none."""
        bare = PurePosixPath(written.replace("\\", "/")).name
        near = {name for key in _keys(bare) for name in self._bare.get(key, [])}
        if not near:  # a slip of the pen, but not the next number of a camera
            same = [key for key in self._bare if _digits(key) == _digits(bare)]
            close = difflib.get_close_matches(_plain(bare), same, n=NEAR, cutoff=0.85)
            near = {name for key in close for name in self._bare[key]}
        if near:
            return f"{', '.join(sorted(near)[:NEAR])} is there"
        for archive in (name for name in self.names if name.lower().endswith(".zip")):
            members = zip_members(self.root / archive)
            if _plain(bare) in {_plain(PurePosixPath(name).name) for name in members}:
                return f"it is inside {archive}: unpack that here"
        return ""


def zip_members(path: Path) -> list[str]:
    """Names of the files in an archive; none if it can't be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name for name in archive.namelist() if not name.endswith("/")]
    except (OSError, zipfile.BadZipFile):
        return []


def _plain(name: str) -> str:
    """Mac's decomposed letters and Windows' capitals are no difference."""
    return unicodedata.normalize("NFC", name).casefold()


def _digits(name: str) -> str:
    return re.sub(r"\D", "", name)


def _keys(name: str) -> set[str]:
    """A path as it is and without its extension."""
    return {_plain(name), _plain(str(PurePosixPath(name).with_suffix("")))}
