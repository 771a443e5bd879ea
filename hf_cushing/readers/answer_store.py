"""Answers of a reading room: each saved at once, none twice.

SQLite with a write-ahead log: an answer is on the disk before the reader sees the next photo.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from hf_cushing.faces.regions import GROUPS
from hf_cushing.readers.kit import ANSWERS, Kit
from hf_cushing.schema import UserError

CONFIDENCES = (1, 2, 3, 4, 5)
"""From a guess to certainty."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS kit (name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS views (
    reader TEXT NOT NULL, read INTEGER NOT NULL, place INTEGER NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    reader TEXT NOT NULL,
    read INTEGER NOT NULL CHECK (read IN (1, 2)),
    place INTEGER NOT NULL,
    "case" TEXT NOT NULL,
    occurrence INTEGER NOT NULL CHECK (occurrence IN (1, 2)),
    call TEXT NOT NULL,
    score INTEGER NOT NULL CHECK (score BETWEEN 1 AND 10),
    seconds REAL,
    regions TEXT NOT NULL,
    answered_at TEXT NOT NULL,
    shown INTEGER NOT NULL,
    UNIQUE (reader, "case", occurrence, read),
    UNIQUE (reader, read, place)
) STRICT;
"""


class OutOfTurn(UserError):
    """An answer to a case that is not the reader's next: nothing was saved."""


@dataclass(frozen=True, kw_only=True)
class NextCase:
    """Where a reader stands: the next case to be answered.

    Attributes
    ----------
    read : int
        1 alone, 2 with the model's score.
    number, total : int
        Counted from 1 within the read.
    name : str
        Of its photo in the kit.
    occurrence : int
        2 for a repeat.
    """

    read: int
    number: int
    total: int
    name: str
    occurrence: int

    @property
    def ticket(self) -> str:
        """Names the place; an answer comes with it, so that it can't land on another case."""
        return f"{self.read}-{self.number}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a reader says of a case.

    Attributes
    ----------
    call : str
        One of the kit's labels.
    confidence : int
        One of `CONFIDENCES`.
    regions : tuple of str
        Groups of `faces.regions.GROUPS`.
    """

    call: str
    confidence: int
    regions: tuple[str, ...] = ()


def score_of(answer: Answer, disease: str) -> int:
    """One scale from 1 (certainly not the disease) to 10 (certainly the disease).

    A call of the disease has 6 or more, so that call and score can't contradict each other.

    Examples
    --------
    >>> score_of(Answer(call="cushing", confidence=5), "cushing")
    10
    >>> score_of(Answer(call="control", confidence=1), "cushing")
    5
    """
    return 5 + answer.confidence if answer.call == disease else 6 - answer.confidence


class AnswerStore:
    """The answers of one kit, in ``answers.db`` beside its photos.

    Every call opens and closes the file, so that any thread, a second server and the analysis
    can use it at the same time.

    Raises
    ------
    UserError
        The file belongs to another kit, or is no database.
    """

    def __init__(self, kit: Kit):
        self.kit = kit
        self.path = kit.folder / ANSWERS
        try:
            with self._open() as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(SCHEMA)
                if not database.execute("SELECT name FROM kit").fetchone():
                    database.execute("INSERT OR IGNORE INTO kit VALUES (?)", (kit.name,))
                (name,) = database.execute("SELECT name FROM kit").fetchone()
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path} can't be used ({error}); put back a copy") from None
        if name != kit.name:
            raise UserError(f"{self.path} holds answers to another kit; put back this kit's own")
        self.path.chmod(0o600)

    def next_case(self, reader: str) -> NextCase | None:
        """The reader's next case, or nothing if all is answered."""
        with self._open() as database:
            return self._next_case(database, reader)

    def show(self, reader: str, case: NextCase, *, at: float | None = None) -> None:
        """Note that the reader sees this case from now on (seconds since 1970)."""
        with self._open() as database:
            row = (reader, case.read, case.number, time.time() if at is None else at)
            database.execute("INSERT INTO views VALUES (?, ?, ?, ?)", row)

    def save(self, reader: str, ticket: str, answer: Answer, *, at: float | None = None) -> None:
        """Save an answer in one transaction.

        Parameters
        ----------
        ticket : str
            Of the place that was shown.
        at : float, optional
            When it was given, seconds since 1970; now.

        Raises
        ------
        OutOfTurn
            The ticket is not that of the reader's next case: already answered, for instance in
            another window.
        UserError
            An unknown reader, or an answer that can't be one.
        """
        _check(answer, self.kit)
        now = time.time() if at is None else at
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            case = self._next_case(database, reader)
            if case is None or case.ticket != ticket:
                raise OutOfTurn(f"reader {reader}: case {ticket} is not the next; nothing saved")
            where = (reader, case.read, case.number)
            since, shown = database.execute(
                "SELECT max(at), count(*) FROM views WHERE reader = ? AND read = ? AND place = ?",
                where,
            ).fetchone()
            score = score_of(answer, self.kit.disease)
            seconds = None if since is None else max(0.0, now - since)
            moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
            values = (*where, case.name, case.occurrence, answer.call, score, seconds,
                      ";".join(answer.regions), moment, shown)  # fmt: skip
            marks = ", ".join("?" * len(values))
            database.execute(f"INSERT INTO answers VALUES ({marks})", values)
            database.execute("COMMIT")

    def rows(self) -> list[sqlite3.Row]:
        """All answers by reader, read and place."""
        with self._open() as database:
            database.row_factory = sqlite3.Row
            return database.execute("SELECT * FROM answers ORDER BY reader, read, place").fetchall()

    def _next_case(self, database: sqlite3.Connection, reader: str) -> NextCase | None:
        for read, order in enumerate(self.kit.reader(reader).orders, start=1):
            (done,) = database.execute(
                "SELECT count(*) FROM answers WHERE reader = ? AND read = ?", (reader, read)
            ).fetchone()
            if done < len(order):
                return NextCase(
                    read=read,
                    number=done + 1,
                    total=len(order),
                    name=order[done],
                    occurrence=1 + order[:done].count(order[done]),
                )
        return None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing either
            yield database
        finally:
            database.close()  # rolls back what was not committed


def _check(answer: Answer, kit: Kit) -> None:
    for name, value, known in (
        ("call", answer.call, kit.labels),
        ("confidence", answer.confidence, CONFIDENCES),
        *(("region", region, GROUPS) for region in answer.regions),
    ):
        if value not in known:
            raise UserError(f"{name} {value!r}: expected one of {', '.join(map(str, known))}")
