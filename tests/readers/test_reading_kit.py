import csv
import hashlib
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.predict.decision import decide
from hf_cushing.readers.case_order import balanced_sample, reading_order, spread_order
from hf_cushing.readers.kit import read_key, read_kit
from hf_cushing.readers.make_kit import parse_readers
from hf_cushing.run import Run
from hf_cushing.schema import UsageError, UserError
from tests.readers.kits import READERS, as_version_1, copy_of, fake_run, make


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    """A run that has scored the test split."""
    out = tmp_path_factory.mktemp("runs") / "run"
    fake_run(dataset, out)
    return out


@pytest.fixture(scope="module")
def made(dataset, run, tmp_path_factory):
    """A kit with two reads (read only), and the login codes."""
    out = tmp_path_factory.mktemp("kits") / "kit"
    return out, make(dataset, out, run=run, repeats=0.3, seed=4)


@pytest.fixture
def kit(made):
    return made[0]


@pytest.fixture
def photos(dataset):
    return load_faces(str(dataset)).roles["test"]


def test_photos_are_the_dataset_s_pixels_under_names_that_tell_nothing(kit, photos):
    key = read_key(kit)
    by_id = {photo["photo_id"]: photo for photo in photos}
    assert {row["photo_id"] for row in key.values()} == set(by_id)
    for case, row in key.items():
        stored = Image.open(kit / "photos" / f"{case}.png")
        assert not stored.info
        assert not stored.getexif()
        original = by_id[row["photo_id"]]["image"].convert("RGB")
        assert np.array_equal(np.asarray(stored), np.asarray(original))
        digest = hashlib.sha256(row["photo_id"].encode()).hexdigest()
        assert case not in row["photo_id"] + row["patient_id"] + digest


def test_what_the_room_opens_holds_no_photo_id_patient_or_truth(kit):
    key = read_key(kit)
    text = (kit / "kit.json").read_text() + (kit / "scores.json").read_text()
    for row in key.values():
        assert row["photo_id"] not in text
        assert row["patient_id"] not in text
    shown = {path.name for path in kit.rglob("*") if path.is_file() and path.name != "key.csv"}
    assert shown == {"kit.json", "scores.json", *(f"{case}.png" for case in key)}
    assert kit.stat().st_mode & 0o077 == 0
    order = [row["photo_id"] for row in key.values()]
    assert order != sorted(order)


def test_names_of_cases_differ_from_kit_to_kit_but_the_order_of_photos_does_not(
    dataset, run, made, tmp_path
):
    again = make(dataset, tmp_path / "kit", run=run, repeats=0.3, seed=4)
    kits = [read_kit(made[0]), read_kit(tmp_path / "kit")]
    keys = [read_key(kit.folder) for kit in kits]
    assert not set(keys[0]) & set(keys[1])
    first, second = (
        [[key[case]["photo_id"] for case in order] for order in kit.readers["Anna"].orders]
        for kit, key in zip(kits, keys, strict=True)
    )
    assert first == second
    assert set(again.values()).isdisjoint(made[1].values())


def test_each_reader_sees_every_case_and_the_repeats_later(kit, photos):
    opened = read_kit(kit)
    cases = set(read_key(kit))
    gap = json.loads((kit / "kit.json").read_text())["gap"]
    orders = [reader.orders for reader in opened.readers.values()]
    for first, second in orders:
        twice = [case for case, count in Counter(first).items() if count == 2]
        assert set(first) == cases
        assert len(first) == len(cases) + len(twice)
        assert len(twice) == round(0.3 * len(photos))
        for case in twice:
            one, two = (n for n, name in enumerate(first) if name == case)
            assert two - one > gap > 1
        assert sorted(second) == sorted(cases)
    assert orders[0] != orders[1]


def test_every_stretch_of_an_order_holds_each_label_and_sex_in_its_share(rng):
    cells = np.repeat(["a", "b", "c", "d"], [40, 40, 10, 10])
    for _ in range(20):
        order = spread_order(cells, rng)
        assert sorted(order) == list(range(100))
        for start in range(0, 100, 20):
            found = Counter(cells[order[start : start + 20]].tolist())
            expected = {"a": 8, "b": 8, "c": 2, "d": 2}
            assert all(abs(found[name] - share) <= 1 for name, share in expected.items())


