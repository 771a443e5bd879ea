"""Files: write aside then rename, plain JSON, and where the shipped resources lie."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cushing import __version__
from hf_cushing.schema import RESEARCH_NOTICE, UsageError, UserError

if TYPE_CHECKING:
    import jinja2


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place when the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.aside")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text; a reader sees the old file or the new one, never half of it."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write plain JSON; NaN and infinity become null (JSON has neither)."""
    with written_aside(path) as aside, open(aside, "w", encoding="utf-8") as file:
        json.dump(plain(value), file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that one of our commands wrote."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read as JSON ({error}); make it again") from None


def plain(value: Any) -> Any:
    """Turn numpy scalars, tuples and dataclass-free containers into what JSON knows.

    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def replace_folder(new: Path, target: Path) -> None:
    """Move folder `new` to `target`; an existing target is kept until the move is done."""
    old = target.with_name(f".{target.name}.old")
    if old.exists():
        shutil.rmtree(old)
    if target.exists():
        os.rename(target, old)
    os.rename(new, target)
    if old.exists():
        shutil.rmtree(old)


REPORTS = {
    "manifest.json": "a run",
    "kit.json": "a reading kit",
    "metrics.json": "a report of `hf-cushing evaluate`",
    "explain.json": "a report of `hf-cushing explain`",
    "readers.json": "a report of `hf-cushing readers analyse`",
    "followup.json": "a report of `hf-cushing followup`",
    "study.json": "a study",
}
"""The file by which a folder is known, and what then is in it."""


def check_report_folder(out: Path, own: str) -> None:
    """Refuse a folder that holds something else, of which `report.html` would take the place.

    Parameters
    ----------
    out : Path
    own : str
        File of `REPORTS` that the report to be written has.

    Raises
    ------
    UsageError
    """
    for name, content in REPORTS.items():
        if name != own and (out / name).is_file():
            raise UsageError(f"--out {out} holds {content}; choose another folder")


def resource(name: str) -> Path:
    """Path of a file shipped with the project: inside the wheel, or in the git checkout."""
    package = Path(__file__).parent
    for folder in (package / "_resources", package.parent):
        if (folder / name).exists():
            return folder / name
    raise UserError(f"{name} is missing from this installation; install hf-cushing again")


def render_template(name: str, **values: Any) -> str:
    """Render ``model_cards/<name>`` with Jinja; a missing value is an error, not a blank.

    In ``.html.jinja`` values are escaped.
    """
    return _templates(name.endswith(".html.jinja")).get_template(name).render(**values)


@cache
def _templates(escape: bool) -> jinja2.Environment:
    """Kept, since a page takes longer to compile than to render."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource("model_cards")),
        undefined=jinja2.StrictUndefined,
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@dataclass(frozen=True, kw_only=True)
class PageHead:
    """What stands at the head of every page; the same for the same run, so never today's date.

    Attributes
    ----------
    run, model, dataset, versions : str
        Names and revisions; empty where a page is of none.
    date : str
        On which the run was finished.
    """

    run: str = ""
    model: str = ""
    dataset: str = ""
    versions: str = ""
    date: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """Title to text, without what is empty."""
        made = f"page made with hf-cushing {__version__}"
        versions = f"{self.versions}; {made}" if self.versions else made
        facts = {"Run": self.run, "Model": self.model, "Dataset": self.dataset}
        facts |= {"Versions": versions, "Date": self.date}
        return {title: text for title, text in facts.items() if text}


def render_page(name: str, *, title: str, head: PageHead, tables: Any = (), **values: Any) -> str:
    """Render a page that extends ``page.html.jinja``, which has the head and the look of all.

    Parameters
    ----------
    name : str
        Template.
    tables : sequence of Table
        Shown between the template's blocks ``first`` and ``last``.
    """
    return render_template(
        name, title=title, head=head, notice=RESEARCH_NOTICE, tables=tables, **values
    )


def if_all_folds(folder: Path) -> str:
    """Say what to give instead of the folder of ``train --fold all``; empty for any other.

    >>> if_all_folds(Path("a/folder/that/is/not"))
    ''
    """
    if not (folder / "fold_0").is_dir():
        return ""
    report, model = folder / "report", folder / "fold_0"
    return f"it holds all folds; give {report}, their report, or one model of them, {model}"
