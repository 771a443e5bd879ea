"""Grades of severity: the ordinal head against plain softmax, on a drawn cohort.

    python benchmarks/ordinal.py --work build/ordinal [--photos 480] [--model face-resnet]

Faces are drawn (`hf_cushing.data.synthetic`) and labelled control, or mild, moderate and severe by
the thirds of the severity that they were drawn with. Five folds by patient, each learned with
`--finetune head` by both heads from the same features; the test photos of all folds are pooled.
Printed: quadratic kappa and mean absolute error by sex with 95 % intervals, and ordinal minus
softmax on the same draws of patients.
"""

import argparse
import csv
from pathlib import Path
from unittest.mock import patch

import numpy as np

from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.data.synthetic import FEMALE_SHARE, CohortOptions, make_cohort
from hf_cushing.evaluation.grades import GradedSample, report_grades
from hf_cushing.evaluation.predictions import Predictions, concatenate, load_predictions
from hf_cushing.evaluation.subgroups import make_sample, make_samples
from hf_cushing.evaluation.wording import format_value
from hf_cushing.reports.table import interval_text
from hf_cushing.schema import CONTROL
from hf_cushing.stats.grade_metrics import GRADE_METRICS
from hf_cushing.stats.resampling import percentile_interval
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune

GRADES = (CONTROL, "mild", "moderate", "severe")
FOLDS, DRAWS = 5, 2000
HEADS = {"softmax": (), "ordinal": ("--task", "ordinal", "--grades", ",".join(GRADES))}


def grade_labels(raw: Path, truth: Path) -> None:
    """Write grades for the labels of a drawn cohort: thirds of the patients' severity."""
    with open(truth / "truth.csv", encoding="utf-8") as file:
        drawn = {row["file_name"]: float(row["cushing"]) for row in csv.DictReader(file)}
    with open(raw / "metadata.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    severity: dict[str, float] = {}
    for row in rows:
        if row["label"] != CONTROL:
            severity.setdefault(row["patient_id"], drawn[row["file_name"]])
    cuts = np.quantile(list(severity.values()), [1 / 3, 2 / 3])
    for row in rows:
        if row["label"] != CONTROL:
            row["label"] = GRADES[1 + int(np.digitize(severity[row["patient_id"]], cuts))]
    with open(raw / "metadata.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def make_dataset(work: Path, photos: int) -> Path:
    """Draw, grade and prepare; what is there already is taken."""
    out = work / "dataset"
    if not out.exists():
        with patch.dict(FEMALE_SHARE, {True: 0.5, False: 0.5}):
            make_cohort(work / "raw", work / "truth", CohortOptions(photos=photos, seed=1))
        grade_labels(work / "raw", work / "truth")
        prepare(work / "raw", out, PrepareOptions(folds=FOLDS, identity=False))
    return out


def cross_validate(work: Path, dataset: Path, head: str, more: list[str]) -> Predictions:
    """Test photos of all folds."""
    parts = []
    for fold in range(FOLDS):
        run = work / f"{head}-{fold}"
        if not (run / "manifest.json").exists():
            options = ["--dataset", str(dataset), "--output_dir", str(run), "--fold", str(fold)]
            fine_tune(parse([*options, "--cpu", "--bootstrap", "100", *HEADS[head], *more]))
        parts.append(load_predictions(run).of_split("test"))
    return concatenate(parts)


def difference(scored: dict[str, Predictions], sex: str) -> dict[str, str]:
    """Each metric, ordinal minus softmax, on the same draws of patients."""
    found = {}
    for head, predictions in scored.items():
        graded = GradedSample(make_sample(predictions, draws=DRAWS), GRADES)
        mask = np.isin(graded.sample.rows.sex, ("female", "male") if sex == "all" else (sex,))
        found[head] = graded.subgroup(sex, mask)
    texts, (one, two) = {}, (found["ordinal"], found["softmax"])
    for metric in GRADE_METRICS:
        change = one.report.values[metric].estimate - two.report.values[metric].estimate
        ends = percentile_interval(one.draws[metric] - two.draws[metric], one.level)
        texts[metric] = interval_text(change, *ends)
    return texts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=480)
    parser.add_argument("--model", default="face-resnet")
    parser.add_argument("--finetune", default="head")
    parser.add_argument("--imbalance", default="class_sex")
    options = parser.parse_args()
    dataset = make_dataset(options.work, options.photos)
    runs = options.work / f"{Path(options.model).name}-{options.finetune}-{options.imbalance}"
    more = ["--model", options.model, "--finetune", options.finetune]
    more += ["--imbalance", options.imbalance]
    scored = {head: cross_validate(runs, dataset, head, more) for head in HEADS}
    for head, predictions in scored.items():
        for row in report_grades(make_samples(predictions, draws=DRAWS), GRADES).rows:
            if row.unit == "photo":
                values = [f"{metric} {format_value(value)}" for metric, value in row.values.items()]
                print(f"{head}, {row.subgroup} ({row.patients} patients): {', '.join(values)}")
    for sex in ("all", "female", "male"):
        print(f"ordinal minus softmax, {sex}: {difference(scored, sex)}")


if __name__ == "__main__":
    main()