@pytest.mark.parametrize(("sizes", "repeats"), [([2, 2], 2), ([25, 25, 25, 25], 50), ([9, 1], 3)])
def test_repeats_lie_a_quarter_apart_and_are_shared_out(rng, sizes, repeats):
    cells = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(50):
        order, gap = reading_order(cells, repeats, rng), len(cells) // 4
        places = [np.flatnonzero(order == case) for case in range(len(cells))]
        twice = [where for where in places if len(where) == 2]
        assert len(twice) == repeats
        assert all(where[1] - where[0] > gap for where in twice)
        again = np.bincount(cells[order[[where[0] for where in twice]]], minlength=len(sizes))
        assert np.abs(again - repeats * np.array(sizes) / sum(sizes)).max() < 1


def test_repeats_without_room_are_refused(rng):
    with pytest.raises(UserError, match="lower --repeats"):
        reading_order(np.repeat(["a", "b", "c", "d"], 1), 4, rng)


def test_cases_are_as_many_of_each_label_and_sex_from_as_many_patients_as_there_are(rng):
    labels = np.repeat(["control", "cushing"], 20)
    sexes = np.tile(np.repeat(["female", "male"], 10), 2)
    patients = np.array([f"p{n // 2}" for n in range(40)])  # two photos each
    rows = balanced_sample(labels, sexes, patients, cases=20, rng=rng)
    assert set(Counter(zip(labels[rows], sexes[rows], strict=True)).values()) == {5}
    assert len(set(patients[rows])) == 20
    assert len(set(rows)) == 20


def test_login_code_opens_and_is_kept_nowhere(made):
    kit, codes = made
    opened = read_kit(kit)
    stored = (kit / "kit.json").read_text()
    for name, code in codes.items():
        assert opened.admits(name, code)
        assert opened.admits(name, f" {code.replace('-', '').lower()}")
        assert not opened.admits(name, code[:-1])
        assert code not in stored
        assert code.replace("-", "") not in stored
    assert not opened.admits("Anna", codes["李 明"])
    assert not opened.admits("nobody", "")
    assert not opened.admits("", "")


def test_the_second_read_has_the_answer_that_the_model_gives_everywhere(dataset, tmp_path):
    scores = fake_run(dataset, tmp_path / "run", splits=("test", "validation"))
    point = {"label": "cushing", "rule": "f1", "split": "validation", "model_revision": "m1"}
    limits = {"female": 0.9, "male": 0.3, "all": 0.5}
    points = [point | {"sex": sex, "threshold": limit} for sex, limit in limits.items()]
    (tmp_path / "run" / "metrics.json").write_text(json.dumps({"operating_points": points}))
    make(dataset, tmp_path / "kit", run=tmp_path / "run")
    kit, run, said = read_kit(tmp_path / "kit"), Run(tmp_path / "run"), []
    for case, row in read_key(kit.folder).items():
        answer = kit.model_answer(case)
        assert answer.probability == pytest.approx(scores[row["photo_id"]])
        assert answer.threshold == limits[row["sex"]]
        score = answer.probability
        (decision,) = decide(run, np.array([[1 - score, score]]), [row["sex"]])
        assert answer.label == decision.label
        said.append(answer.label)
    assert "uncertain" in said  # the scores of the validation photos say nothing of their labels


def test_without_limits_the_model_calls_by_the_threshold_alone(dataset, kit):
    answers = [read_kit(kit).model_answer(case) for case in read_key(kit)]
    assert {a.label for a in answers if a.probability >= a.threshold} == {"cushing"}
    assert {a.label for a in answers if a.probability < a.threshold} == {"control"}


def test_kit_of_version_1_has_scores_and_one_threshold(kit, tmp_path):
    old = copy_of(kit, tmp_path)
    as_version_1(old, threshold=0.3)
    for case in read_key(old):
        answer = read_kit(old).model_answer(case)
        assert answer.probability == read_kit(kit).model_answer(case).probability
        assert (answer.threshold, answer.label) == (0.3, None)


def test_a_report_of_several_models_is_refused(dataset, tmp_path):
    fake_run(dataset, tmp_path / "run")
    rows = load_predictions(tmp_path / "run")
    models = np.where(np.arange(len(rows)) % 2, "m1", "m2")
    replace(rows, model_revision=models).save(tmp_path / "run" / "predictions.parquet")
    with pytest.raises(UserError, match="pools 2 models"):
        make(dataset, tmp_path / "kit", run=tmp_path / "run")


