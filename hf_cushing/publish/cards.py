"""Cards for the Hub: metadata it can check, and a page that people read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from huggingface_hub import (
    DatasetCard,
    DatasetCardData,
    EvalResult,
    ModelCard,
    ModelCardData,
    RepoCard,
    SpaceCardData,
)

from hf_cushing import __version__
from hf_cushing.data.intake_report import IntakeReport, dataset_page
from hf_cushing.evaluation.adjusted import adjusted_tables
from hf_cushing.evaluation.at_prevalence import USUAL, prevalence_tables
from hf_cushing.evaluation.first_screen import first_screen
from hf_cushing.evaluation.gap_tables import gap_table
from hf_cushing.evaluation.repeatability import repeatability_table
from hf_cushing.evaluation.subgroups import MACRO, SubgroupReport, Value
from hf_cushing.evaluation.tables import grade_tables, subgroup_table
from hf_cushing.evaluation.wording import title_of
from hf_cushing.files import render_template
from hf_cushing.publish.card_facts import ModelFacts
from hf_cushing.publish.rules_model import ALLOWED
from hf_cushing.publish.staged import Finding, tags_of
from hf_cushing.reports.screen import screen_markdown
from hf_cushing.reports.table import Table
from hf_cushing.schema import RESEARCH_NOTICE
from hf_cushing.stats.metrics import METRICS, shown_in

PYTHON = "3.11"
"""What a Space is to run; without it, it runs 3.10, where the package doesn't."""

GATED_PROMPT = (
    "These are photographs of people's faces, given for research. Access is granted to one person "
    f"at a time and may be withdrawn. {RESEARCH_NOTICE}"
)
GATED_FIELDS: dict[str, Any] = {
    "Name": "text",
    "Institution": "text",
    "Country": "country",
    "Research question": "text",
    "Ethics approval (board and number)": "text",
    "I will not try to find out who is pictured": "checkbox",
    "I will not pass the photographs on or publish them": "checkbox",
    "I will delete them when a person withdraws consent or the research ends": "checkbox",
}

MODEL_PROMPT = (
    "This model learned from photographs of people's faces, given for research. Access is granted "
    f"to one person at a time and may be withdrawn. {RESEARCH_NOTICE}"
)
MODEL_FIELDS: dict[str, Any] = {
    **{name: kind for name, kind in GATED_FIELDS.items() if kind != "checkbox"},
    "I will not judge the health of any person by it": "checkbox",
    "I will not try to find out whose photographs it learned from": "checkbox",
    "I will not pass it on": "checkbox",
}


def model_card(
    facts: ModelFacts,
    *,
    override: str = "",
    findings: Sequence[Finding] | None = None,
) -> ModelCard:
    """The card of a model; the same facts give the same text.

    Parameters
    ----------
    facts : ModelFacts
    override : str
        Why it is published in spite of `findings`; stands in the card.
    findings : sequence of Finding, optional
        Of the gate; None where it has not looked yet.
    """
    measured = facts.report.repeatability
    broken = {finding.rule for finding in findings or ()}
    body = render_template(
        "model.md.jinja",
        facts=facts,
        notice=RESEARCH_NOTICE,
        version=__version__,
        results=list(_results(facts)),
        grades=_grades(facts),
        prevalences=list(prevalence_tables(facts.report, facts.report.prevalence or USUAL)),
        adjusted=list(adjusted_tables(facts.report.adjusted)),
        screen=screen_markdown(first_screen(facts.report)),
        title=facts.repo_id.partition("/")[2],
        override=override,
        findings=findings or (),
        broken=broken,
        checked=findings is not None and "reproduces" not in broken,
        allowed=ALLOWED,
        steady=measured and repeatability_table(measured),
    )
    return _card(ModelCard, _model_metadata(facts), body)


def _model_metadata(facts: ModelFacts) -> ModelCardData:
    base = {"base_model": facts.base_model, "base_model_relation": "finetune"}
    gate = {"heading": "Ask for access to this model", "prompt": MODEL_PROMPT,
            "fields": MODEL_FIELDS}  # fmt: skip
    results = list(_eval_results(facts))
    return ModelCardData(
        **({f"extra_gated_{name}": value for name, value in gate.items()} if facts.gated else {}),
        **(base if facts.base_model else {}),
        datasets=[facts.dataset_id] if facts.dataset_id else None,
        eval_results=results or None,
        **({} if facts.plain and facts.plain.serves else {"inference": False}),
        library_name="transformers",
        license=facts.license or None,
        metrics=[metric.hub for metric in METRICS.values() if metric.hub],
        model_name=facts.repo_id.partition("/")[2] if results else None,
        pipeline_tag="image-classification",
        tags=tags_of(drawn=facts.drawn),
    )


def _eval_results(facts: ModelFacts) -> Iterator[EvalResult]:
    """A row for each disease, subgroup and metric that is defined, with interval and counts.

    None of a subgroup that supports no statement: a list of results has no room for the warning.
    """
    name = facts.config["data"]["dataset"].split("/")[-1]
    shown = f"{name} (drawn faces)" if facts.drawn else name
    for row in facts.report.subgroups:
        if row.unit != "photo" or row.label == MACRO or row.size == "insufficient":
            continue
        for metric, known in METRICS.items():
            value = row.values.get(metric)  # a report may be older than a metric
            if not known.hub or value is None or math.isnan(value.estimate):
                continue
            yield EvalResult(
                task_type="image-classification",
                dataset_type=facts.dataset_id or name,
                dataset_name=shown,
                dataset_revision=facts.dataset_commit or None,
                dataset_split=facts.report.split,
                metric_type=known.hub,
                metric_name=f"{title_of(metric)}, {row.label}, {row.subgroup}",
                metric_value=round(value.estimate, 4),
                metric_args=_arguments(row, value),
            )


