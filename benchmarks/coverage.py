"""Do the intervals hold the truth as often as they say? Simulated patients, known truth.

    python benchmarks/coverage.py [--runs 1000] [--boot-runs 400] [--draws 1000]
    python benchmarks/coverage.py --paired [--boot-runs 1000] [--draws 500]

Each patient, half of them sick, half of them women, has 1 to 3 photos; a photo's log-odds is the
patient's plus noise, with a correlation of 0.6 within a patient; the threshold is fixed. Women
and men differ by nothing, so that the gap test should raise a gap in 5 % of the samples.
Prints the share of 95 % intervals that hold the truth: ours (closed forms, for these metrics),
the bootstrap of patients with expanded percentiles (ours for other metrics) and with plain ones,
and the bootstrap of rows that other tools use; and the type-I error of the gap test.

With --paired two models score the same photos, of 10, 20, 40 and 100 patients of each class, 70 %
of them women: the intervals of their differences, if they are equally good and if they are not;
how often a difference is called that is none; and what draws within class and sex, cut at 95 %,
would have given.
"""

import argparse

import numpy as np
from scipy.special import expit, ndtr
from tqdm import tqdm

from hf_cushing.stats.decisions import Decisions
from hf_cushing.stats.intervals import clustered_auroc, difference_interval, rate_intervals
from hf_cushing.stats.metrics import weighted_metrics
from hf_cushing.stats.paired_metrics import paired_differences
from hf_cushing.stats.resampling import Patients, percentile_interval
from hf_cushing.stats.significance import permutation_p

SHOWN = ("f1", "auroc", "recall")
APART, SHARED = 1.5, 0.6
SIZES = (40, 100, 400)
ANSWERS = ("ours", "expanded", "patients", "rows")


def sample(patients: int, rng: np.random.Generator) -> tuple[Decisions, np.ndarray, np.ndarray]:
    """Draw photos; who is in them, and who is a woman."""
    sick = np.arange(patients) % 2 == 0
    women = np.arange(patients) % 4 < 2
    photos = rng.integers(1, 4, patients)
    who = np.repeat(np.arange(patients), photos)
    own = rng.normal(size=patients) * SHARED**0.5
    value = own[who] + rng.normal(size=len(who)) * (1 - SHARED) ** 0.5 + APART * sick[who]
    score = expit(value - APART / 2)
    return Decisions(sick[who], score, np.full(len(who), 0.5)), who, women[who]


def truth() -> dict[str, float]:
    """What a very large sample would show: as many photos of sick as of healthy people."""
    recall = float(ndtr(APART / 2))
    alarms = 1 - recall
    return {
        "f1": 2 * recall / (2 * recall + (1 - recall) + alarms),
        "auroc": float(ndtr(APART / 2**0.5)),
        "recall": recall,
    }


def closed(part: Decisions, who: Patients) -> dict[str, tuple[float, float, float]]:
    """Estimate and interval as the report shows them."""
    area = clustered_auroc(part.truth, part.score, who)
    found = rate_intervals(part.truth, part.called, who)
    found["auroc"] = (area.estimate, *area.interval())
    return {metric: found[metric] for metric in SHOWN}


def intervals(patients: int, rng: np.random.Generator, draws: int) -> dict[str, dict]:
    """Intervals of one sample, by way and metric; of all, and of the gap of the sexes."""
    part, ids, women = sample(patients, rng)
    strata = 2 * part.truth + women
    who = Patients(ids, strata)
    sides = [np.flatnonzero(women), np.flatnonzero(~women)]
    sexes = [closed(part.select(rows), who.select(rows)) for rows in sides]
    found = {"ours": {m: bounds[1:] for m, bounds in closed(part, who).items()}}
    found["ours"] |= {f"{m} gap": difference_interval(sexes[0][m], sexes[1][m]) for m in SHOWN}
    if not draws:
        return found
    single = Patients(np.arange(len(part)), np.zeros(len(part)))
    drawn = _both(part, sides, who.draws(draws, rng))
    level = who.level()
    found["expanded"] = {name: percentile_interval(drawn[name], level) for name in drawn}
    found["patients"] = {name: percentile_interval(drawn[name]) for name in drawn}
    rows = _both(part, sides, single.draws(draws, rng))
    found["rows"] = {name: percentile_interval(rows[name]) for name in rows}
    return found