def test_without_a_run_there_is_one_read_and_no_score(dataset, tmp_path):
    make(dataset, tmp_path / "kit")
    assert not (tmp_path / "kit" / "scores.json").exists()
    assert {len(r.orders) for r in read_kit(tmp_path / "kit").readers.values()} == {1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "exam"}, "give train or validation or test"),
        ({"repeats": 0.6}, "from 0 to 0.5"),
        ({"repeats": 0.01}, "is none"),
        ({"cases": 3}, "4 or more"),
        ({"label": "acromegaly"}, "choose cushing"),
    ],
)
def test_impossible_options_are_wrong_usage(dataset, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        make(dataset, tmp_path / "kit", **options)
    assert not list(tmp_path.iterdir())


def test_too_few_photos_for_the_balance_says_which_and_how_many_would_do(dataset, tmp_path):
    with pytest.raises(UserError, match=r"of 100 (women|men) with .*--cases \d+ is the most"):
        make(dataset, tmp_path / "kit", cases=400)
    assert not list(tmp_path.iterdir())


def test_kit_is_never_overwritten_and_one_with_answers_says_so(dataset, kit, tmp_path):
    before = (kit / "kit.json").read_bytes()
    with pytest.raises(UserError, match="is there already"):
        make(dataset, kit)
    assert (kit / "kit.json").read_bytes() == before
    answered = tmp_path / "kit"
    answered.mkdir()
    (answered / "answers.db").touch()
    with pytest.raises(UserError, match="never overwritten"):
        make(dataset, answered)


def test_kit_that_fails_half_way_leaves_nothing(dataset, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="disk full"):
        make(dataset, tmp_path / "kit")
    assert not list(tmp_path.iterdir())


def test_run_that_lacks_photos_or_knows_them_too_well_is_refused(dataset, tmp_path):
    fake_run(dataset, tmp_path / "run", keep=5)
    with pytest.raises(UserError, match="has no score of 9 of 14 photos"):
        make(dataset, tmp_path / "kit", run=tmp_path / "run")
    with pytest.raises(UsageError, match="the model knows these photos"):
        make(dataset, tmp_path / "kit", run=tmp_path / "run", split="train")


def test_kit_of_another_version_or_with_a_photo_lost_is_refused(dataset, tmp_path):
    with pytest.raises(UserError, match="not a reading kit"):
        read_kit(tmp_path)
    make(dataset, tmp_path / "kit")
    lost = next((tmp_path / "kit" / "photos").iterdir())
    lost.rename(tmp_path / lost.name)
    with pytest.raises(UserError, match=f"lacks 1 of 14 photos .*{lost.name}"):
        read_kit(tmp_path / "kit")
    found = json.loads((tmp_path / "kit" / "kit.json").read_text())
    (tmp_path / "kit" / "kit.json").write_text(json.dumps(found | {"version": 99}))
    with pytest.raises(UserError, match=r"version 99 .*knows versions 1, 2"):
        read_kit(tmp_path / "kit")


def write_readers(folder, rows):
    path = folder / "readers.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def test_readers_come_from_a_table_or_a_number(tmp_path):
    rows = [("reader", "level", "ward"), ("Anna", "Expert", "2"), ("李 明", "student", "")]
    assert parse_readers(write_readers(tmp_path, rows)) == READERS
    assert [(r.name, r.level) for r in parse_readers("2", "resident")] == [
        ("reader-1", "resident"),
        ("reader-2", "resident"),
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("reader", "level"), ("A", "expert"), ("B", "")], "row 3: no level; write one of"),
        ([("reader", "level"), ("A", "chief")], "row 2: unknown level 'chief'"),
        ([("reader", "level"), ("A", "expert"), ("A", "expert")], "row 3: .* stands twice"),
        ([("reader", "level"), ("=1+1", "expert")], "row 2: '=1\\+1' can't be"),
        ([("reader", "grade"), ("A", "expert")], "lacks column level"),
    ],
)
def test_bad_table_of_readers_names_the_row(tmp_path, rows, words):
    with pytest.raises(UserError, match=words):
        parse_readers(write_readers(tmp_path, rows))


@pytest.mark.parametrize(
    ("given", "level", "words"),
    [
        ("3", None, "--level"),
        ("3", "chief", "--level"),
        ("0", "expert", "at least one"),
        ("gone.csv", None, "give a number"),
    ],
)
def test_readers_that_cannot_be_understood_are_wrong_usage(given, level, words):
    with pytest.raises(UsageError, match=words):
        parse_readers(given, level)
