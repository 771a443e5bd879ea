"""A reader study analysed: against the functions it rests on, and where data are lacking."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, recall_score, roc_auc_score
from typer.testing import CliRunner

from hf_cushing.cli import app
from hf_cushing.evaluation.operating_points import OperatingPoint
from hf_cushing.evaluation.predictions import Predictions
from hf_cushing.readers.multi_reader import GAIN, MEAN, Effect
from hf_cushing.readers.options import AnalysisOptions
from hf_cushing.readers.page import reader_markdown
from hf_cushing.readers.read_answers import AnswerRow
from hf_cushing.readers.report import analyse_readers
from hf_cushing.readers.study import load_study, make_study
from hf_cushing.readers.verdicts import difference_sentence, reader_screen
from hf_cushing.reports.screen import screen_lines
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from hf_cushing.stats.mrmc import FIXED_READERS, RANDOM, Estimate, compare_modalities
from hf_cushing.stats.reader_scores import ReaderScores

PHOTOS, READERS = 60, 4
LEVELS = ("student", "student", "expert", "expert")


def predictions_of(photos=PHOTOS, seed=0):
    """Half sick; one photo a patient; as many validation photos."""
    rng = np.random.default_rng(seed)
    count = 2 * photos
    truth = np.arange(count) % 2 == 0
    score = 1 / (1 + np.exp(-(2.5 * truth - 1.25 + rng.normal(size=count))))
    return Predictions(
        photo_id=np.array([f"{n:04x}" for n in range(count)]),
        patient_id=np.array([f"p{n:03d}" for n in range(count)]),
        label=np.where(truth, "cushing", "control"),
        sex=np.where(np.arange(count) % 3 > 0, "female", "male"),
        split=np.where(np.arange(count) < photos, "test", "validation"),
        fold=np.zeros(count, int),
        seed=np.zeros(count, int),
        probabilities=np.stack([1 - score, score], 1),
        labels=("control", "cushing"),
        model_revision="m",
        dataset_revision="d",
    )


def answers_of(predictions, photos=PHOTOS, seed=1):
    """Four readers, two reads, every tenth photo twice in the first; scores from 0 to 4."""
    rng = np.random.default_rng(seed)
    found = []
    for reader in range(READERS):
        for photo in range(photos):
            sick = predictions.label[photo] == "cushing"
            for read, occurrence in ((1, 1), (1, 2), (2, 1))[:: 1 if photo % 10 == 0 else 2]:
                score = int(np.clip(np.rint(2 + (sick - 0.5) * read + rng.normal()), 0, 4))
                found.append(
                    AnswerRow(
                        row=len(found) + 2,
                        reader=f"R{reader}",
                        level=LEVELS[reader],
                        photo_id=str(predictions.photo_id[photo]),
                        read=read,
                        occurrence=occurrence,
                        call=score >= 2,
                        score=float(score),
                        seconds=5.0 + score,
                        regions=("nose",) if sick else (),
                    )
                )
    return found


POINT = OperatingPoint(
    label="cushing", threshold=0.5, rule="f1", split="validation", model_revision="m"
)


def study_of(answers, predictions=None):
    predictions = predictions or predictions_of()
    return make_study(answers, predictions, [POINT], label="cushing", split="test")


@pytest.fixture(scope="module")
def predictions():
    return predictions_of()


@pytest.fixture(scope="module")
def answers(predictions):
    return answers_of(predictions)


@pytest.fixture(scope="module")
def study(answers):
    return study_of(answers)


@pytest.fixture(scope="module")
def report(study):
    return analyse_readers(study, draws=200)


def find(rows, **wanted):
    (row,) = [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]
    return row


def test_rates_of_readers_are_those_of_scikit_learn(study, report):
    calls, truth = study.calls[2, 0, 0] == 1, study.truth
    women = study.photos.sex == "female"
    row = find(report.rates, name="R2", read=1, subgroup="female")
    assert row.values["recall"].estimate == recall_score(truth[women], calls[women])
    assert row.values["f1"].estimate == pytest.approx(f1_score(truth[women], calls[women]))
    assert row.values["auroc"].estimate == pytest.approx(
        roc_auc_score(truth[women], study.scores[2, 0, 0][women])
    )
    assert row.values["f1"].low < row.values["f1"].estimate < row.values["f1"].high
    everybody = find(report.rates, name="all readers", read=1, subgroup="all")
    assert everybody.answers == READERS * PHOTOS
    assert everybody.photos == PHOTOS
    assert everybody.values["accuracy"].estimate == pytest.approx(
        (study.calls[:, 0, 0] == truth).mean()
    )


def test_a_reader_who_copies_another_adds_no_certainty(answers):
    alone = [a for a in answers if a.reader in ("R0", "R2")]
    copied = [replace(a, reader="R0 again") for a in alone if a.reader == "R0"]
    report = analyse_readers(study_of([*alone, *copied]), draws=50)
    one = find(report.rates, name="R0", read=1, subgroup="all").values["recall"]
    both = find(report.rates, name="student", read=1, subgroup="all")
    pooled = both.values["recall"]
    assert both.answers == 2 * PHOTOS
    assert pooled.high - pooled.low == pytest.approx(one.high - one.low, rel=0.01)


def test_gain_is_that_of_the_multi_reader_analysis(study, report):
    scores = ReaderScores(
        ratings=study.scores[:, (1, 0), 0], truth=study.truth, modalities=("2", "1")
    )
    expected = compare_modalities(scores).analyses[RANDOM].differences["2", "1"]
    found = find(
        report.effects, question=GAIN, group="all readers", metric="auroc", analysis=RANDOM
    )
    assert found.estimate == expected
    assert (found.readers, found.photos) == (READERS, PHOTOS)
    assert found.p_holm >= found.estimate.p


def test_matched_points_and_kappas_are_of_the_right_photos(study, report):
    row = find(report.matched, name="R1")
    calls = study.calls[1, 0, 0] == 1
    assert row.sensitivity == recall_score(study.truth, calls)
    assert row.as_specific.specificity == row.specificity
    pair = find(report.pairs, first="R0", second="R3", read=2)
    assert pair.scores.estimate == pytest.approx(
        cohen_kappa_score(study.scores[0, 1, 0], study.scores[3, 1, 0], weights="quadratic",
                          labels=range(5))
    )  # fmt: skip
    assert pair.calls.estimate == pytest.approx(
        cohen_kappa_score(study.calls[0, 1, 0], study.calls[3, 1, 0])
    )
    assert find(report.intra, name="R0").calls.same.photos == PHOTOS // 10
    assert find(report.fleiss, group="expert", read=1).readers == 2


def test_overlap_counts_every_photo_once_and_is_adjusted_over_all_lines(study, report):
    row = find(report.overlaps, name="R0")
    right, model = study.calls[0, 0, 0] == study.truth, study.model.called == study.truth
    assert row.errors["everyone"].first_only == (right & ~model).sum()
    assert row.errors["diseased"].both_wrong == (~right & ~model & study.truth).sum()
    assert all(r.p_holm >= r.errors["everyone"].p for r in report.overlaps if r.p_holm < 1)
    majority = find(report.overlaps, name="majority of 4 readers")
    votes = np.nansum(study.calls[:, 0, 0], axis=0)
    assert majority.tied == (votes == 2).sum() > 0
    assert majority.photos == PHOTOS - majority.tied


def test_a_reader_who_stopped_early_keeps_own_figures_and_leaves_the_crossed_ones(answers):
    early = [a for a in answers if a.reader != "R3" or int(a.photo_id, 16) < 10]
    report = analyse_readers(study_of(early), draws=50)
    assert find(report.rates, name="R3", read=1, subgroup="all").photos == 10
    row = find(report.effects, question=MEAN, group="all readers", metric="auroc",
               read="alone", analysis=RANDOM)  # fmt: skip
    assert (row.readers, row.photos) == (3, PHOTOS)
    assert any("reader R3 read 10 of 60 photos alone" in note for note in report.notes)
    assert any("without reader R3 (10 of 60 photos)" in note for note in report.notes)
    assert "Not every reader judged every photo" in " ".join(screen_lines(reader_screen(report)))


def test_photos_that_one_of_the_readers_skipped_leave_the_crossed_figures(answers):
    skipped = [a for a in answers if a.reader != "R3" or int(a.photo_id, 16) >= 5]
    report = analyse_readers(study_of(skipped), draws=50)
    row = find(report.effects, question=GAIN, group="all readers", metric="sensitivity",
               analysis=FIXED_READERS)  # fmt: skip
    assert (row.readers, row.photos) == (4, PHOTOS - 5)
    assert find(report.effects, question=MEAN, group="student", metric="auroc",
                read="alone", analysis=RANDOM).photos == PHOTOS  # fmt: skip
    assert any("without 5 photos that not all" in note for note in report.notes)


def test_without_scores_auroc_is_left_out_and_said_so(answers):
    bare = [replace(a, score=math.nan, seconds=math.nan, regions=()) for a in answers]
    report = analyse_readers(study_of(bare), draws=50)
    assert not [row for row in report.effects if row.metric == "auroc"]
    told = reader_markdown(report)
    assert "AUROC of all readers, alone: the table has no scores" in told
    assert {"weighted kappa", "time per case", "regions"} <= set(report.left_out)
    assert "Accuracy, the readers against the model" in told


def test_scores_of_some_answers_only_narrow_the_auroc_and_nothing_else(answers):
    some = [replace(a, score=math.nan) if a.reader == "R0" and a.photo_id == "0007" else a
            for a in answers]  # fmt: skip
    report = analyse_readers(study_of(some), draws=50)
    rows = [r for r in report.effects if r.question == GAIN and r.group == "all readers"]
    assert {(r.metric == "auroc", r.photos) for r in rows} == {(True, 59), (False, 60)}
    assert "AUROC of all readers, alone and with the model" in " ".join(report.notes)


def test_one_reader_is_compared_for_these_readers_alone(answers):
    report = analyse_readers(study_of([a for a in answers if a.reader == "R2"]), draws=50)
    told = reader_markdown(report)
    assert "one reader only" in told
    assert "for these readers alone" in told
    assert report.left_out["agreement between readers"] == "one reader only"


def test_scores_that_run_against_their_own_calls_are_refused(answers):
    turned = [replace(a, score=4 - a.score) if a.reader == "R1" else a for a in answers]
    with pytest.raises(UserError, match="reader R1 gives lower scores where they call disease"):
        study_of(turned)


def test_few_patients_support_no_statement(answers):
    few = [a for a in answers if int(a.photo_id, 16) < 12]
    report = analyse_readers(study_of(few), draws=50)
    told = screen_lines(reader_screen(report))
    assert any("Nothing here supports a statement" in line for line in told)
    words = ("higher", "lower", "often right", "is right on")
    assert not [line for line in told if any(word in line for word in words)]
    assert report.size == "insufficient"


def test_photos_of_one_class_leave_out_what_needs_both(answers):
    sick = [a for a in answers if int(a.photo_id, 16) % 2 == 0]
    report = analyse_readers(study_of(sick), draws=50)
    assert not report.effects
    assert not report.matched
    assert "at least two healthy patients" in report.left_out["calls of all readers, alone"]


@pytest.mark.parametrize(
    ("low", "high", "p", "size", "told"),
    [
        (0.02, 0.2, 0.01, "ok", "higher, +0.11 (+0.02 to +0.20)"),
        (0.02, 0.2, 0.2, "ok", "not after correction"),
        (-0.1, 0.2, 0.6, "ok", "no difference was shown, which is not the same as none"),
        (0.02, 0.2, 0.01, "insufficient", "too few patients for a statement"),
        (math.nan, math.nan, math.nan, "ok", "so no statement"),
    ],
)
def test_a_sentence_claims_no_more_than_interval_and_correction_allow(low, high, p, size, told):
    row = Effect(
        question=GAIN, read="", group="all readers", metric="auroc", analysis=RANDOM, readers=3,
        photos=80, size=size, first=0.9, second=0.8, estimate=Estimate(0.11, low=low, high=high),
        p_holm=p,
    )  # fmt: skip
    assert told in difference_sentence(row, "one", "other")


@pytest.fixture
def table(tmp_path, predictions, answers):
    """A run folder with predictions alone, and the answers as CSV."""
    predictions.save(tmp_path / "run" / "predictions.parquet")
    path = tmp_path / "answers.csv"
    names = [
        "reader",
        "level",
        "photo_id",
        "read",
        "occurrence",
        "call",
        "score",
        "seconds",
        "regions",
    ]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for one in answers:
            cells = {name: getattr(one, name) for name in names}
            cells |= {"call": "yes" if one.call else "no", "regions": ";".join(one.regions)}
            writer.writerow(cells.values())
    return path


def test_the_command_writes_tables_figures_page_and_json(table, tmp_path):
    out = tmp_path / "report"
    line = ["readers", "analyse", str(table), "--run", str(tmp_path / "run"), "--out", str(out)]
    result = CliRunner().invoke(app, [*line, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["photos"] == PHOTOS
    assert found["notice"].startswith("Research use only")
    assert found == {k: v for k, v in json.loads((out / "readers.json").read_text()).items()
                     if k != "verdicts"}  # fmt: skip
    page = (out / "report.html").read_text()
    assert page.count("data:image/png") == 7 == len(list(out.glob("*.png")))
    assert "Research use only" in page
    assert "Research use only" in (out / "readers.md").read_text()
    assert {"performance_1", "performance_2", "pairs", "cases", "rates", "overlap"} <= {
        path.stem for path in (out / "tables").glob("*.csv")
    }
    text = page + (out / "readers.json").read_text()
    assert "p001" not in text  # patients stay out of it


def test_a_run_without_these_photos_is_named(table, tmp_path):
    other = predictions_of()
    other = replace(other, photo_id=np.char.add("x", other.photo_id))
    other.save(tmp_path / "other" / "predictions.parquet")
    with pytest.raises(UserError, match=r"(?s)unknown photo '0000'.*unknown photo '0001'"):
        load_study(table, [Run(tmp_path / "other")], AnalysisOptions())
    with pytest.raises(UserError, match="--label acromegaly: choose cushing"):
        load_study(table, [Run(tmp_path / "run")], AnalysisOptions(label="acromegaly"))
    with pytest.raises(UserError, match="scored twice"):
        load_study(table, [Run(tmp_path / "run")] * 2, AnalysisOptions())


def test_the_recorded_threshold_is_used(table, tmp_path):
    point = {"label": "cushing", "threshold": 0.37, "rule": "f1", "split": "validation",
             "model_revision": "m"}  # fmt: skip
    record = json.dumps({"schema_version": 2, "operating_points": [point]})
    (tmp_path / "run" / "metrics.json").write_text(record)
    study = load_study(table, [Run(tmp_path / "run")], AnalysisOptions())
    assert set(study.model.threshold.tolist()) == {0.37}