def _both(part: Decisions, sides: list[np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    whole = weighted_metrics(part, weights, SHOWN)
    women, men = (weighted_metrics(part.select(rows), weights[:, rows], SHOWN) for rows in sides)
    return {m: whole[m] for m in SHOWN} | {f"{m} gap": women[m] - men[m] for m in SHOWN}


def gap_p(patients: int, rng: np.random.Generator, shuffles: int) -> dict[str, float]:
    """P values of the permutation test in a sample without a gap."""
    part, ids, women = sample(patients, rng)
    who = Patients(ids, 2 * part.truth + women)
    dealt = who.shuffled(women, part.truth, shuffles, rng)
    sides = [weighted_metrics(part, side.astype(np.float32), SHOWN) for side in (dealt, ~dealt)]
    own = [weighted_metrics(part, side[None].astype(float), SHOWN) for side in (women, ~women)]
    return {
        m: permutation_p(float(own[0][m][0] - own[1][m][0]), sides[0][m] - sides[1][m])[1]
        for m in SHOWN
    }


PAIRED = ("recall", "accuracy", "precision", "f1", "auroc")
PAIRED_SIZES = (10, 20, 40, 100)
SKILLS = {"equally good": (APART, APART), "not": (APART + 0.3, APART - 0.3)}


def two_models(
    per_class: int, skills: tuple[float, float], rng: np.random.Generator
) -> tuple[list[Decisions], np.ndarray, np.ndarray]:
    """Draw photos that two models score, whose errors on a patient correlate by 0.5."""
    sick = np.arange(2 * per_class) % 2 == 0
    who = np.repeat(np.arange(2 * per_class), rng.integers(1, 4, 2 * per_class))
    women = rng.random(2 * per_class) < 0.7
    common = rng.normal(size=2 * per_class)
    models = []
    for apart in skills:
        own = (common + rng.normal(size=2 * per_class)) * (SHARED / 2) ** 0.5
        value = own[who] + rng.normal(size=len(who)) * (1 - SHARED) ** 0.5 + apart * sick[who]
        models.append(Decisions(sick[who], expit(value - apart / 2), np.full(len(who), 0.5)))
    return models, who, women[who]


def true_difference(skills: tuple[float, float], metric: str) -> float:
    """Of very large samples."""
    scale = APART / 2**0.5 if metric == "auroc" else APART / 2
    first, second = (float(ndtr(scale * skill / APART)) for skill in skills)
    return first - second


def paired(runs: int, draws: int) -> None:
    """Simulate and print what two models on the same photos give."""
    print("patients of each class | models | what | " + " | ".join(PAIRED))
    for size in PAIRED_SIZES:
        for name, skills in SKILLS.items():
            real = {m: true_difference(skills, m) for m in PAIRED}
            kept = {way: {m: [] for m in PAIRED} for way in ("holds", "within sex", "called")}
            for run in tqdm(range(runs), desc=f"{size}, {name}", leave=False):
                rng = np.random.default_rng([size, run])
                pair, who, women = two_models(size, skills, rng)
                given = {"draws": draws, "margin": 0.05, "primary": "auroc"}
                found = paired_differences(pair, Patients(who, pair[0].truth), **given)
                weights = Patients(who, 2 * pair[0].truth + women).draws(draws, rng)
                drawn = [weighted_metrics(model, weights, PAIRED) for model in pair]
                for m in PAIRED:
                    low, high = percentile_interval(drawn[0][m] - drawn[1][m])
                    kept["within sex"][m].append(low <= real[m] <= high)
                    kept["holds"][m].append(found[m].low <= real[m] <= found[m].high)
                    kept["called"][m].append(found[m].verdict.endswith("better"))
            for way, by_metric in kept.items():
                shares = " | ".join(f"{np.mean(by_metric[m]):.3f}" for m in PAIRED)
                print(f"{size} | {name} | {way} | {shares}", flush=True)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="samples for the closed forms")
    parser.add_argument("--boot-runs", type=int, default=400, help="samples for the bootstraps")
    parser.add_argument("--test-runs", type=int, default=1000, help="samples for the gap test")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--paired", action="store_true", help="two models on the same photos")
    options = parser.parse_args()
    if options.paired:
        paired(options.boot_runs, options.draws)
        return
    real = truth() | {f"{m} gap": 0.0 for m in SHOWN}
    names = list(real)
    print("patients | interval | " + " | ".join(names))
    for patients in SIZES:
        held = {way: {name: [] for name in names} for way in ANSWERS}
        for run in tqdm(range(options.runs), desc=f"{patients} patients", leave=False):
            draws = options.draws if run < options.boot_runs else 0
            found = intervals(patients, np.random.default_rng([patients, run]), draws)
            for way, by_name in found.items():
                for name, (low, high) in by_name.items():
                    held[way][name].append(low <= real[name] <= high)
        for way in ANSWERS:
            shares = [np.mean(held[way][name]) for name in names]
            print(f"{patients} | {way} | " + " | ".join(f"{share:.3f}" for share in shares))
        raised = [
            gap_p(patients, np.random.default_rng([patients, run, 1]), options.draws)
            for run in tqdm(range(options.test_runs), desc="gap test", leave=False)
        ]
        errors = [np.mean([p[m] <= 0.05 for p in raised]) for m in SHOWN]
        print(f"{patients} | type I | – | – | – | " + " | ".join(f"{e:.3f}" for e in errors))


if __name__ == "__main__":
    main()