def _arguments(row: SubgroupReport, value: Value) -> dict[str, Any]:
    bounds = {} if math.isnan(value.low) else {"low": value.low, "high": value.high}
    return {
        "subgroup": row.subgroup,
        "label": row.label,
        **{f"interval_95_{name}": round(bound, 4) for name, bound in bounds.items()},
        "patients_with": row.positive_patients,
        "patients_without": row.negative_patients,
        "sample": row.size,
    }


def _results(facts: ModelFacts) -> Iterator[dict[str, Any]]:
    """Tables of each disease, by photo: results, gaps, calibration."""
    for label in facts.report.labels:
        gaps = facts.report.gaps_of(label)
        shown = shown_in("card")
        calibration = subgroup_table(facts.report, label, metrics=shown_in("calibration"))
        titles = set(map(title_of, shown_in("calibration")))  # without the counts, given above
        yield {
            "label": label,
            "macro": label == MACRO,
            "first": subgroup_table(facts.report, label, metrics=shown_in("first")),
            "table": subgroup_table(facts.report, label, metrics=shown),
            "gaps": gap_table(gaps, shown, primary=facts.report.primary) if gaps else None,
            "calibration": replace(
                calibration, body=[line for line in calibration.body if line[0] in titles]
            ),
        }


def _grades(facts: ModelFacts) -> list[Table]:
    """Tables of grades of severity, by photo; none where the labels are no grades."""
    grading = facts.report.grading
    tables = grade_tables(grading, facts.report.split) if grading else ()
    return [table for table in tables if not table.name.endswith("_patient")]


def dataset_card(
    report: IntakeReport,
    *,
    license: str = "",
    gated: bool = False,
    drawn: bool = False,
    audit: dict[str, Any],
    dropped: Sequence[str] = (),
    override: str = "",
    findings: Sequence[Finding] = (),
) -> DatasetCard:
    """The card as `prepare` writes it, with licence, terms of access, audit and override.

    Parameters
    ----------
    report : IntakeReport
        Of the prepared dataset.
    audit : dict
        Its ``audit.json``.
    dropped : sequence of str
        Its columns that are not published.
    """
    card = DatasetCard(dataset_page(report))
    data: DatasetCardData = card.data
    data.license = license or None
    data.tags = tags_of(drawn=drawn)
    if gated:
        data.extra_gated_heading = "Ask for access to these photographs"
        data.extra_gated_prompt = GATED_PROMPT
        data.extra_gated_fields = GATED_FIELDS
    probes = [[probe["name"], probe["kind"], _probe_text(probe)] for probe in audit["probes"]]
    more = render_template(
        "dataset_published.md.jinja",
        audit=audit,
        probes=Table("probes", "", ["seen alone", "kind", "AUROC (95 %)"], probes, []),
        dropped=dropped,
        gated=gated,
        license=license,
        override=override,
        findings=findings or (),
    )
    return _card(DatasetCard, data, f"{card.text.strip()}\n\n{more}")


def space_card(
    repo_id: str,
    *,
    model_id: str | None,
    preload: bool,
    labels: Sequence[str],
    sdk_version: str,
    datasets: Sequence[str] = (),
    drawn: bool = False,
    license: str = "",
    override: str = "",
    findings: Sequence[Finding] = (),
) -> RepoCard:
    """The card of a Space, with what the Hub needs to run it.

    `preload`: the model is public, and is fetched when the Space is built. `datasets` are those
    that the model's own card names; `drawn`: it learned from drawings.
    """
    data = SpaceCardData(
        title=repo_id.partition("/")[2],
        sdk="gradio",
        sdk_version=sdk_version,
        python_version=PYTHON,
        suggested_hardware="cpu-basic",
        emoji="🔬",
        colorFrom="blue",
        colorTo="gray",
        app_file="app.py",
        license=license or None,
        models=[model_id] if model_id else None,
        datasets=list(datasets) or None,
        tags=tags_of(drawn=drawn),
        short_description="Research demo on face photographs; no medical device",
        preload_from_hub=[model_id] if preload else None,
    )
    body = render_template(
        "space.md.jinja",
        title=repo_id.partition("/")[2],
        model_id=model_id,
        preload=preload,
        drawn=drawn,
        labels=labels,
        notice=RESEARCH_NOTICE,
        version=__version__,
        override=override,
        findings=findings or (),
    )
    return _card(RepoCard, data, body)


def _card(kind: type[RepoCard], data: Any, body: str) -> Any:
    return kind(f"---\n{data.to_yaml()}\n---\n\n{body}")


def _probe_text(probe: dict[str, Any]) -> str:
    if probe["reason"]:
        return probe["reason"]
    raised = ", raised" if probe["raised"] else ""
    return f"{probe['auroc']:.2f} ({probe['low']:.2f}–{probe['high']:.2f}){raised}"
