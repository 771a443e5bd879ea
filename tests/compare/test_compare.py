import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import concatenate_datasets
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from hf_cushing.compare import command as study
from hf_cushing.compare.cells import lock_of
from hf_cushing.compare.choice import by_arm
from hf_cushing.compare.ensemble import export_ensemble
from hf_cushing.compare.external import predictions_of_baseline
from hf_cushing.compare.grid import CHOSEN, Arm, make_cells
from hf_cushing.compare.learned import learned_sentence
from hf_cushing.compare.plan import make_study, with_baselines
from hf_cushing.compare.tables import added_sentence, published_table, winner_sentence
from hf_cushing.data.loading import load_faces
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.data.synthetic import CohortOptions, make_cohort
from hf_cushing.evaluation.command import evaluate_runs
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json
from hf_cushing.models.build import load_classifier
from hf_cushing.models.ensemble import average_heads
from hf_cushing.models.score import score
from hf_cushing.reports.table import tables_to_markdown
from hf_cushing.run import Run
from hf_cushing.schema import UserError

PLAN = {
    "models": ["tiny-vit", "tiny-resnet"],
    "finetune": ["head"],
    "folds": 2,
    "options": {"init": "random", "cpu": True, "bootstrap": 100},
    "published": "liu2025",
    "baselines": "none",
}
OTHERS = 32
"""Photos of the external cohort."""


def quiet(line):
    """Say nothing."""


def run(dataset, out, **options):
    return study.compare(make_study(dict(PLAN), "here"), str(dataset), out, draws=100,
                         say=options.pop("say", quiet), **options)  # fmt: skip


@pytest.fixture(scope="module")
def done(dataset, tmp_path_factory):
    """A finished study (read only)."""
    out = tmp_path_factory.mktemp("study") / "out"
    return out, run(dataset, out)


@pytest.fixture
def trained(done, monkeypatch):
    """Let every cell be trained already, in the finished study: the question is what is around."""
    cells = done[0] / "cells"

    def fetch(config):
        shutil.copytree(cells / config.run_folder.name, config.run_folder, dirs_exist_ok=True)

    monkeypatch.setattr("hf_cushing.training.fine_tune.fine_tune", fetch)


def contents(out):
    """All tables and figures but the one that shows seconds."""
    paths = [*out.glob("tables/*.csv"), out / "study.md", out / "study.tex", *out.glob("*.png")]
    return {p.name: p.read_bytes() for p in sorted(paths) if not p.name.startswith("gap_cost")}


def test_study_writes_tables_figures_and_a_record(done):
    out, result = done
    assert len(result.done) == 4
    names = {path.stem for path in (out / "tables").iterdir()}
    assert names >= {"overall_cushing", "sex_cushing", "pairs_cushing", "published"}
    record = read_json(out / "study.json")
    assert len(record["cells"]) == 4
    assert record["environment"]["torch"]
    page = (out / "study.html").read_text()
    assert "Research use only" in page
    assert page.count("data:image/png;base64,") == len(list(out.glob("*.png")))
    assert "on other photographs than ours" in page


def test_called_again_it_trains_nothing_and_writes_the_same_bytes(done, dataset, monkeypatch):
    out, _ = done
    before = contents(out)

    def never(config):
        raise AssertionError("trained again")

    monkeypatch.setattr("hf_cushing.training.fine_tune.fine_tune", never)
    run(dataset, out)
    assert contents(out) == before


def test_interrupted_study_goes_on_and_ends_with_the_same_tables(done, dataset, tmp_path):
    out, result = done
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    for path in (copy / "tables", copy / "cells" / result.done[1].folder.name):
        shutil.rmtree(path)
    (copy / "cells" / result.done[2].folder.name / "manifest.json").unlink()
    assert len(run(dataset, copy).done) == 4
    assert contents(copy) == contents(out)


def test_stopped_study_says_how_it_goes_on_and_what_is_finished(
    done, dataset, tmp_path, monkeypatch
):
    out, result = done
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    shutil.rmtree(copy / "cells" / result.done[3].folder.name)

    def stop(config):
        raise KeyboardInterrupt

    monkeypatch.setattr("hf_cushing.training.fine_tune.fine_tune", stop)
    said = []
    with pytest.raises(KeyboardInterrupt):
        run(dataset, copy, say=said.append)
    assert said[0] == "3 of 4 cells are finished already and stay as they are"
    assert said[-1] == f"stopped: run it again to go on; what is done is in {copy}"


