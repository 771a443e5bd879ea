import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from huggingface_hub import ModelCard

from hf_cushing.evaluation.record import report_from_json, report_to_json
from hf_cushing.evaluation.report import evaluate
from hf_cushing.evaluation.subgroups import Value
from hf_cushing.files import plain, read_json
from hf_cushing.publish.card_facts import PlainPath, model_facts, plain_path
from hf_cushing.publish.cards import model_card
from hf_cushing.publish.checklist import (
    FILLED,
    MISSING,
    PERSON,
    answered_items,
    checklist_page,
    read_items,
)
from hf_cushing.publish.options import ModelOptions
from hf_cushing.publish.rules_words import _odd_texts, known_metrics
from hf_cushing.publish.staged import Finding
from hf_cushing.run import Run
from hf_cushing.schema import RESEARCH_NOTICE, UserError
from hf_cushing.stats.metrics import METRICS
from tests.evaluation.test_grades import FEW, graded
from tests.evaluation.test_report import FEW as BRIEF
from tests.evaluation.test_report import make_predictions


def facts_of(run, **options):
    return model_facts(Run(run), ModelOptions(repo_id="me/faces", **options))


@pytest.fixture(scope="module")
def facts(run, dataset):
    known = {"dataset_id": "me/photos", "dataset_commit": "c0ffee"}  # as the Hub tells it
    return replace(facts_of(run, license="mit", dataset=dataset), **known)


@pytest.fixture(scope="module")
def card(facts):
    return ModelCard(str(model_card(facts)), ignore_metadata_errors=False)


def test_model_index_has_every_metric_of_subgroups_of_ten_patients_and_no_other(facts):
    report, photos = facts.report, [r for r in facts.report.subgroups if r.unit == "photo"]
    sized = [replace(r, size="wide" if r.subgroup != "male" else "insufficient") for r in photos]
    told = model_card(replace(facts, report=replace(report, subgroups=sized))).data.eval_results
    known = {
        (r.subgroup, metric.hub): r.values[name].estimate
        for r in sized
        if r.subgroup != "male"
        for name, metric in METRICS.items()
        if metric.hub and not math.isnan(r.values[name].estimate)
    }
    rows = {(r.metric_args["subgroup"], r.metric_type): r.metric_value for r in told}
    assert {sex for sex, _ in rows} == {"all", "female"}
    assert rows.keys() == known.keys()
    assert all(math.isclose(rows[key], known[key], abs_tol=5e-5) for key in rows)


def test_tiny_cohort_has_no_model_index(card):
    assert not card.data.eval_results


def test_metadata_says_what_the_hub_filters_by(card):
    data = card.data
    assert (data.library_name, data.pipeline_tag) == ("transformers", "image-classification")
    assert (data.license, data.datasets) == ("mit", ["me/photos"])
    assert data.base_model is None  # tiny-resnet has random weights
    assert "research-only" in data.tags


def test_base_model_is_the_hub_id_behind_a_short_name(facts):
    manifest = facts.manifest | {
        "config": facts.config | {"model": facts.config["model"] | {
            "model": "vit-b16", "init": "pretrained"}}
    }  # fmt: skip
    data = model_card(replace(facts, manifest=manifest)).data
    assert data.base_model == "google/vit-base-patch16-224-in21k"
    assert data.base_model_relation == "finetune"


def test_card_counts_photos_of_every_split_label_and_sex(card, dataset):
    rows = [row["columns"] for row in read_json(dataset / "intake.json")["rows"]
            if row["status"] == "kept"]  # fmt: skip
    for split in ("train", "validation", "test"):
        for label in ("control", "cushing"):
            for sex in ("female", "male"):
                own = [r for r in rows if (r["split"], r["label"], r["sex"]) == (split, label, sex)]
                patients = len({r["patient_id"] for r in own})
                line = f"| {split} | {label} | {sex} | {len(own)} | {patients} |"
                assert (line in card.text) == bool(own), line


def test_card_tells_notice_threshold_use_and_what_was_not_measured(card, facts):
    assert RESEARCH_NOTICE in card.text
    threshold = facts.points[0]["threshold"]
    assert (
        f"threshold {threshold:.3f}, chosen on the validation split by the rule `f1`." in card.text
    )
    assert 'hf_cushing.pipeline("me/faces")' in card.text
    assert "### Where in the face it looks\n\nNot measured." in card.text
    assert "Energy:" in card.text
    assert "Checked before publishing" not in card.text  # the gate has not looked yet


