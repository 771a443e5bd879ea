"""Propose how a hospital's table is to be read: ``clinic.yaml``, for a person to confirm."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_cushing.data.clinic_file import CLINIC_FILE, OPEN, OUR_COLUMNS
from hf_cushing.data.file_names import FolderFiles
from hf_cushing.data.table import encoding_of, find_table, find_tables, plain, read_table
from hf_cushing.data.vocabulary import column_of, meaning
from hf_cushing.data.workbook import filled_sheets
from hf_cushing.files import write_text
from hf_cushing.schema import KNOWN_LABELS, REQUIRED_COLUMNS, SEXES, VIEWS, UserError, counted

MOST_VALUES = 60
"""Different words of a column; with more it holds free text."""

OURS = {"sex": SEXES, "label": KNOWN_LABELS, "view": VIEWS}
"""Columns whose words are translated, and into which."""

HEAD = f"""\
# How `hf-cushing prepare` reads this folder's table, as it seems from what is there. The table
# itself stays as it is. Check every line. {OPEN} marks a guess or a gap: correct it and delete the
# {OPEN}; nothing is prepared while one stands. A value 'leave out' leaves those rows out.
"""


@dataclass(frozen=True)
class _Table:
    """A table that may be meant; `columns` are ours to theirs and whether that is sure."""

    path: Path
    sheet: str
    encoding: str
    rows: list[dict[str, str]]
    columns: dict[str, tuple[str, bool]]
    notes: dict[str, str]

    @property
    def known(self) -> tuple[int, int]:
        """How much is found: required columns, then all."""
        return sum(name in self.columns for name in REQUIRED_COLUMNS), len(self.columns)


def propose(raw: Path, *, overwrite: bool = False) -> str:
    """Write ``clinic.yaml`` into a clinic folder from what is seen there.

    Returns
    -------
    str
        Its text.

    Raises
    ------
    UserError
        No table, or a ``clinic.yaml`` that a person may have confirmed.
    """
    path = raw / CLINIC_FILE
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already; read it, or add --overwrite to have it anew")
    if not raw.is_dir() or not find_tables(raw):
        find_table(raw)  # says what is there instead
    tables = [table for found in find_tables(raw) for table in _tables_in(raw, found)]
    if not tables:
        raise UserError(f"{raw}: no table that can be read; run without --propose for the reason")
    best = max(tables, key=lambda table: table.known)
    text = HEAD + "".join(f"{line}\n" for line in _lines(raw, best, tables))
    write_text(path, text)
    return text


def _tables_in(raw: Path, path: Path) -> Iterator[_Table]:
    files, encoding = FolderFiles(raw, base=path.parent), _guess_encoding(path)
    sheets = list(filled_sheets(path)) if path.suffix.lower() == ".xlsx" else [""]
    for sheet in sheets:
        try:
            read = read_table(path, lambda problem: None, sheet=sheet, encoding=encoding,
                              as_written=True)  # fmt: skip
            rows = [cells for _, cells in read]
        except UserError:  # a legend, or a sheet of something else
            continue
        columns, notes = _columns(rows, files)
        yield _Table(path, sheet * (len(sheets) > 1), encoding, rows, columns, notes)


def _guess_encoding(path: Path) -> str:
    """Empty for UTF-8 and UTF-16; else Chinese where high bytes come in pairs, or Western."""
    if path.suffix.lower() not in (".csv", ".tsv", ".jsonl"):
        return ""
    content = path.read_bytes()
    try:
        content.decode(encoding_of(path))
    except UnicodeDecodeError:
        runs = re.findall(rb"[\x80-\xff]+", content)
        return "gb18030" if all(len(run) % 2 == 0 for run in runs) else "cp1252"
    return ""


def _columns(
    rows: Sequence[dict[str, str]], files: FolderFiles
) -> tuple[dict[str, tuple[str, bool]], dict[str, str]]:
    """Ours to the table's columns, and what speaks for them."""
    names = list(dict.fromkeys(name for cells in rows for name in cells))
    found: dict[str, tuple[str, bool]] = {}
    notes: dict[str, str] = {}
    hits = {name: sum(bool(files.find(cells.get(name, ""))) for cells in rows) for name in names}
    hits = {n: count for n, count in hits.items() if any(cells.get(n) for cells in rows) and count}
    if hits and 2 * max(hits.values()) >= len(rows):
        best = max(hits, key=lambda name: hits[name])
        found["file_name"] = best, True
        notes["file_name"] = f"{hits[best]} of {len(rows)} rows name a file of the folder"
    taken = {name for name, _ in found.values()}
    guesses = [(name, *column_of(name)) for name in names if name not in taken]
    for sure in (True, False):
        for name, ours, certain in guesses:
            if ours and certain == sure and ours not in found and name not in taken:
                found[ours] = name, sure
                taken.add(name)
            elif ours and certain == sure and ours in found and name not in taken:
                notes[ours] = f"{notes.get(ours, '')}, or '{name}'?".strip(", ")
    for name in names:
        if "sex" not in found and name not in taken and _sexes([c.get(name, "") for c in rows]):
            found["sex"], notes["sex"] = (name, False), "its cells are words for sexes"
    return {ours: found[ours] for ours in OUR_COLUMNS if ours in found}, notes


