import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hf_cushing.cli import app
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.explain.reader_regions import read_reader_regions
from hf_cushing.faces.regions import GROUPS
from hf_cushing.readers.answer_store import Answer, AnswerStore, OutOfTurn, score_of
from hf_cushing.readers.export import COLUMNS, export, region_rows, write_rows
from hf_cushing.readers.kit import read_key, read_kit
from hf_cushing.readers.read_answers import read_answers
from hf_cushing.schema import UsageError, UserError
from tests.readers.kits import copy_of, fake_run, make

YES = Answer(call="cushing", confidence=4, regions=("malar", "chin"))
NO = Answer(call="control", confidence=2)


@pytest.fixture(scope="module")
def made(dataset, tmp_path_factory):
    """A run and a kit with two reads and repeats (read only)."""
    folder = tmp_path_factory.mktemp("kits")
    fake_run(dataset, folder / "run")
    make(dataset, folder / "kit", run=folder / "run", repeats=0.2)
    return folder


@pytest.fixture
def kit(made, tmp_path):
    return read_kit(copy_of(made / "kit", tmp_path))


@pytest.fixture
def store(kit):
    return AnswerStore(kit)


def read_all(store, reader, count=None):
    """Answer the next cases, each shown for half a second more than the one before."""
    now = 1000.0
    while (place := store.next_case(reader)) and count != 0:
        store.show(reader, place, at=now)
        now += place.number / 2
        store.save(reader, place.ticket, YES if place.number % 2 else NO, at=now)
        count = None if count is None else count - 1


def test_answers_follow_the_order_and_the_second_read_comes_after_the_whole_first(store, kit):
    read_all(store, "Anna")
    orders = kit.readers["Anna"].orders
    rows = store.rows()
    assert [row["case"] for row in rows] == [*orders[0], *orders[1]]
    assert [row["read"] for row in rows] == [1] * len(orders[0]) + [2] * len(orders[1])
    assert {row["occurrence"] for row in rows if row["read"] == 2} == {1}
    assert sum(row["occurrence"] == 2 for row in rows) == len(orders[0]) - len(orders[1]) == 3
    assert store.next_case("Anna") is None
    assert store.next_case("李 明").ticket == "1-1"


def test_reader_resumes_where_they_stopped(store, kit):
    read_all(store, "Anna", count=4)
    place = AnswerStore(read_kit(kit.folder)).next_case("Anna")
    assert (place.ticket, place.name) == ("1-5", kit.readers["Anna"].orders[0][4])


def test_a_case_is_answered_once_and_only_in_turn(store):
    ticket = store.next_case("Anna").ticket
    store.save("Anna", ticket, YES)
    for wrong in (ticket, "1-3", "2-1", "", "nonsense"):
        with pytest.raises(OutOfTurn, match="nothing saved"):
            store.save("Anna", wrong, NO)
    assert [(row["call"], row["place"]) for row in store.rows()] == [("cushing", 1)]


def test_after_the_last_answer_nothing_more_is_taken(store):
    read_all(store, "Anna")
    before = len(store.rows())
    with pytest.raises(OutOfTurn):
        store.save("Anna", "2-1", YES)
    assert len(store.rows()) == before


def test_of_answers_at_the_same_moment_one_is_saved(kit):
    stores = [AnswerStore(kit) for _ in range(8)]

    def save(store):
        try:
            store.save("Anna", "1-1", YES)
        except OutOfTurn:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(save, stores)) == 1
    assert len(stores[0].rows()) == 1


def test_database_itself_refuses_a_second_answer_to_a_case(store):
    store.save("Anna", "1-1", YES)
    with sqlite3.connect(store.path) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute("INSERT INTO answers SELECT * FROM answers")


ANSWER_ALL = """
import sys
from hf_cushing.readers.kit import read_kit
from hf_cushing.readers.answer_store import Answer, AnswerStore
store = AnswerStore(read_kit(sys.argv[1]))
while place := store.next_case("Anna"):
    store.save("Anna", place.ticket, Answer(call="cushing", confidence=3))
    print(place.ticket, flush=True)
"""


def test_killed_server_loses_no_answer_that_was_confirmed(kit):
    process = subprocess.Popen(
        [sys.executable, "-c", ANSWER_ALL, str(kit.folder)], stdout=subprocess.PIPE, text=True
    )
    confirmed = [process.stdout.readline().strip() for _ in range(3)]
    process.send_signal(signal.SIGKILL)
    confirmed += process.communicate()[0].split()
    rows = AnswerStore(kit).rows()
    saved = [f"{row['read']}-{row['place']}" for row in rows]
    assert saved[: len(confirmed)] == confirmed
    assert len(saved) - len(confirmed) in (0, 1)  # saved, but not yet confirmed
    read_all(AnswerStore(kit), "Anna")
    assert len(AnswerStore(kit).rows()) == sum(map(len, kit.readers["Anna"].orders))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(call="acromegaly", confidence=1), "call 'acromegaly': expected one of control"),
        (Answer(call="cushing", confidence=6), "confidence 6: expected one of 1, 2"),
        (Answer(call="cushing", confidence=1, regions=("ear",)), "region 'ear': expected"),
    ],
)
def test_answer_that_cannot_be_one_is_refused(store, answer, words):
    with pytest.raises(UserError, match=words):
        store.save("Anna", "1-1", answer)
    assert not store.rows()


def test_unknown_reader_is_named(store):
    for call in (lambda: store.next_case("Eve"), lambda: store.save("Eve", "1-1", YES)):
        with pytest.raises(UserError, match="unknown reader 'Eve'; this kit was made for Anna"):
            call()