def test_card_tells_regions_if_they_were_explained(facts, run, tmp_path):
    report = {"label": "cushing", "photos": 9, "options": {"split": "test"},
              "verdicts": ["So it is."], "model_revision": Run(run).weights_revision}  # fmt: skip
    (tmp_path / "explain.json").write_text(json.dumps(report))
    text = str(model_card(facts_of(run, explain=tmp_path)))
    assert "cushing, 9 test photos, by `hf-cushing explain`:\n\n- So it is." in text
    assert "So it is." not in str(model_card(facts))
    with pytest.raises(UserError, match=r"holds no explain\.json"):
        facts_of(run, explain=tmp_path / "nowhere")
    (tmp_path / "explain.json").write_text(json.dumps(report | {"model_revision": "another"}))
    with pytest.raises(UserError, match="made with another model"):
        facts_of(run, explain=tmp_path)


def test_override_stands_in_the_card_with_what_it_overrides(facts):
    findings = [Finding("threshold", "chosen on test", ""),
                Finding("patient in two splits", "3 patients", "")]  # fmt: skip
    text = str(model_card(facts, override="a rerun of an old study", findings=findings))
    assert "- threshold: chosen on test" in text
    assert "The publisher's reason: a rerun of an old study" in text
    assert "No patient is in two splits" not in text
    assert "which neither trained" not in text


def test_threshold_from_test_is_called_too_good(run, facts):
    points = [facts.points[0] | {"split": "test"}]
    report = report_from_json(read_json(run / "metrics.json") | {"operating_points": points})
    text = str(model_card(replace(facts, points=points, report=report)))
    assert "**That is the split of the results: they are too good.**" in text


def test_same_run_gives_the_same_bytes(run, dataset):
    made = [facts_of(run, license="mit", dataset=dataset) for _ in range(2)]
    assert str(model_card(made[0])) == str(model_card(made[1]))
    assert checklist_page(made[0]) == checklist_page(made[1])


def test_figures_of_another_schema_are_refused(run):
    metrics = read_json(run / "metrics.json") | {"schema_version": 99}
    with pytest.raises(UserError, match="schema version 99"):
        report_from_json(metrics)


def test_run_without_counts_of_training_says_so(facts):
    scored = [cell for cell in facts.cells if cell["split"] != "train"]
    text = str(model_card(replace(facts, cells=scored)))
    assert "The counts of the training photos were not recorded." in text


def test_answer_of_the_datasheet_moves_an_item_from_person_to_filled(facts):
    def status(facts, source, number):
        return next(a.status for a in answered_items(facts)[source] if a.number == number)

    said = replace(facts, datasheet={"funding": "The state."})
    assert status(facts, "TRIPOD+AI", "18a") == PERSON
    assert status(said, "TRIPOD+AI", "18a") == status(said, "CLAIM 2024", "44") == FILLED
    assert status(facts, "TRIPOD+AI", "18e") == FILLED
    assert status(facts, "CLAIM 2024", "30") == FILLED
    quiet = replace(facts, report=replace(facts.report, repeatability=None))
    assert status(quiet, "CLAIM 2024", "30") == MISSING
    assert "| 21 | Intended sample size | only a person can fill in | `hf-cushing plan`" in (
        checklist_page(facts)
    )
    assert status(replace(facts, dataset_id=""), "TRIPOD+AI", "18e") == MISSING


def test_every_section_that_the_checklist_points_to_is_in_the_card(card):
    headings = {line.lstrip("# ") for line in card.text.splitlines() if line.startswith("##")}
    places = {place for items in read_items().values() for _, _, place in items}
    special = {
        "",
        "missing",
        "dataset",
        "training counts",
        "regions",
        "robustness",
        "plan",
        "licence",
    }
    sections = {p for p in places - special if not p.startswith("answer:")}
    assert sections <= headings


def test_checklist_page_lists_every_item_once(facts):
    page, lists = checklist_page(facts), read_items()
    assert RESEARCH_NOTICE in page
    assert len(lists["CLAIM 2024"]) == 44
    assert sum(line.startswith("| ") for line in page.splitlines()) >= sum(map(len, lists.values()))
    for items in lists.values():
        numbers = [number for number, _, _ in items]
        assert len(set(numbers)) == len(numbers)


