"""Do the methods against sex bias report the truth? On drawn faces, where it is known.

    python benchmarks/mitigation.py --work build/mitigation [--model NAME --finetune METHOD]

Draws a small cohort whose sign is weaker in men, and few men, compares all methods on it with
`hf-cushing compare`, and scores every model on 2,000 photos of fresh persons of the same kind.
What a method does there is the truth, up to that cohort's own small error; the study's 95 %
intervals should hold it.
"""

import argparse
import sys
from pathlib import Path
from unittest.mock import patch

from hf_cushing.compare.command import compare
from hf_cushing.compare.external import external_results
from hf_cushing.compare.grid import make_cells
from hf_cushing.compare.mitigation import compare_mitigations, mitigated_models, value_text
from hf_cushing.compare.plan import make_study
from hf_cushing.compare.results import ArmResult, collect
from hf_cushing.data.loading import load_faces
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.data.synthetic import FEMALE_SHARE, CohortOptions, make_cohort

METHODS = ["none", "sampling", "reweighting", "group_dro", "dfr", "sex_thresholds",
           "matched_subset"]  # fmt: skip
METRICS = ("balanced_accuracy", "auroc")
DRAWS = 2000


def drawn(work: Path, name: str, photos: int, seed: int) -> Path:
    """A prepared cohort: severity 0.65 in women, 0.35 in men, who are few among the sick."""
    out = work / name
    if not (out / "README.md").exists():
        options = CohortOptions(photos=photos, severity=(0.65, 0.35), seed=seed)
        with patch.dict(FEMALE_SHARE, {True: 0.8}):
            make_cohort(work / f"{name}_raw", work / f"{name}_truth", options)
        prepare(work / f"{name}_raw", out, PrepareOptions(identity=False))
    return out


def main() -> None:
    """Draw, compare, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="tiny-resnet")
    parser.add_argument("--finetune", default="full")
    parser.add_argument("--epochs", type=int, default=15)
    asked = parser.parse_args()
    small = drawn(asked.work, "small", 400, seed=11)
    large = drawn(asked.work, "large", 2000, seed=12)
    options = {"cpu": True, "bootstrap": 200}
    if asked.finetune != "head":
        options |= {"epochs": asked.epochs, "patience": 6}
    if asked.model.startswith("tiny-"):
        options |= {"init": "random"}
    study = make_study(
        {"models": [asked.model], "finetune": [asked.finetune], "mitigation": METHODS,
         "folds": 5, "options": options, "baselines": "none"}, "here",
    )  # fmt: skip
    out = asked.work / f"study-{Path(asked.model).name}-{asked.finetune}"
    compare(study, str(small), out, draws=DRAWS, say=say)
    cells, _ = make_cells(study, str(small), load_faces(str(small)), out)
    cells = [cell for cell in cells if cell.done]
    (result,) = collect(cells, draws=DRAWS)
    truth = external_results(cells, str(large), draws=200, say=say)["cushing"]
    for _, arms in mitigated_models(result):
        for metric in METRICS:
            table(arms, truth, metric)


def table(arms: list[ArmResult], truth: dict, metric: str) -> None:
    """Estimates, intervals and truths, and how many intervals hold them."""
    fresh = {arm.arm.treatment: truth[arm.arm] for arm in arms}

    def true_of(name: str) -> tuple[float, float]:
        found = (fresh[name][s].report.values[metric].estimate for s in ("all", "female", "male"))
        whole, women, men = found
        return whole, min(women, men)

    held = asked = 0
    print(f"\n{metric}: estimate (95 %) | truth on fresh persons")
    for row in compare_mitigations(arms, metric):
        real, base = true_of(row.name), true_of("none")
        pairs = [(row.overall, real[0]), (row.worst, real[1])]
        if row.change:
            pairs += [(row.change, real[0] - base[0]), (row.worst_change, real[1] - base[1])]
        words = [
            f"{value_text(figure)} | {value:+.2f}{mark(figure, value)}" for figure, value in pairs
        ]
        held += sum(figure.low <= value <= figure.high for figure, value in pairs)
        asked += len(pairs)
        print(f"{row.name:15} {'   '.join(words)}   {row.verdict}")
    print(f"{held} of {asked} intervals hold the truth")


def mark(figure, value: float) -> str:
    """A star where the interval misses."""
    return "" if figure.low <= value <= figure.high else " *"


def say(line: str) -> None:
    """To stderr: the tables alone go to stdout."""
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