def _sexes(cells: Sequence[str]) -> bool:
    """Whether a column holds words for women and for men, and nothing else."""
    found = {meaning("sex", cell) for cell in set(cells) - {""}}
    return {("female", True), ("male", True)} <= found and all(sure for _, sure in found)


def _lines(raw: Path, table: _Table, tables: Sequence[_Table]) -> Iterator[str]:
    others = {
        other.path.relative_to(raw).as_posix() for other in tables if other.path != table.path
    }
    also = f"also there: {', '.join(sorted(others))}" if others else ""
    yield _line("", "table", table.path.relative_to(raw).as_posix(), True, also)
    if table.sheet:
        sheets = [t.sheet for t in tables if t.path == table.path and t.sheet != table.sheet]
        also = f"also there: {', '.join(sheets)}" if sheets else ""
        yield _line("", "sheet", table.sheet, True, also)
    if table.encoding:
        yield _line("", "encoding", table.encoding, True, "not UTF-8; check accents and signs")
    yield "columns:  # ours: the table's"
    for ours in OUR_COLUMNS:
        if ours in table.columns:
            yield _line("  ", ours, *table.columns[ours], table.notes.get(ours, ""))
        elif ours in REQUIRED_COLUMNS:
            yield _line("  ", ours, "", False, "no column looks like it")
    yield "values:  # the table's: ours"
    for ours in OURS:
        if ours in table.columns:
            yield from _value_lines(ours, [c.get(table.columns[ours][0], "") for c in table.rows])
    used = {name for name, _ in table.columns.values()}
    rest = [name for name in dict.fromkeys(n for c in table.rows for n in c) if name not in used]
    if rest:
        yield f"# not carried over: {', '.join(rest)}"


def _value_lines(ours: str, cells: Sequence[str]) -> Iterator[str]:
    """What each word of a column means, the commonest first."""
    counts: Counter[str] = Counter()
    spelling: dict[str, str] = {}
    for cell in cells:
        counts[spelling.setdefault(plain(cell), cell)] += 1
    if len(counts) > MOST_VALUES:
        yield _line("  ", ours, "", False, f"{len(counts)} different words: is this the column?")
        return
    own = ", a name of your own" if ours == "label" else ""
    yield f"  {ours}:  # to {', '.join(OURS[ours])}{own} or leave out"
    spanish = ours == "sex" and "h" in spelling  # hombre and mujer: M is no man there
    for word, count in counts.most_common():
        found, sure = meaning(ours, word)
        if spanish and plain(word) == "m":
            found, sure = "female", False
        if not found and ours == "view" and not word:
            continue
        yield _line("    ", word, found, sure, counted(count, "row"))


def _line(indent: str, name: str, value: str, sure: bool, note: str) -> str:
    text = _scalar(value) if sure else f"{value} {OPEN}".strip()
    if not sure and _scalar(value) != value and value:
        text = _scalar(f"{value} {OPEN}")
    return f"{indent}{_scalar(name)}: {text}" + (f"  # {note}" if note else "")


def _scalar(text: str) -> str:
    """A word of YAML, between quotation marks where it needs them."""
    simple = re.fullmatch(r"[^\W\d_]([\w .()/+-]*[\w.)])?", text)
    return text if simple else json.dumps(text, ensure_ascii=False)