def test_card_of_a_model_of_grades_says_how_well_it_grades_women_and_men(run):
    rng = np.random.default_rng(0)
    predictions, _ = graded(rng, n=300)
    report = evaluate(predictions, FEW)
    again = report_from_json(json.loads(json.dumps(plain(report_to_json(report)))))
    assert again.grading.grades == report.grading.grades
    facts = replace(facts_of(run, license="mit"), report=again)
    text = str(model_card(facts))
    assert "### Grades, test photos" in text
    assert "kappa, quadratic weights" in text
    assert "concordance of grades" in text


def code_of(card):
    return re.findall(r"```python\n(.*?)```", card.text, re.S)


@pytest.mark.parametrize(
    ("plain", "widget", "first"),
    [
        (None, False, 'hf_cushing.pipeline("me/faces")'),
        (PlainPath(aligned=0.90, plain=0.86, low=0.81, high=0.9), False, "hf_cushing.pipeline"),
        (PlainPath(aligned=0.90, plain=0.88, low=0.83, high=0.92), True, "hf_cushing.pipeline"),
        (PlainPath(aligned=0.90, plain=0.92, low=0.86, high=0.95), True, "from transformers"),
        (PlainPath(aligned=0.90, plain=math.nan, low=math.nan, high=math.nan), False, "hf_cushing"),
    ],
)
def test_first_example_is_the_better_path_and_the_widget_is_off_where_the_plain_one_fails(
    facts, plain, widget, first
):
    card = ModelCard(str(model_card(replace(facts, plain=plain))))
    assert (getattr(card.data, "inference", True) is not False) == widget
    blocks = code_of(card)
    assert first in blocks[0]
    assert len(blocks) == 2
    standard = next(block for block in blocks if "from transformers" in block)
    assert ("aligned_crop.jpg" in standard) != widget
    assert ("its scores can be worthless" in card.text) != widget
    assert card.text.count("nothing warns of it") == 1


def test_card_tells_both_figures_or_that_the_plain_path_was_not_measured(facts):
    assert facts.plain is not None
    plain = PlainPath(aligned=0.9, plain=0.7, low=0.6, high=0.8)
    text = str(model_card(replace(facts, plain=plain)))
    assert "AUROC 0.700 (0.600–0.800), against 0.900 on the aligned faces" in text
    text = str(model_card(replace(facts, plain=replace(plain, low=math.nan, high=math.nan))))
    assert "AUROC 0.700 (no interval), against" in text
    unknown = "How the plain pipeline does on raw photographs of this dataset was **not measured**"
    assert unknown not in text
    assert unknown in str(model_card(replace(facts, plain=None)))


def test_plain_path_is_that_of_the_disease_that_it_serves_worst(facts):
    row = facts.report.find("cushing", "all")
    aligned = row.values["auroc"].estimate
    unaligned = replace(row, values=row.values | {"auroc": Value(estimate=0.7, low=0.6, high=0.8)})
    report = SimpleNamespace(
        labels=["cushing"], find=facts.report.find, plain=SimpleNamespace(subgroups=[unaligned])
    )
    assert plain_path(report) == PlainPath(aligned, 0.7, 0.6, 0.8)


def test_card_of_a_model_that_aligns_on_the_hub_says_when_its_code_runs(facts):
    text = ModelCard(str(model_card(replace(facts, aligns_on_hub=True)))).text
    assert "trust_remote_code=True)" in text
    assert "none of this code is run" in text
    assert "no code comes with them" not in text
    assert "no code comes with them" in ModelCard(str(model_card(facts))).text


@pytest.mark.parametrize("n", [40, 480])
def test_what_is_adjusted_for_covariates_may_go_to_the_hub(run, n):
    report = evaluate(make_predictions(np.random.default_rng(0), n=n), BRIEF)
    metrics = json.loads(json.dumps(plain(report_to_json(report))))
    assert known_metrics(metrics) == metrics
    assert not list(_odd_texts(metrics, in_metrics=True))
    text = str(model_card(replace(facts_of(run), report=report)))
    assert "### cushing: adjusted for sex, and beyond" in text
    assert ("insufficient: fewer than 10 patients" in text) == (n == 40)
