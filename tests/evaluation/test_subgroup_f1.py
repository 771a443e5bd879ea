import ast
import doctest
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import evaluate
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from fairlearn.metrics import MetricFrame
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from hf_cushing.evaluation.subgroup_f1 import app
from hf_cushing.stats import intervals

FOLDER = Path(app.__file__).parent
AVERAGES = ("macro", "micro", "weighted")
SIX = {
    "predictions": [1, 1, 0, 1, 0, 0],
    "references": [1, 1, 0, 1, 1, 0],
    "groups": ["female", "female", "female", "male", "male", "male"],
}


def load(config=None, **options):
    return evaluate.load(str(FOLDER), config, **options)


METRIC = load(keep_in_memory=True)
MODULE = sys.modules[type(METRIC).__module__]


def columns(rows):
    references, predictions, groups = (list(column) for column in zip(*rows, strict=True))
    return {"references": references, "predictions": predictions, "groups": groups}


def tables(labels, groups=("female", "male")):
    rows = list(itertools.product(labels, labels, groups))
    return st.lists(st.sampled_from(rows), min_size=1, max_size=12).map(columns)


def drawn_table(rng, size):
    """Random examples, two thirds of them called what they are."""
    truth = rng.integers(2, size=size)
    called = np.where(rng.random(size) < 2 / 3, truth, 1 - truth)
    groups = rng.choice(["female", "male"], size)
    return columns(zip(truth.tolist(), called.tolist(), groups.tolist(), strict=True))


zero_divisions = st.sampled_from([math.nan, 0, 1])


@given(tables([0, 1]), zero_divisions)
def test_binary_f1_agrees_with_scikit_learn(table, zero_division):
    assume(1 in table["references"] + table["predictions"])
    found = METRIC._compute(**table, zero_division=zero_division)
    names = list(found["by_group"])
    numbers = 2 * np.array([names.index(group) for group in table["groups"]])
    expected = f1_score(  # of all groups in one call
        numbers + table["references"], numbers + table["predictions"],
        labels=[2 * number + 1 for number in range(len(names))],
        average=None, zero_division=zero_division,
    )  # fmt: skip
    by_group = [row["f1"] for row in found["by_group"].values()]
    assert by_group == pytest.approx(expected.tolist(), abs=1e-12, nan_ok=True)
    assert sorted(set(table["groups"])) == names


def f1_by_definition(truth, called):
    """Harmonic mean of precision and recall."""
    hits = np.sum((truth == 1) & (called == 1))
    if not np.sum(truth) + np.sum(called):
        return math.nan
    return 2 / (np.sum(called) / hits + np.sum(truth) / hits) if hits else 0.0


@settings(max_examples=10, deadline=None)
@given(st.lists(tables([0, 1], ("female", "male", "unknown")), min_size=25, max_size=25))
def test_groups_and_gap_agree_with_fairlearn(batch):
    """Many tables at once, told apart by a control feature: a frame takes 9 ms."""
    batch = [table for table in batch if 1 in table["references"] + table["predictions"]]
    assume(sum(len(table["groups"]) for table in batch) > 1)  # fairlearn can't take one row
    rows = {name: np.concatenate([table[name] for table in batch]) for name in batch[0]}
    frame = MetricFrame(
        metrics=f1_by_definition,
        y_true=rows["references"],
        y_pred=rows["predictions"],
        sensitive_features=rows["groups"],
        control_features=np.repeat(np.arange(len(batch)), [len(t["groups"]) for t in batch]),
    )
    overall, by_group, gaps = (
        part.to_dict() for part in (frame.overall, frame.by_group, frame.difference())
    )
    for number, table in enumerate(batch):
        found = METRIC._compute(**table)
        f1 = {name: row["f1"] for name, row in found["by_group"].items()}
        expected = {name: by_group[number, name] for name in f1}
        assert f1 == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert found["f1"] == pytest.approx(overall[number], abs=1e-12)
        known = {name: value for name, value in expected.items() if not math.isnan(value)}
        if len(known) > 1:
            assert found["gap"] == pytest.approx(gaps[number], abs=1e-12)
            worst = found["worst_group"]
            assert worst is None or known[worst] == pytest.approx(min(known.values()))
        else:
            assert math.isnan(found["gap"])
            assert found["gap_reason"]
            assert found["worst_group"] is None