def test_shards_do_their_part_and_the_last_call_writes_the_tables(done, dataset, trained, tmp_path):
    out, _ = done
    parts = tmp_path / "parts"
    for number in (0, 1):
        result = run(dataset, parts, shard=(number, 2))
        assert bool(result.tables) == (number == 1)
    assert contents(parts) == contents(out)


def test_failed_cell_is_told_and_the_rest_goes_on(trained, dataset, tmp_path, monkeypatch):
    from hf_cushing.training import fine_tune

    real, lines = fine_tune.fine_tune, []

    def failing(config):
        if config.model.model == "tiny-vit" and config.data.fold == 1:
            raise RuntimeError("the disk is made of cheese")
        return real(config)

    monkeypatch.setattr("hf_cushing.training.fine_tune.fine_tune", failing)
    result = run(dataset, tmp_path, say=lines.append)
    assert list(result.failed) == ["tiny-vit, head, fold 1, seed 0"]
    assert len(result.done) == 3
    assert any("failed: the disk is made of cheese" in line for line in lines)
    text = tables_to_markdown(result.tables)
    assert "tiny-resnet" in text
    assert "tiny-vit" not in text  # an arm without all its folds isn't in the tables
    assert "the disk is made of cheese" in (tmp_path / "study.html").read_text()
    assert list((tmp_path / "failed").iterdir())
    monkeypatch.setattr("hf_cushing.training.fine_tune.fine_tune", real)
    assert not run(dataset, tmp_path).failed
    assert not list((tmp_path / "failed").iterdir())


def test_cell_that_another_process_trains_is_left_to_it(trained, dataset, tmp_path):
    plan, data = make_study(dict(PLAN), "here"), load_faces(str(dataset))
    cell = make_cells(plan, str(dataset), data, tmp_path)[0][0]
    with lock_of(cell):
        outcome = run(dataset, tmp_path)
    assert list(outcome.failed) == [cell.name]
    assert "another process trains this cell" in outcome.failed[cell.name]
    assert not cell.folder.exists()
    assert not run(dataset, tmp_path).failed


def test_folder_of_another_study_is_refused(done, dataset):
    out, _ = done
    other = make_study(PLAN | {"folds": 1}, "here")
    with pytest.raises(UserError, match=r"belongs to another study \(folds differ\)"):
        study.compare(other, str(dataset), out, draws=100, say=quiet)


def test_replay_finds_the_same_tables_and_names_changed_ones(done, dataset, tmp_path):
    out, _ = done
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    (copy / "tables" / "sex_cushing.csv").write_text("changed")
    shutil.rmtree(copy / "cells")
    assert study.replay(copy, str(dataset), out, say=quiet, draws=100) == ["sex_cushing"]


def test_features_of_a_frozen_backbone_are_computed_once(done):
    out, result = done
    folders = list((out / "cells" / ".features").iterdir())
    assert len(folders) == 4  # crops and wide views of each backbone, not of each fold
    assert len(result.done) == 4


@pytest.fixture(scope="module")
def based(done, dataset, tmp_path_factory):
    """The finished study with baselines added: its plan, folder and outcome (read only)."""
    out = tmp_path_factory.mktemp("based") / "out"
    shutil.copytree(done[0], out)
    plan = with_baselines(make_study(dict(PLAN), "here"), "demographics,colour")
    return plan, out, study.compare(plan, str(dataset), out, draws=100, say=quiet)


def test_baselines_are_arms_and_the_second_sentence_says_what_a_network_adds(
    based, dataset, tmp_path
):
    plan, out, result = based
    assert len(result.done) == 8  # the study's own cells were there already
    first = result.verdicts[1]
    assert first.startswith("cushing: tiny-")
    assert "from the best baseline (" in first
    assert "demographics" in first
    assert "too few patients for a statement" in first
    assert read_json(out / "study.json")["verdicts"] == result.verdicts
    without, copy = with_baselines(plan, "none"), tmp_path / "copy"
    shutil.copytree(out, copy)
    assert len(study.compare(without, str(dataset), copy, draws=100, say=quiet).done) == 4


@pytest.fixture(scope="module")
def varied(dataset, tmp_path_factory):
    """A finished study that varies an option (read only)."""
    sides = [{"image_size": 32}, {"image_size": 64}]
    plan = PLAN | {"models": ["tiny-resnet"], "vary": sides}
    out = tmp_path_factory.mktemp("varied")
    return out, study.compare(make_study(plan, "here"), str(dataset), out, draws=100, say=quiet)


