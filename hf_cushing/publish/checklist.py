"""Reporting checklists: what the card answers, what is missing, what only a person can fill in.

Item numbers are those of TRIPOD+AI (Collins et al. 2024, BMJ 385:e078378), CLAIM 2024 (Tejani et
al. 2024, Radiology: Artificial Intelligence 6:e240300) and the sections of Model Cards (Mitchell
et al. 2019, arXiv 1810.03993); the words are ours. Read the originals before you report a study.
"""

from __future__ import annotations

from dataclasses import dataclass

from hf_cushing.files import render_template
from hf_cushing.publish.card_facts import ModelFacts
from hf_cushing.schema import RESEARCH_NOTICE

FILLED, MISSING, PERSON = "filled", "missing", "only a person can fill in"

ITEMS = {
    "TRIPOD+AI": (
        ("1", "Title: model, target population, outcome", ""),
        ("2", "Abstract", ""),
        ("3a", "Healthcare context and existing models", ""),
        ("3b", "Target population, purpose and users", "Intended use"),
        ("3c", "Known health inequalities", ""),
        ("4", "Objectives: development, evaluation or both", ""),
        ("5a", "Sources of the data, and whom they represent", "answer:purpose"),
        ("5b", "Dates of the data", "answer:collection_dates"),
        ("6a", "Setting: centres and places", "answer:place_and_camera"),
        ("6b", "Who was included and excluded", "answer:eligibility"),
        ("6c", "Treatments received", ""),
        ("7", "Preparation and checks of the data", "Data"),
        ("8a", "Outcome: how the diagnosis was made", "answer:reference_standard"),
        ("8b", "Who assessed the outcome", ""),
        ("8c", "Blinding of the outcome's assessment", ""),
        ("9a", "Choice of predictors", "Training"),
        ("9b", "Definition of predictors: the aligned face crop", "Data"),
        ("9c", "Who assessed predictors", "Data"),
        ("10", "Sample size and its reason", ""),
        ("11", "Missing data", ""),
        ("12a", "How the data were used: splits by patient", "Data"),
        ("12b", "How predictors enter: preprocessing", "Data"),
        ("12c", "Model, training, hyperparameters, internal validation", "Training"),
        ("12d", "Differences between clusters, such as clinics", "missing"),
        ("12e", "Measures of performance, and figures", "Results"),
        ("12f", "Updating of the model: recalibration", "Calibration"),
        ("12g", "How predictions are computed", "How to use"),
        ("13", "Class imbalance", "Training"),
        ("14", "Fairness: methods and reason", "Results"),
        ("15", "Output: probabilities, threshold and its origin", "Operating point"),
        ("16", "Differences between training and evaluation data", "Data"),
        ("17", "Ethics approval and consent", "answer:ethics_approval"),
        ("18a", "Funding", "answer:funding"),
        ("18b", "Conflicts of interest", ""),
        ("18c", "Protocol", ""),
        ("18d", "Registration", ""),
        ("18e", "Availability of data", "dataset"),
        ("18f", "Availability of code", "Training"),
        ("19", "Involvement of patients and the public", ""),
        ("20a", "Flow of participants", "training counts"),
        ("20b", "Characteristics of participants", "training counts"),
        ("20c", "Evaluation against development data", "training counts"),
        ("21", "Participants and outcomes in each analysis", "training counts"),
        ("22", "The full model", "How to use"),
        ("23a", "Performance with intervals, for key subgroups", "Results"),
        ("23b", "Performance in clusters", "missing"),
        ("24", "Results of updating", "Calibration"),
        ("25", "Interpretation, and fairness in context", ""),
        ("26", "Limitations", "Limits"),
        ("27a", "Input that is poor or missing", "How to use"),
        ("27b", "Interaction and expertise that use requires", "Intended use"),
        ("27c", "Next steps of research", ""),
    ),
    "CLAIM 2024": (
        ("1", "Title: the kind of AI", "Training"),
        ("2", "Abstract", ""),
        ("3", "Background and role of the AI", ""),
        ("4", "Aims and hypotheses", ""),
        ("5", "Prospective or retrospective", ""),
        ("6", "Goal of the study", ""),
        ("7", "Sources of the data", "answer:purpose"),
        ("8", "Inclusion and exclusion", "answer:eligibility"),
        ("9", "Preprocessing", "Data"),
        ("10", "Selection of parts of the data", ""),
        ("11", "De-identification", "Data"),
        ("12", "Missing data", ""),
        ("13", "How the images were taken", "answer:place_and_camera"),
        ("14", "Reference standard: definition", "answer:reference_standard"),
        ("15", "Reference standard: reason", ""),
        ("16", "Reference standard: who annotated", ""),
        ("17", "Annotation of the test data", ""),
        ("18", "Variability between and within annotators", ""),
        ("19", "How data were assigned to partitions", "Data"),
        ("20", "Level at which partitions are disjoint: the patient", "Data"),
        ("21", "Intended sample size", ""),
        ("22", "Model: inputs, layers, outputs", "Training"),
        ("23", "Software, with versions", "Training"),
        ("24", "Initialisation of the weights", "Training"),
        ("25", "Training: augmentation, settings", "Training"),
        ("26", "How the final model was chosen", "Training"),
        ("27", "Ensembling", "Training"),
        ("28", "Metrics", "Results"),
        ("29", "Uncertainty, and how it was computed", "Results"),
        ("30", "Robustness", "missing"),
        ("31", "Explainability", "regions"),
        ("32", "Evaluation on internal data", "Results"),
        ("33", "Testing on external data", "missing"),
        ("34", "Registration of a trial", ""),
        ("35", "Numbers included and excluded", "training counts"),
        ("36", "Demographics by partition", "training counts"),
        ("37", "Performance on the test data", "Results"),
        ("38", "Estimates with their precision", "Results"),
        ("39", "Analysis of failures", "missing"),
        ("40", "Limitations", "Limits"),
        ("41", "Meaning for practice", ""),
        ("42", "Where the protocol is", ""),
        ("43", "Availability of software, model and data", "How to use"),
        ("44", "Funding", "answer:funding"),
    ),
    "Model Cards": (
        ("Model details", "Who made it, version, licence, citation", "licence"),
        ("Intended use", "Uses, users, out of scope", "Intended use"),
        ("Factors", "Groups and conditions that matter", "Results"),
        ("Metrics", "Measures, thresholds, uncertainty", "Operating point"),
        ("Evaluation data", "What it was tested on", "Data"),
        ("Training data", "What it learned from", "training counts"),
        ("Quantitative analyses", "By group, and by groups crossed", "Results"),
        ("Ethical considerations", "Sensitive data, risks, consent", "answer:consent"),
        ("Caveats", "What else to know", "Limits"),
    ),
}
"""Number, what is asked, and what answers it.

A section of the card; `missing`; ``answer:NAME`` of the datasheet; a fact that may be there or
not (`dataset`, `training counts`, `regions`, `licence`); or nothing, where only a person knows.
"""