@given(
    tables([0, 1, 2]),
    st.sampled_from(AVERAGES),
    zero_divisions,
    st.sampled_from(["everybody", "female", "male"]),
)
def test_averages_agree_with_scikit_learn(table, average, zero_division, whom):
    assume(whom in ("everybody", *table["groups"]))
    found = METRIC._compute(**table, average=average, zero_division=zero_division, intervals=False)
    truth, called, groups = (
        np.array(table[name]) for name in ("references", "predictions", "groups")
    )
    inside = (groups == whom) | (whom == "everybody")
    row = found["by_group"].get(whom, found)
    expected = f1_score(
        truth[inside],
        called[inside],
        labels=np.union1d(truth, called),
        average=average,
        zero_division=zero_division,
    )
    assert row["f1"] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert row.get("n", len(groups)) == inside.sum()


@given(
    st.lists(st.integers(0, 60), min_size=8, max_size=8),
    st.floats(0.5, 0.999),
)
def test_binary_intervals_are_the_packages_wilson_and_difference(cells, level):
    kinds = [(1, 1), (1, 0), (0, 1), (0, 0)]
    rows = [
        (*kind, sex)
        for (sex, kind), count in zip(
            ((sex, kind) for sex in ("female", "male") for kind in kinds), cells, strict=True
        )
        for _ in range(count)
    ]
    ends = {}
    for sex, (hits, missed, false, _) in (("female", cells[:4]), ("male", cells[4:])):
        involved = hits + missed + false
        assume(involved)
        bounds = (hits / involved, *intervals.wilson(hits / involved, involved, level))
        ends[sex] = tuple(2 * x / (1 + x) for x in bounds)
    found = METRIC._compute(**columns(rows), level=level)
    for sex, row in found["by_group"].items():
        assert (row["f1"], row["low"], row["high"]) == pytest.approx(ends[sex], abs=1e-12)
        assert row["low"] <= row["f1"] + 1e-12
        assert row["f1"] <= row["high"] + 1e-12
    best, worst = sorted(ends.values(), reverse=True)
    expected = intervals.difference_interval(best, worst)
    if best[0] > worst[0]:
        assert (found["gap_low"], found["gap_high"]) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.01, 0.999))
def test_repeated_interval_functions_equal_the_packages(hits, misses, level):
    count = hits + misses
    share = hits / count if count else math.nan
    ours, theirs = (f(share, count, level) for f in (MODULE.wilson, intervals.wilson))
    assert ours == pytest.approx(theirs, nan_ok=True)
    sides = (share, *ours), (0.3, 0.1, 0.6)
    assert MODULE.difference_interval(*sides) == pytest.approx(
        intervals.difference_interval(*sides), nan_ok=True
    )


def test_binary_interval_covers_the_true_f1_as_often_as_it_says(rng):
    """Of 1000 samples with sensitivity 0.8, specificity 0.9 and one positive in two."""
    expected = 2 * 0.4 / (2 * 0.4 + 0.1 + 0.05)
    covered = 0
    for _ in range(1000):
        truth = rng.random(80) < 0.5
        called = rng.random(80) < np.where(truth, 0.8, 0.1)
        table = columns(zip(truth.astype(int), called.astype(int), ["all"] * 80, strict=True))
        row = METRIC._compute(**table)["by_group"]["all"]
        covered += row["low"] <= expected <= row["high"]
    assert 0.93 <= covered / 1000 <= 0.97


def patients_photos(rng, photos):
    """120 patients, each called right or wrong on all of their photos, in one of two groups."""
    who = np.repeat(np.arange(120), photos)
    references = rng.integers(3, size=len(who))
    wrong = (rng.random(120) < 1 / 3)[who]
    predictions = np.where(wrong, (references + 1) % 3, references)
    return references, predictions, np.where(who % 2, "male", "female"), who