def test_variant_is_chosen_on_the_validation_photos_of_each_fold_alone(varied):
    _, result = varied
    best = {}
    for cell in result.done:
        rows = cell.run.recorded_predictions.of_split("validation")
        area = roc_auc_score(rows.label == "cushing", rows.score("cushing"))
        best[cell.config.data.fold] = max(best.get(cell.config.data.fold, (0, "")),
                                          (area, cell.folder.name))  # fmt: skip
    arm = Arm("tiny-resnet", "head", "class_sex", CHOSEN)
    assert {cell.folder.name for cell in by_arm(result.done)[arm]} == {n for _, n in best.values()}


def test_study_reports_the_chosen_variants_beside_all(varied):
    out, result = varied
    rows = {row[1]: row for row in result.tables[0].body}
    own = "head, chosen on validation"
    assert rows.keys() >= {"head, image_size 32", "head, image_size 64", own}
    choices = next(table for table in result.tables if table.name == "choice_cushing")
    line = choices.body[0]
    assert line[:3] == ["tiny-resnet", own, rows[own][6]]
    assert line[3] == max(rows["head, image_size 32"][6], rows["head, image_size 64"][6])
    assert sum(int(n) for n in re.findall(r"\((\d+)\)", line[5])) == 2
    sentence = next(text for text in result.verdicts if own in text)
    assert f"test AUROC {rows[own][6]}, which nobody picked" in sentence
    with pytest.raises(UserError, match="there are: tiny-resnet, head, image_size 32"):
        export_ensemble(result.done, f"tiny-resnet, {own}", out)


def test_gain_over_a_baseline_is_shown_by_its_interval_alone():
    def result(low, high, size="ok"):
        auroc = SimpleNamespace(difference=(low + high) / 2, low=low, high=high)
        found = SimpleNamespace(differences={"auroc": auroc}, size=size)
        return SimpleNamespace(
            network=Arm("vit", "full", "class_sex"),
            added={Arm("colour", "head", "class_sex"): found},
        )

    assert "0.040 (0.010–0.070): a gain is shown" in added_sentence(result(0.01, 0.07))
    assert "no gain is shown" in added_sentence(result(-0.01, 0.07))
    assert "a loss is shown" in added_sentence(result(-0.07, -0.01))
    assert "too few patients" in added_sentence(result(0.01, 0.07, "insufficient"))


def test_winner_is_named_only_if_all_others_are_shown_to_be_worse():
    def sentence(p_values):
        arms = [SimpleNamespace(arm=SimpleNamespace(name="vit, head"))]
        others = {Arm(f"m{i}", "full", "class"): p for i, p in enumerate(p_values)}
        return winner_sentence(SimpleNamespace(arms=arms, adjusted=others))

    assert sentence([0.01, 0.02]).startswith("vit, head has the highest AUROC; all others")
    assert sentence([0.01, 0.2]).startswith("No winner: vit, head has the highest AUROC, but")
    assert sentence([0.01, float("nan")]).startswith("No winner")
    assert sentence([]) == "A single arm: nothing to compare."


def arm_of(low, share, name="vit", size="ok"):
    report = SimpleNamespace(values={"auroc": SimpleNamespace(low=low)}, size=size)
    return SimpleNamespace(
        arm=Arm(name, "head", "class_sex"),
        subgroups={"all": SimpleNamespace(report=report)},
        estimate=lambda metric: share,
    )


def test_first_sentence_says_what_learned_before_anything_is_ranked():
    def sentence(*arms):
        return learned_sentence(SimpleNamespace(arms=arms))

    useless = sentence(arm_of(0.41, 0.99), arm_of(0.38, 0.97, "swin"), arm_of(0.4, 0.5, "colour"))
    assert useless.startswith("Nothing is shown to be better than chance: the AUROC interval of")
    assert useless.endswith("Nearly all are called positive by vit, head; swin, head.")
    good = sentence(arm_of(0.8, 0.4), arm_of(0.4, 0.5, "swin"), arm_of(0.6, 0.5, "colour"))
    assert good.startswith("Better than chance by AUROC: vit, head; of the baselines colour (1 of")
    assert "(1 of 3 are not)" in good
    few = sentence(arm_of(float("nan"), 0.5, size="insufficient"))
    assert few.startswith("Fewer than 10 patients")


def test_study_in_which_nothing_learned_ranks_nothing_and_prints_no_nan(done):
    out, result = done
    assert "no statement about any model" in result.verdicts[0]
    assert not any("No winner" in line for line in result.verdicts)
    assert "nan" not in (out / "study.md").read_text().replace("nance", "")


def test_published_figures_carry_their_source():
    for key in ("liu2025", "wei2020"):
        table = published_table(key)
        assert "on other photographs than ours" in table.notes[0]
        assert all(len(row) == len(table.header) for row in table.body)


