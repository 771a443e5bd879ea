"""Do the intervals of a reader study hold the truth as often as they say? Simulated readers.

    python benchmarks/readers.py [--simulations 2000] [--readers 20] [--cases 100]

A rating is drawn by the model of Roe and Metz (1997, Acad Radiol 4:298): class mean plus effects
of reader, case, modality x reader, modality x case, reader x case and error, with their variances
for an AUROC of 0.855. Half the cases are diseased. The model alone shares the case effect. Also
with two photos a patient, whose case effects correlate by 0.7.

Prints for each structure, metric and number of readers the share of studies in which a test at
5 % finds a difference that is not there (type I), by analysis, and the share of 95 % intervals
that hold the truth: of a difference (0.05 in AUROC), of one modality's mean, and of readers minus
model; then the milliseconds that drawing and analysing all of this takes.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from tqdm import tqdm

from hf_cushing.stats.mrmc import (
    ANALYSES,
    RANDOM,
    Estimate,
    compare_modalities,
    compare_with_model,
    reader_average,
)
from hf_cushing.stats.reader_scores import ReaderScores

APART = 1.5
"""Distance of the class means in standard deviations of a reader's ratings."""

BETTER = 0.05
"""Gain in AUROC of the second modality, where there is one."""

TWIN = 0.7
"""Correlation of the case effects of two photos of one patient."""


@dataclass(frozen=True)
class Structure:
    """Variances of reader (and modality x reader), case, modality x case, reader x case, error."""

    reader: float
    case: float
    modality_case: float
    reader_case: float
    error: float

    @property
    def total(self) -> float:
        """Variance of a rating within a class; that of all but the readers is 1."""
        return 1 + 2 * self.reader


STRUCTURES = {
    "LH": Structure(0.0055, 0.3, 0.3, 0.2, 0.2),
    "HH": Structure(0.03, 0.3, 0.3, 0.2, 0.2),
    "LL": Structure(0.0055, 0.1, 0.1, 0.2, 0.6),
    "HL": Structure(0.03, 0.1, 0.1, 0.2, 0.6),
}
"""Variance of readers low or high, then correlation of ratings low or high."""


@dataclass(frozen=True)
class Design:
    """A study to be simulated."""

    structure: str
    metric: str
    readers: int
    cases: int
    photos: int = 1

    @property
    def name(self) -> str:
        """As printed."""
        twins = f", {self.photos} photos a patient" if self.photos > 1 else ""
        return f"{self.structure}, {self.metric}, {self.readers} readers, {self.cases} cases{twins}"


def study(
    design: Design, apart: tuple[float, float], rng: np.random.Generator
) -> tuple[ReaderScores, np.ndarray]:
    """Ratings in two modalities with these distances of the class means, and the model alone.

    Calls made of them where the metric asks for calls.
    """
    part, readers, cases = STRUCTURES[design.structure], design.readers, design.cases
    patients = np.arange(cases) // design.photos
    truth = patients % 2 == 0
    side = truth.astype(int)

    def by_case(*shape: int) -> np.ndarray:
        own = rng.normal(size=(*shape, patients[-1] + 1))[..., patients]
        share = TWIN if design.photos > 1 else 0
        return share**0.5 * own + (1 - share) ** 0.5 * rng.normal(size=(*shape, cases))

    case = by_case() * part.case**0.5
    skill = rng.normal(size=(readers, 1, 2)) + rng.normal(size=(readers, 2, 2))
    rating = np.array(apart)[:, None] * truth + case + skill[..., side] * part.reader**0.5
    rating += by_case(2) * part.modality_case**0.5
    rating += by_case(readers, 1) * part.reader_case**0.5
    rating += rng.normal(size=rating.shape) * part.error**0.5
    # as able as the readers are on average, without their variance
    model = apart[0] / part.total**0.5 * truth + case + by_case() * (1 - part.case) ** 0.5
    if design.metric != "auroc":
        rating, model = rating >= APART / 2, model >= model_threshold(design)
    return ReaderScores(ratings=rating, truth=truth, patients=patients), model


def real(design: Design, apart: float) -> float:
    """Mean figure of all readers on all cases."""
    spread = STRUCTURES[design.structure].total ** 0.5
    if design.metric == "auroc":
        return float(ndtr(apart / spread / 2**0.5))
    return float(ndtr((apart - APART / 2) / spread))


def farther(design: Design) -> float:
    """Distance of the class means at which the AUROC is higher by `BETTER`."""
    spread = (2 * STRUCTURES[design.structure].total) ** 0.5
    return spread * float(ndtri(ndtr(APART / spread) + BETTER))


def model_threshold(design: Design) -> float:
    """The model's threshold, at which it is as sensitive as the readers."""
    return APART / 2 / STRUCTURES[design.structure].total ** 0.5


def one(design: Design, rng: np.random.Generator) -> dict[str, bool]:
    """What a study without a difference, and one with it, come to."""
    metric, found = design.metric, {}
    scores, model = study(design, (APART, APART), rng)
    for name, analysis in compare_modalities(scores, metric).analyses.items():
        found[f"type I {name}"] = analysis.p < 0.05
    alone = compare_with_model(scores, model, metric, modality="1")
    for name, estimate in alone.analyses.items():
        found[f"model type I {name}"] = estimate.p < 0.05
    found["model"] = _holds(alone.analyses[RANDOM], 0)
    found["mean"] = _holds(reader_average(scores, "1", metric), real(design, APART))
    better = farther(design)
    scores, _ = study(design, (APART, better), rng)
    gap = compare_modalities(scores, metric).analyses[RANDOM].differences["1", "2"]
    found["difference"] = _holds(gap, real(design, APART) - real(design, better))
    return found


def _holds(estimate: Estimate, truth: float) -> bool:
    return bool(estimate.low <= truth <= estimate.high)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--readers", type=int, nargs="+", default=[20, 5])
    parser.add_argument("--cases", type=int, default=100)
    options = parser.parse_args()
    designs = [
        Design(structure, "auroc", readers, options.cases)
        for structure in STRUCTURES
        for readers in options.readers
    ]
    designs += [Design("HH", "sensitivity", n, options.cases) for n in options.readers]
    designs += [Design("HH", "auroc", n, options.cases, photos=2) for n in options.readers]
    tests = [f"{kind} {name}" for kind in ("type I", "model type I") for name in ANALYSES]
    print(*("design", *tests, "holds difference", "holds mean", "holds model", "ms"), sep=" | ")
    for number, design in enumerate(designs):
        rng, start = np.random.default_rng(number), time.perf_counter()
        runs = [one(design, rng) for _ in tqdm(range(options.simulations), leave=False)]
        took = (time.perf_counter() - start) / options.simulations * 1000
        names = [*tests, "difference", "mean", "model"]
        shares = [f"{np.mean([run[name] for run in runs]):.3f}" for name in names]
        print(" | ".join([design.name, *shares, f"{took:.0f}"]), flush=True)


if __name__ == "__main__":
    main()