def draw_one_by_one(truth, called, who, weighted, rng, draws=400):
    """Macro or weighted F1 when patients with the same true labels stand in for each other."""
    rows_of = {one: np.flatnonzero(who == one) for one in np.unique(who)}
    kinds = {}
    for one, rows in rows_of.items():
        kinds.setdefault(tuple(np.unique(truth[rows])), []).append(one)
    values = []
    for _ in range(draws):
        chosen = [one for kind in kinds.values() for one in rng.choice(kind, len(kind))]
        rows = np.concatenate([rows_of[one] for one in chosen])
        y, p = truth[rows], called[rows]
        f1 = [2 * np.sum((y == k) & (p == k)) / (np.sum(y == k) + np.sum(p == k)) for k in range(3)]
        values.append(np.average(f1, weights=np.bincount(y) if weighted else None))
    return np.array(values)


@pytest.mark.parametrize("photos", [1, 3])
@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_bootstrap_agrees_with_drawing_patients_one_by_one(average, photos, rng):
    truth, called, groups, who = patients_photos(rng, photos)
    found = METRIC.compute(
        predictions=called, references=truth, groups=groups, patients=who, average=average
    )
    drawn = {
        name: draw_one_by_one(
            *(x[groups == name] for x in (truth, called, who)), average[0] == "w", rng
        )
        for name in ("female", "male")
    }
    for name, row in found["by_group"].items():
        ends = np.quantile(drawn[name], [0.025, 0.975])
        assert (row["low"], row["high"]) == pytest.approx(ends, abs=0.03)
    best, worst = sorted(drawn, key=lambda name: -found["by_group"][name]["f1"])
    ends = np.quantile(drawn[best] - drawn[worst], [0.025, 0.975])
    assert (found["gap_low"], found["gap_high"]) == pytest.approx(ends, abs=0.04)
    assert found["f1_low"] < found["f1"] < found["f1_high"]


def test_bootstrap_keeps_how_many_have_each_true_label(rng):
    truth, called, _, who = patients_photos(rng, 1)
    options = MODULE.Options(average="macro", draws=200)
    sample, *drawn = MODULE._tables(np.stack([truth, called, who]), 3, options, rng)
    drawn = np.array(drawn)
    assert (sample.sum(1) == np.bincount(truth)).all()
    assert (drawn.sum(2) == np.bincount(truth)).all()
    assert drawn[:, 0, 0].std() > 0


def test_interval_of_all_examples_is_narrower_than_that_of_a_group(rng):
    truth, called, groups, _ = patients_photos(rng, 3)
    found = METRIC.compute(predictions=called, references=truth, groups=groups, average="micro")
    width = {name: row["high"] - row["low"] for name, row in found["by_group"].items()}
    mean = (width["female"] + width["male"]) / 2
    assert found["f1_high"] - found["f1_low"] == pytest.approx(mean / math.sqrt(2), rel=0.1)


def test_seed_fixes_the_bootstrap_and_the_order_of_examples_does_not_matter(rng):
    truth, called, groups, who = patients_photos(rng, 2)
    order = rng.permutation(len(who))

    def compute(rows, seed=0):
        return METRIC.compute(
            references=truth[rows], predictions=called[rows], groups=groups[rows],
            patients=who[rows], average="macro", seed=seed,
        )  # fmt: skip

    first = compute(np.arange(len(who)))
    assert compute(order) == first
    assert compute(order, seed=1)["gap_low"] != first["gap_low"]


def test_photos_of_a_patient_count_once_in_intervals_and_sizes(rng):
    table = drawn_table(rng, 60)
    once = METRIC.compute(**table)
    tripled = {name: column * 3 for name, column in table.items()}
    patients = list(range(60)) * 3
    many = METRIC.compute(**tripled, patients=patients)
    for name, row in once["by_group"].items():
        assert many["by_group"][name] == row | {"n": 3 * row["n"]}
    assert (many["gap_low"], many["gap_high"]) == (once["gap_low"], once["gap_high"])
    without = METRIC.compute(**tripled)
    assert without["gap_high"] - without["gap_low"] < once["gap_high"] - once["gap_low"]