@pytest.fixture(scope="module")
def other_cohort(tmp_path_factory):
    """Drawn photos of other people, prepared (read only)."""
    folder = tmp_path_factory.mktemp("other")
    make_cohort(folder / "raw", folder / "truth", CohortOptions(photos=OTHERS, seed=11), num_proc=1)
    prepare(folder / "raw", folder / "dataset", PrepareOptions(identity=False, folds=3), num_proc=1)
    return folder / "dataset"


def test_external_cohort_is_scored_with_the_thresholds_of_the_study(done, dataset, other_cohort):
    out, before = done
    result = run(dataset, out, external=str(other_cohort))
    table = next(t for t in result.tables if t.name == "external_cushing")
    assert [row[2] for row in table.body] == ["all", "female", "male"] * 2
    assert f"{OTHERS} external photos" in table.notes[0]
    cell = before.done[0]
    scored = load_predictions(next(cell.folder.glob("external-*.parquet")))
    assert len(scored) == OTHERS
    photos = concatenate_datasets(list(load_faces(str(other_cohort)).roles.values()))
    logits = score(load_classifier(str(cell.folder)), photos, cpu=True)
    anew = softmax(logits, axis=1)
    order = np.argsort(np.array(photos["photo_id"]))
    assert np.array_equal(np.sort(scored.photo_id), np.array(photos["photo_id"])[order])
    rows = np.argsort(scored.photo_id)
    assert np.allclose(scored.probabilities[rows], anew[order], atol=1e-6)
    shutil.rmtree(out / "tables")
    run(dataset, out)


def test_baselines_are_fitted_anew_for_an_external_cohort(based, dataset, other_cohort, tmp_path):
    plan, out = based[0], tmp_path / "out"
    shutil.copytree(based[1], out)
    found = study.compare(plan, str(dataset), out, draws=100, say=quiet, external=str(other_cohort))
    (table,) = (table for table in found.tables if table.name == "external_cushing")
    names = {"tiny-vit", "tiny-resnet", "demographics", "colour"}
    assert {row[0] for row in table.body} == names
    cell = next(cell for cell in found.done if cell.arm.model == "colour")
    own = load_faces(str(dataset), fold=cell.config.data.fold)
    anew = predictions_of_baseline(cell, own, own.roles["test"])
    recorded = cell.run.recorded_predictions.of_split("test")
    known = dict(zip(recorded.photo_id, recorded.probabilities, strict=True))
    expected = [known[photo] for photo in anew.photo_id]
    assert np.allclose(anew.probabilities, expected, atol=1e-12)


def test_photos_that_trained_a_model_are_no_external_cohort(done, dataset):
    with pytest.raises(UserError, match="an external cohort must be of other people"):
        run(dataset, done[0], external=str(dataset))


def test_ensemble_gives_the_mean_of_the_fold_models_logits(done, dataset):
    out, result = done
    folder = export_ensemble(result.done, "tiny-vit, head", out)
    photos = load_faces(str(dataset)).roles["test"]
    members = [cell.folder for cell in result.done if cell.arm.model == "tiny-vit"]
    logits = [score(load_classifier(str(path)), photos, cpu=True) for path in [folder, *members]]
    assert len(members) == 2
    assert np.allclose(logits[0], np.mean(logits[1:], axis=0), atol=1e-5)
    facts = read_json(folder / "manifest.json")
    assert set(facts["members"]) == {path.name for path in members}
    point = read_json(folder / "metrics.json")["operating_points"][0]
    assert (point["split"], point["model_revision"]) == ("out-of-fold", facts["model_revision"])


def test_ensemble_is_tested_on_other_people_only(done, dataset, other_cohort):
    out, result = done
    folder = export_ensemble(result.done, "tiny-resnet, head", out)
    with pytest.raises(UserError, match="photos were among the train or validation photos"):
        evaluate_runs([Run(folder)], EvaluationOptions(), dataset=str(dataset), cpu=True)
    report, _ = evaluate_runs(
        [Run(folder)], EvaluationOptions(), dataset=str(other_cohort), cpu=True
    )
    assert report.operating_points[0].split == "out-of-fold"


def test_ensemble_of_an_unknown_arm_or_of_trained_backbones_is_refused(done, tmp_path):
    out, result = done
    with pytest.raises(UserError, match="there are: tiny-vit, head; tiny-resnet, head"):
        export_ensemble(result.done, "vit", out)
    with pytest.raises(UserError, match="would cost 4 times the memory and time"):
        average_heads([cell.folder for cell in result.done], tmp_path)