def test_answers_of_another_kit_or_no_database_are_refused(dataset, kit, tmp_path):
    AnswerStore(kit)
    make(dataset, tmp_path / "other")
    shutil.copy(kit.folder / "answers.db", tmp_path / "other")
    with pytest.raises(UserError, match="answers to another kit"):
        AnswerStore(read_kit(tmp_path / "other"))
    (tmp_path / "other" / "answers.db").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="can't be used"):
        AnswerStore(read_kit(tmp_path / "other"))


def test_rating_above_the_middle_is_a_call_of_the_disease():
    answers = [
        Answer(call=call, confidence=sure)
        for call, steps in (("control", (5, 4, 3, 2, 1)), ("cushing", (1, 2, 3, 4, 5)))
        for sure in steps
    ]
    assert [score_of(answer, "cushing") for answer in answers] == list(range(1, 11))


def test_time_counts_from_the_last_showing_and_interruptions_are_told(store):
    place = store.next_case("Anna")
    for at in (100.0, 5000.0):  # the reader paused, and came back
        store.show("Anna", place, at=at)
    store.save("Anna", place.ticket, YES, at=5007.25)
    (row,) = store.rows()
    assert (row["seconds"], row["shown"]) == (7.25, 2)
    store.save("Anna", "1-2", YES)  # never shown: no time is made up
    assert store.rows()[1]["seconds"] is None


def test_long_table_names_photos_through_the_key(store, kit):
    read_all(store, "李 明", count=5)
    table = export(kit.folder)
    key = read_key(kit.folder)
    order = kit.readers["李 明"].orders[0][:5]
    assert [tuple(row) for row in table] == [COLUMNS] * 5
    assert [row["photo_id"] for row in table] == [key[case]["photo_id"] for case in order]
    first = dict(table[0])
    assert first.pop("answered_at") == "1970-01-01T00:16:40+00:00"
    del first["photo_id"]
    assert first == {
        "reader": "李 明", "level": "student", "read": "1", "occurrence": "1",
        "call": "cushing", "score": "9", "seconds": "0.50", "regions": "malar;chin", "shown": "1",
    }  # fmt: skip


def test_analysis_reads_the_kit_and_the_written_table_alike(store, kit, made, tmp_path):
    for reader in ("Anna", "李 明"):
        read_all(store, reader)
    write_rows(tmp_path / "long.csv", export(kit.folder))
    predictions = load_predictions(made / "run")
    found = [
        read_answers(source, predictions, label="cushing", split="test")
        for source in (kit.folder, tmp_path / "long.csv")
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 2 * sum(map(len, kit.readers["Anna"].orders))
    assert all(one.call == (one.score > 5.5) for one in found[0])


def test_analysis_finds_a_key_that_was_moved(store, kit, made, tmp_path):
    read_all(store, "Anna")
    (kit.folder / "key.csv").rename(tmp_path / "key.csv")
    run = Path(shutil.copytree(made / "run", tmp_path / "run"))
    point = {"label": "cushing", "threshold": 0.4, "rule": "f1", "split": "validation",
             "model_revision": "m1"}  # fmt: skip
    record = {"schema_version": 2, "operating_points": [point]}
    (run / "metrics.json").write_text(json.dumps(record))
    line = ["readers", "analyse", kit.folder, "--run", run, "--out", tmp_path / "report"]
    without = CliRunner().invoke(app, [*map(str, line)])
    assert isinstance(without.exception, UserError)
    assert "say where it is with --key" in str(without.exception)
    found = CliRunner().invoke(app, [*map(str, line), "--key", str(tmp_path / "key.csv")])
    assert found.exit_code == 0, found.output
    assert (tmp_path / "report" / "report.html").is_file()
    predictions = load_predictions(made / "run")
    with pytest.raises(UsageError, match="--key is for a kit folder"):
        read_answers(tmp_path / "long.csv", predictions, label="cushing", split="test",
                     key=tmp_path / "key.csv")  # fmt: skip


def test_region_table_is_what_the_explanations_are_compared_with(store, kit, tmp_path):
    read_all(store, "Anna")
    table = export(kit.folder)
    write_rows(tmp_path / "regions.csv", region_rows(table))
    photos = {row["photo_id"] for row in table}
    read = read_reader_regions(tmp_path / "regions.csv", photo_ids=photos, regions=tuple(GROUPS))
    first = {r["photo_id"]: r for r in table if (r["read"], r["occurrence"]) == ("1", "1")}
    assert set(read.photo_ids) == set(first)
    for photo, scores in zip(read.photo_ids, read.scores[0], strict=True):
        ticked = {name for name, score in zip(read.regions, scores, strict=True) if score == 1}
        assert ticked == set(filter(None, first[photo]["regions"].split(";")))


def test_key_may_lie_elsewhere_and_must_be_this_kit_s(store, kit, tmp_path):
    with pytest.raises(UserError, match="has no answers yet"):
        export(kit.folder)
    read_all(store, "Anna", count=2)
    expected = export(kit.folder)
    away = tmp_path / "key.csv"
    (kit.folder / "key.csv").rename(away)
    assert export(kit.folder, away) == expected
    with pytest.raises(UserError, match="says which case is which photo"):
        export(kit.folder)
    lines = away.read_text().splitlines()
    away.write_text("\n".join(line for line in lines if store.rows()[0]["case"] not in line))
    with pytest.raises(UserError, match=r"the key of .* lacks case"):
        export(kit.folder, away)
    away.write_text("photo_id,label\na,b\n")
    with pytest.raises(UserError, match="lacks column case"):
        export(kit.folder, away)


def test_kit_without_answers_has_no_table(kit):
    with pytest.raises(UserError, match="readers serve"):
        export(kit.folder)
    assert not (kit.folder / "answers.db").exists()
    assert "answers" not in json.loads((kit.folder / "kit.json").read_text())