@pytest.mark.parametrize(
    ("positives", "negatives", "size"),
    [(9, 60, "insufficient"), (60, 9, "insufficient"), (10, 60, "wide"), (49, 60, "wide"),
     (50, 50, "ok")],
)  # fmt: skip
def test_size_word_follows_the_rarer_class(positives, negatives, size):
    truth = [1] * positives + [0] * negatives
    found = METRIC.compute(predictions=truth, references=truth, groups=["a"] * len(truth))
    row = found["by_group"]["a"]
    assert (row["positives"], row["negatives"], row["size"]) == (positives, negatives, size)
    macro = METRIC.compute(
        predictions=truth, references=truth, groups=["a"] * len(truth), average="macro"
    )
    assert macro["by_group"]["a"]["size"] == size
    assert math.isnan(macro["f1_low"]) == (size == "insufficient")
    assert bool(macro["f1_reason"]) == (size == "insufficient")


NOTHING = "no positives, and nobody is called positive"
UNDEFINED = {
    "predictions": [1, 0, 0, 0], "references": [1, 1, 0, 0], "groups": ["a", "a", "b", "b"],
}  # fmt: skip


def test_undefined_is_nan_with_a_reason_and_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = METRIC.compute(**UNDEFINED)
    row = found["by_group"]["b"]
    assert all(math.isnan(row[key]) for key in ("f1", "low", "high"))
    assert row["reason"] == NOTHING
    assert all(math.isnan(found[key]) for key in ("gap", "gap_low", "gap_high"))
    assert found["gap_reason"] == f"b: {NOTHING}"
    assert found["worst_group"] is None


@pytest.mark.parametrize("value", [0, 1])
def test_zero_division_sets_f1_but_no_interval(value):
    found = METRIC.compute(**UNDEFINED, zero_division=value)
    row = found["by_group"]["b"]
    assert row["f1"] == value
    assert math.isnan(row["low"])
    assert row["reason"] == f"set by zero_division: {NOTHING}"
    assert found["gap"] == pytest.approx(abs(2 / 3 - value))
    assert math.isnan(found["gap_low"])


def test_gap_leaves_undefined_groups_out_and_names_them():
    more = {name: column + SIX[name] for name, column in UNDEFINED.items()}
    found = METRIC.compute(**more)
    assert found["gap"] == pytest.approx(1 / 3)
    assert found["gap_reason"] == f"b: {NOTHING}"
    assert not math.isnan(found["gap_low"])


def test_macro_mean_of_fewer_labels_says_so():
    found = METRIC.compute(
        predictions=[0, 1, 2, 0, 1], references=[0, 1, 2, 0, 1], groups=["a"] * 3 + ["b"] * 2,
        average="macro", intervals=False,
    )  # fmt: skip
    assert found["by_group"]["a"]["reason"] == ""
    assert found["by_group"]["b"]["f1"] == 1
    assert found["by_group"]["b"]["reason"] == "mean over 2 of 3 labels: nobody has or is called 2"


def test_one_group_has_no_gap_and_the_reason_names_it():
    found = METRIC.compute(predictions=[1, 0], references=[1, 0], groups=["female"] * 2)
    assert found["f1"] == found["by_group"]["female"]["f1"] == 1
    assert math.isnan(found["gap"])
    assert found["gap_reason"] == "only one group: female"
    assert found["worst_group"] is None


def test_equal_groups_have_a_gap_of_zero_and_no_worst_group():
    found = METRIC.compute(predictions=[1, 0] * 2, references=[1, 1] * 2, groups=list("aabb"))
    assert found["gap"] == 0
    assert found["worst_group"] is None
    assert found["gap_low"] == -found["gap_high"] < 0


def test_without_intervals_the_ends_are_left_out():
    found = METRIC.compute(**SIX, intervals=False)
    assert found["gap"] == pytest.approx(1 / 3)
    keys = {*found, *found["by_group"]["male"]}
    assert not {key for key in keys if key.endswith(("low", "high"))}