@dataclass(frozen=True)
class Answer:
    """One item: its number, what it asks, `FILLED`, `MISSING` or `PERSON`, and where to look."""

    number: str
    asked: str
    status: str
    where: str


def answers(facts: ModelFacts) -> dict[str, list[Answer]]:
    """Every item of each checklist, answered as far as the run's facts go."""
    return {
        source: [Answer(number, asked, *_answer(key, facts)) for number, asked, key in items]
        for source, items in ITEMS.items()
    }


def _answer(key: str, facts: ModelFacts) -> tuple[str, str]:
    if not key:
        return PERSON, ""
    if key.startswith("answer:"):
        name = key.removeprefix("answer:")
        return (FILLED, f"datasheet: {name}") if facts.datasheet.get(name) else (PERSON, "")
    conditions = {
        "missing": (False, ""),
        "dataset": (bool(facts.dataset_id), "Data"),
        "training counts": (facts.counts_of_training, "Data"),
        "regions": (facts.regions is not None, "Where in the face it looks"),
        "licence": (bool(facts.license), "Citation"),
    }
    there, where = conditions.get(key, (True, key))
    return (FILLED, where) if there else (MISSING, "")


def checklist_page(facts: ModelFacts) -> str:
    """``checklist.md``."""
    found = answers(facts)
    return render_template(
        "checklist.md.jinja",
        repo_id=facts.repo_id,
        notice=RESEARCH_NOTICE,
        found=found,
        statuses=(FILLED, MISSING, PERSON),
        person=PERSON,
        missing=MISSING,
    )
