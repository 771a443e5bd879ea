from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hf_cushing.evaluation.command import evaluate_runs
from hf_cushing.evaluation.operating_points import choose_operating_points
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.record import report_from_json, report_to_json
from hf_cushing.evaluation.repeatability import Repeatability, changes_of, repeatability_verdicts
from hf_cushing.faces.alter import mirrored, resaved, resaved_crop
from hf_cushing.files import plain
from hf_cushing.publish.card_facts import model_facts
from hf_cushing.publish.cards import model_card
from hf_cushing.publish.options import ModelOptions
from hf_cushing.run import Run
from hf_cushing.schema import UsageError
from hf_cushing.stats.decisions import logit
from tests.evaluation.test_report import FEW, make_predictions

BRIEF = replace(FEW, by=())


def measured_of(scored, altered, points):
    return Repeatability(
        split="test",
        photos=len(scored),
        refused={},
        originals=False,
        changes=changes_of(scored, altered, points),
    )


def test_flipped_calls_are_counted_at_the_same_threshold(rng):
    predictions = make_predictions(rng)
    points = choose_operating_points(predictions)
    scored, threshold = predictions.of_split("test"), points[0].threshold
    shifted = scored.score("cushing") * 0.8
    after = replace(scored, probabilities=np.stack([1 - shifted, shifted], 1))
    changes = changes_of(scored, {"resaved": after.select(np.arange(60))}, points)
    whole = next(change for change in changes if change.subgroup == "all")
    before, low = scored.score("cushing")[:60], shifted[:60]
    assert whole.photos == 60
    assert whole.flipped == pytest.approx(np.mean((before >= threshold) != (low >= threshold)))
    assert whole.flipped > 0.05
    assert whole.low < whole.flipped < whole.high
    spread = np.std(logit(low) - logit(before)) / np.std(logit(before))
    assert whole.spread == pytest.approx(spread)


def test_sentence_stands_only_where_too_many_calls_flip(rng):
    predictions = make_predictions(rng)
    points = choose_operating_points(predictions)
    scored = predictions.of_split("test")
    turned = replace(scored, probabilities=scored.probabilities[:, ::-1])
    lines = repeatability_verdicts(
        measured_of(scored, {"mirrored": scored, "realigned": turned}, points)
    )
    assert len(lines) == 1
    assert "aligned again, the same photo is called otherwise in" in lines[0]


def test_photo_saved_again_is_smaller_and_its_crop_keeps_its_side():
    photo = Image.effect_noise((60, 50), 40).convert("RGB")
    assert resaved(photo).size == (48, 40)
    assert resaved_crop(photo).size == photo.size
    assert np.array_equal(mirrored(mirrored(photo)), photo)


def test_run_evaluated_anew_is_as_steady_as_its_folder_and_card_say(run, dataset):
    recorded = Run(run).report.repeatability
    report, _ = evaluate_runs([Run(run)], BRIEF, dataset=str(dataset), cpu=True)
    assert {change.alteration for change in recorded.changes} >= {"mirrored", "resaved"}
    assert report_from_json(plain(report_to_json(report))).repeatability == report.repeatability
    for ours, theirs in zip(report.repeatability.changes, recorded.changes, strict=True):
        assert ours.flipped == theirs.flipped
        assert ours.spread == pytest.approx(theirs.spread, abs=1e-3)
    card = str(model_card(model_facts(Run(run), ModelOptions(repo_id="me/faces"))))
    assert "### The same photos once more, test" in card
    assert "resaved: calls flipped" in card


def test_original_photos_are_saved_again_where_the_clinic_folder_is_given(run, dataset, clinic):
    options = replace(BRIEF, raw=clinic, repeatability=3)
    report, _ = evaluate_runs([Run(run)], options, dataset=str(dataset), cpu=True)
    measured = report.repeatability
    assert measured.originals
    assert measured.photos == 3
    with pytest.raises(UsageError, match="--raw needs --dataset"):
        evaluate_runs([Run(run)], EvaluationOptions(raw=clinic))


def test_folds_score_their_own_photos_and_are_pooled(dataset, tmp_path):
    from hf_cushing.training.cli import parse
    from hf_cushing.training.fine_tune import fine_tune
    from tests.conftest import train_options

    runs = []
    for fold in (0, 1):
        more = ["--finetune", "head", "--fold", str(fold)]
        fine_tune(parse(train_options(dataset, tmp_path / f"f{fold}", *more)))
        runs.append(Run(tmp_path / f"f{fold}"))
    options = replace(BRIEF, repeatability=4)
    anew, scored = evaluate_runs(runs, options, dataset=str(dataset), cpu=True)
    pooled, recorded = evaluate_runs(runs, options)
    assert anew.repeatability.photos == 8
    assert pooled.repeatability is None
    assert len(scored.of_split("test")) == len(recorded.of_split("test"))
    found = [report.find("cushing", "all").values["auroc"].estimate for report in (anew, pooled)]
    assert found[0] == pytest.approx(found[1])