def test_answer_holds_plain_python_values_only():
    found = METRIC.compute(**SIX, average="micro")
    assert json.loads(json.dumps(found)).keys() == found.keys()


def words(column):
    return ["cushing" if label else "control" for label in column]


def test_words_arrays_series_and_tensors_give_the_same_answer():
    expected = METRIC.compute(**SIX)
    truth, called, groups = SIX["references"], SIX["predictions"], SIX["groups"]
    shifted = range(10, 16)
    for references, predictions, more in (
        (words(truth), words(called), {"pos_label": "cushing"}),
        (np.array(truth), np.array(called, dtype=float), {}),
        (torch.tensor(truth), torch.tensor(called), {}),
        (pd.Series(truth, index=shifted), pd.Series(called, index=shifted), {}),
        ([bool(x) for x in truth], [np.int64(x) for x in called], {}),
    ):
        found = METRIC.compute(
            references=references, predictions=predictions, groups=np.array(groups), **more
        )
        assert found == expected


def test_words_that_look_like_numbers_stay_words():
    texts = {name: [str(value) for value in column] for name, column in SIX.items()}
    assert METRIC.compute(**texts, pos_label="1") == METRIC.compute(**SIX)


def test_positive_label_is_one_against_all_others():
    references, predictions = [0, 1, 2, 2, 1, 2], [0, 2, 2, 2, 1, 1]
    found = METRIC.compute(
        references=references, predictions=predictions, groups=list("aaabbb"), pos_label=2
    )
    truth, called = np.equal(references, 2), np.equal(predictions, 2)
    assert found["f1"] == pytest.approx(f1_score(truth, called))


NAN = float("nan")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": ["a"] * 5}, "found 6 predictions, 6 references, 5 groups; give as many"),
        ({"predictions": [1]}, "found 1 predictions"),
        ({"predictions": [], "references": [], "groups": []}, "at least one"),
        ({"predictions": [1, 1, NAN, 1, 0, 0]}, r"predictions\[2\] is missing; leave"),
        ({"references": [None, 1, 0, 1, 1, 0]}, r"references\[0\] is missing"),
        ({"groups": ["a", "a", "a", "b", "b", NAN]}, r"groups\[5\] is missing"),
        ({"groups": ["a", "a", "a", "b", "", "b"]}, r"groups\[4\] is missing"),
        ({"groups": None}, "groups are missing; give one for each"),
        ({"predictions": [0.7, 0.2, 0.1, 0.9, 0.8, 0.3]}, r"predictions\[0\] is 0.7; give words"),
        ({"predictions": [[0.3, 0.7]] * 6}, "argmax"),
        ({"predictions": ["yes"] * 6}, "mix words and numbers"),
        ({"pos_label": 7}, "pos_label=7 is nobody's label; choose from 0, 1"),
        ({"pos_label": "cushing"}, "pos_label='cushing' is nobody's label"),
        ({"average": "samples"}, "average='samples': choose binary, macro, micro, weighted"),
        ({"zero_division": "warn"}, "zero_division='warn': choose nan, 0, 1"),
        ({"level": 95}, "level=95: choose a share"),
        ({"draws": 10}, "draws=10: choose a whole number from 100"),
        ({"patients": ["A"] * 5}, "found 6 references, 5 patients"),
        ({"patients": ["A"] * 5 + [None]}, r"patients\[5\] is missing"),
    ],
)
def test_bad_input_is_named_with_its_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        METRIC.compute(**SIX | change)


def test_refused_batch_and_example_leave_nothing_behind(tmp_path):
    metric = load(cache_dir=str(tmp_path))
    metric.add_batch(**SIX)
    with pytest.raises(ValueError, match="is missing"):
        metric.add_batch(predictions=[1, NAN], references=[1, 1], groups=["female", "male"])
    with pytest.raises(ValueError, match="is missing"):
        metric.add(prediction=1, reference=1, groups=None)
    with pytest.raises(ValueError, match="Bad inputs"):
        metric.add_batch(**SIX, age=[30] * 6)
    assert metric.compute() == METRIC.compute(**SIX)


def test_configuration_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no configuration 'sex'; choose default or patients"):
        load("sex")


def test_examples_one_by_one_and_in_batches_give_the_same(tmp_path):
    metric = load(cache_dir=str(tmp_path))
    for row in range(6):
        metric.add(
            prediction=SIX["predictions"][row], reference=SIX["references"][row],
            groups=SIX["groups"][row],
        )  # fmt: skip
    one_by_one = metric.compute()
    for part in (slice(0, 4), slice(4, 6)):
        metric.add_batch(**{name: column[part] for name, column in SIX.items()})
    assert one_by_one == metric.compute() == METRIC.compute(**SIX)


def test_metrics_combine():
    parts = {name: load(keep_in_memory=True) for name in ("one", "two")}
    both = evaluate.combine(parts, force_prefix=True)
    both.add_batch(**SIX)
    found = both.compute()
    assert found["one_gap"] == found["two_gap"] == pytest.approx(1 / 3)


OTHER_PROCESS = """
import json, sys
sys.modules["transformers"] = None  # evaluate would import it, which takes 5 s
sys.modules["hf_cushing"] = None
import evaluate
folder, batch, options = json.loads(sys.argv[1])
metric = evaluate.load(folder, "patients", process_id=1, **options)
metric.add_batch(**batch)
assert metric.compute(average="macro") is None
"""


def test_two_processes_answer_as_one_does(tmp_path, rng):
    truth, called, groups, who = patients_photos(rng, 1)
    table = {
        "references": truth.tolist(), "predictions": called.tolist(),
        "groups": groups.tolist(), "patients": [f"P{number}" for number in who],
    }  # fmt: skip
    halves = [{name: column[part::2] for name, column in table.items()} for part in (0, 1)]
    options = {"num_process": 2, "experiment_id": "halves", "cache_dir": str(tmp_path)}
    task = json.dumps([str(FOLDER), halves[1], options])
    other = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, task])
    metric = load("patients", process_id=0, **options)
    metric.add_batch(**halves[0])
    found = metric.compute(average="macro")
    assert other.wait(60) == 0
    assert found == METRIC.compute(**table, average="macro")
    assert found["by_group"]["female"]["n"] == 60


def test_module_with_its_formula_can_be_loaded_and_imports_nothing_of_the_package(tmp_path):
    alone = tmp_path / "copy" / "copy.py"
    alone.parent.mkdir()
    shutil.copy(FOLDER / "subgroup_f1.py", alone)
    shutil.copy(FOLDER / "f1_formula.py", alone.parent)
    assert evaluate.load(str(alone.parent)).compute(**SIX) == METRIC.compute(**SIX)
    found = set()
    for node in ast.walk(ast.parse(alone.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert len(node.names) == 1, "evaluate reads only the first import of a line"
            found.add(node.names[0].name.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or node.module == "f1_formula"
            found |= set() if node.level else {node.module.split(".")[0]}
    assert found - sys.stdlib_module_names == {"datasets", "evaluate", "numpy", "scipy"}


def test_examples_of_the_card_run(monkeypatch):
    monkeypatch.chdir(FOLDER.parent)
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README.md", None, 0)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.failures == 0
    assert runner.tries >= 10


def test_card_names_the_app_the_tags_and_every_entry_of_the_answer():
    _, front, text = (FOLDER / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["sdk"] == "gradio"
    assert (FOLDER / card["app_file"]).is_file()
    assert {"evaluate", "metric"} <= set(card["tags"])
    found = METRIC.compute(**SIX)
    for key in {*found, *found["by_group"]["male"]}:
        assert f"**{key}**" in text
        assert key in MODULE.INPUTS


def test_space_answers_in_strict_json_and_passes_over_empty_rows():
    table = [["cushing", "cushing", "female"], ["control", "control", "male"], ["", None, ""]]
    found = app.score(table, " cushing ")
    assert found["gap"] is None
    assert found["by_group"]["female"]["n"] == found["by_group"]["male"]["n"] == 1
    json.dumps(found, allow_nan=False)
    with pytest.raises(ValueError, match="at least one"):
        app.score([["", "", ""]], "cushing")
