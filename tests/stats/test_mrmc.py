import math
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from hf_cushing.schema import UserError
from hf_cushing.stats.mrmc import (
    FIXED_CASES,
    FIXED_READERS,
    RANDOM,
    compare_modalities,
    compare_with_model,
    mean_estimate,
    reader_average,
)
from hf_cushing.stats.reader_scores import (
    ReaderScores,
    averaged,
    matched_point,
    reader_figures,
)

VAN_DYKE = """
    122151111111411111111131311214111113121211233131133111111221111332111
    555545554555434245555555154454553555115554451
    333222223213122222211111421312214323123122233111333113412421241442111
    535555554555544335555555355355554455535555551
    232222222322522232222222422223222222222222222222222222222432232222222
    535555542555442225555555243354552425225555352
    322222223222222122221222322222212212222231223222222222322322222222122
    535555552555344245455545252355532425525555552
    222235112242422232221232411322112224121412112222223211211221151421212
    545555555555542355555555252255552555225555552
    242222322211132222121121411512112122212221132111233113221232341242121
    525555555555354145555555253355543555534555551
    111111311111111111112111211112111111111111111111331111111111111311111
    555555555555555155555555554544553555125555555
    221111312111122111211111321212111122112111112121212211111212111323211
    545555554555455555555555455445555555535555555
    351211112221211122113221111211211231221113332111211111111341231212113
    525255551545452235555554144322151515115553552
    223122221222111222122212322321212222112121132122332122221222231233111
    525455555455343335555555251332532545533555553
"""
"""Ratings 1 to 5 of Van Dyke, White, Obuchowski et al. (1993): for each of 5 readers and first cine
MRI, then spin echo, a line for 69 patients without and one for 45 with aortic dissection. From
the file vignettes/VanDyke.lrc of R's RJafroc; also in MRMCaov."""


@cache
def van_dyke():
    lines = VAN_DYKE.split()
    ratings = [[int(c) for c in lines[i] + lines[i + 1]] for i in range(0, len(lines), 2)]
    return ReaderScores(
        ratings=np.array(ratings, float).reshape(5, 2, 114),
        truth=np.arange(114) >= 69,
        modalities=("cine", "spin echo"),
    )


# Published output of OR-DBM MRMC 2.51 (University of Iowa) for these data with jackknife
# covariances, as kept in RJafroc's inst/IowaResults/VanDyke.txt


@cache
def published():
    return compare_modalities(van_dyke(), method="jackknife")


def test_figures_and_covariances_are_the_published_ones():
    found = published()
    assert found.figures[:, 0] == pytest.approx(
        [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066], abs=5e-9
    )
    assert found.figures[:, 1] == pytest.approx(
        [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169], abs=5e-9
    )
    assert found.means == pytest.approx({"cine": 0.89703704, "spin echo": 0.94083736}, abs=5e-9)
    fixed = found.covariances
    assert (fixed.var, fixed.cov1, fixed.cov2, fixed.cov3) == pytest.approx(
        (0.00080229, 0.00034661, 0.00034407, 0.00023903), abs=5e-9
    )


@pytest.mark.parametrize(
    ("analysis", "f", "df2", "p", "error", "low", "high"),
    [
        (RANDOM, 4.46, 15.26, 0.0517, 0.02075, -0.08796, 0.00036),
        (FIXED_READERS, 5.47595, math.inf, 0.0193, 0.01872, -0.08049, -0.00711),
        (FIXED_CASES, 8.70, 4, 0.0420, 0.01485, -0.08502, -0.00258),
    ],
)
def test_three_analyses_are_the_published_ones(analysis, f, df2, p, error, low, high):
    found = published().analyses[analysis]
    assert found.f == pytest.approx(f, abs=5e-6 if analysis == FIXED_READERS else 5e-3)
    assert (found.df1, found.df2) == pytest.approx((1, df2), abs=5e-3)
    assert found.p == pytest.approx(p, abs=5e-5)
    gap = found.differences["cine", "spin echo"]
    assert gap.estimate == pytest.approx(-0.04380032, abs=5e-9)
    assert (gap.error, gap.low, gap.high) == pytest.approx((error, low, high), abs=5e-6)
    assert gap.p == pytest.approx(found.p, rel=1e-9)
    assert found.p_holm == {("cine", "spin echo"): gap.p}


@pytest.mark.parametrize(
    ("modality", "analysis", "error", "df", "low", "high"),
    [
        ("cine", RANDOM, 0.03317360, 12.74, 0.82522360, 0.96885048),
        ("spin echo", RANDOM, 0.02156637, 12.71, 0.89413783, 0.98753689),
        ("cine", FIXED_READERS, 0.02428971, math.inf, 0.84943008, 0.94464399),
        ("spin echo", FIXED_CASES, 0.01615303, 4, 0.89598936, 0.98568536),
    ],
)
def test_single_modality_is_the_published_one(modality, analysis, error, df, low, high):
    table, covariance = reader_figures(van_dyke(), method="jackknife")
    place = van_dyke().modalities.index(modality)
    found = mean_estimate(table[:, place], covariance[:, place, :, place], analysis=analysis)
    assert (found.error, found.low, found.high) == pytest.approx((error, low, high), abs=5e-9)
    assert found.df == pytest.approx(df, abs=5e-3)


def test_standalone_comparison_is_the_published_one():
    """Chakraborty, RJafroc FROC book, standalone CAD: 9 radiologists against CAD, PCL at 0.2.

    The ratings are not printed there, the figures and the two covariances of the differences are.
    """
    readers = np.array(
        [0.69453125, 0.65, 0.80625, 0.725, 0.65982143, 0.76845238, 0.7375, 0.675, 0.675]
    )
    covariance = np.full((9, 9), 0.0030657054)
    np.fill_diagonal(covariance, 0.0053445377)
    found = mean_estimate(readers - 0.59166667, covariance)
    assert found.estimate == pytest.approx(0.11850612, abs=1e-8)
    assert found.estimate / found.error == pytest.approx(2.0390389, abs=1e-6)
    assert found.df == pytest.approx(937.24371, abs=1e-3)
    assert found.p == pytest.approx(0.041726262, abs=1e-7)
    assert (found.low, found.high) == pytest.approx((0.004448434, 0.232563801), abs=1e-7)
    fixed = mean_estimate(readers - 0.59166667, covariance, analysis=FIXED_CASES)
    assert fixed.estimate / fixed.error == pytest.approx(6.7083568, abs=1e-5)
    assert fixed.p == pytest.approx(0.00015139664, rel=1e-5)


# Independent routes


def pseudovalues(scores):
    """Jackknife pseudovalues of the AUROC, shape (readers, modalities, cases), by scikit-learn."""
    n = len(scores.truth)
    values = np.empty(scores.ratings.shape)
    for reader, modality in product(*map(range, values.shape[:2])):
        row = scores.ratings[reader, modality]
        whole = sk.roc_auc_score(scores.truth, row)
        for case in range(n):
            rest = np.arange(n) != case
            values[reader, modality, case] = n * whole - (n - 1) * sk.roc_auc_score(
                scores.truth[rest], row[rest]
            )
    return values


def mean_square(values, axes):
    """Mean square of an interaction in the analysis of variance of a full table."""
    effect = np.zeros(values.shape)
    for size in range(len(axes) + 1):
        for kept in combinations(axes, size):
            out = tuple(axis for axis in range(values.ndim) if axis not in kept)
            effect += (-1) ** (len(axes) - size) * values.mean(axis=out, keepdims=True)
    return float((effect**2).sum()) / math.prod(values.shape[axis] - 1 for axis in axes)


def test_dorfman_berbaum_metz_by_pseudovalues_gives_the_same_test(rng):
    ratings = rng.normal(size=(4, 3, 30)) + np.linspace(0, 1, 3)[:, None] * (np.arange(30) % 2)
    ratings += rng.normal(size=30)
    scores = ReaderScores(ratings=np.round(ratings, 1), truth=np.arange(30) % 2 == 1)
    values = pseudovalues(scores)
    reader, modality, case = 0, 1, 2
    tr = mean_square(values, (modality, reader))
    extra = mean_square(values, (modality, case)) - mean_square(values, (modality, reader, case))
    term = tr + max(extra, 0)
    df = 6 * (term / tr) ** 2
    f = mean_square(values, (modality,)) / term
    found = compare_modalities(scores, method="jackknife").analyses[RANDOM]
    assert (found.f, found.df2) == pytest.approx((f, df), rel=1e-6)
    assert found.p == pytest.approx(stats.f.sf(f, 2, df), rel=1e-6)
    assert len(found.differences) == 3
    assert all(found.p_holm[pair] >= gap.p for pair, gap in found.differences.items())


def test_fixed_cases_are_the_paired_t_test_and_the_one_sample_one():
    figures = published().figures
    found = published().analyses[FIXED_CASES]
    paired = stats.ttest_rel(figures[:, 0], figures[:, 1])
    assert found.p == pytest.approx(paired.pvalue)
    mean = mean_estimate(figures[:, 0], np.zeros((5, 5)), analysis=FIXED_CASES)
    expected = stats.t.interval(0.95, 4, figures[:, 0].mean(), stats.sem(figures[:, 0]))
    assert (mean.low, mean.high) == pytest.approx(expected)


def test_delong_covariances_are_those_of_all_pairs_and_near_the_jackknife():
    scores = van_dyke()
    rows = scores.ratings.reshape(10, -1)
    x, y = rows[:, scores.truth], rows[:, ~scores.truth]
    kernel = (x[:, :, None] > y[:, None]) + 0.5 * (x[:, :, None] == y[:, None])
    expected = np.cov(kernel.mean(2)) / 45 + np.cov(kernel.mean(1)) / 69
    table, covariance = reader_figures(scores)
    assert table.ravel() == pytest.approx(kernel.mean((1, 2)))
    assert covariance.reshape(10, 10) == pytest.approx(expected)
    same = np.eye(5, dtype=bool).ravel()
    found = averaged(covariance)
    blocks = covariance.transpose(0, 2, 1, 3).reshape(25, 2, 2)
    assert found.var == pytest.approx(np.mean([b.diagonal() for b in blocks[same]]))
    assert found.cov1 == pytest.approx(blocks[same][:, 0, 1].mean())
    assert found.cov2 == pytest.approx(np.mean([b.diagonal() for b in blocks[~same]]))
    assert found.cov3 == pytest.approx(np.mean([b[::-1].diagonal() for b in blocks[~same]]))
    assert found.var == pytest.approx(published().covariances.var, rel=0.02)


@pytest.mark.parametrize("metric", ["sensitivity", "specificity", "accuracy"])
def test_calls_have_the_covariances_of_proportions(metric):
    base = van_dyke()
    scores = ReaderScores(ratings=base.ratings >= 4, truth=base.truth)
    table, covariance = reader_figures(scores, metric)
    inside = {"sensitivity": base.truth, "specificity": ~base.truth}.get(metric, slice(None))
    right = ((base.ratings >= 4) == base.truth)[..., inside].reshape(10, -1)
    assert table.ravel() == pytest.approx(right.mean(1))
    assert covariance.reshape(10, 10) == pytest.approx(np.cov(right) / right.shape[1])


@pytest.mark.parametrize("metric", ["auroc", "sensitivity", "accuracy"])
def test_copies_of_photos_make_nothing_more_certain(metric):
    base = van_dyke()
    ratings = base.ratings if metric == "auroc" else base.ratings >= 4
    once = ReaderScores(ratings=ratings, truth=base.truth)
    many = ReaderScores(
        ratings=np.repeat(ratings, 3, axis=2),
        truth=np.repeat(base.truth, 3),
        patients=np.repeat(np.arange(114), 3),
    )
    for method in ("delong", "jackknife"):
        one, three = (reader_figures(s, metric, method=method)[1] for s in (once, many))
        assert three == pytest.approx(one, rel=1e-6)


def bootstrap_covariance(rows, truth, patients, rng):
    """Covariance of AUROCs over draws of patients within a class."""
    groups = {p: np.flatnonzero(patients == p) for p in np.unique(patients)}
    sides = [[p for p in groups if truth[groups[p][0]] == side] for side in (False, True)]
    drawn = []
    for _ in range(600):
        take = np.concatenate([
            groups[p] for side in sides for p in rng.choice(side, len(side))
        ])  # fmt: skip
        x, y = rows[:, take[truth[take]]], rows[:, take[~truth[take]]]
        kernel = (x[:, :, None] > y[:, None]) + 0.5 * (x[:, :, None] == y[:, None])
        drawn.append(kernel.mean((1, 2)))
    return np.cov(np.array(drawn).T)


def test_clustered_covariances_are_those_of_drawn_patients(rng):
    patients = np.repeat(np.arange(80), rng.integers(1, 4, 80))
    truth = patients % 2 == 0
    own = rng.normal(size=80)[patients]
    rows = own + truth + rng.normal(size=(2, len(truth))) * 0.5
    scores = ReaderScores(ratings=rows[:, None], truth=truth, patients=patients)
    found = reader_figures(scores)[1].reshape(2, 2)
    assert found == pytest.approx(bootstrap_covariance(rows, truth, patients, rng), rel=0.25)
    single = ReaderScores(ratings=rows[:, None], truth=truth)
    assert found[0, 0] > 1.3 * reader_figures(single)[1].max()


def test_model_beside_readers_is_a_second_modality_in_which_all_read_alike(rng):
    """Copies of the model as the readers' second modality give the same test (RJafroc, 2T-RRRC)."""
    base = van_dyke()
    model = base.truth + rng.normal(size=114)
    found = compare_with_model(base, model, modality="cine")
    doubled = np.stack([base.ratings[:, 0], np.tile(model, (5, 1))], axis=1)
    copied = compare_modalities(ReaderScores(ratings=doubled, truth=base.truth))
    for name, analysis in copied.analyses.items():
        gap, ours = analysis.differences["1", "2"], found.analyses[name]
        assert (ours.estimate, ours.low, ours.high) == pytest.approx(
            (gap.estimate, gap.low, gap.high)
        )
        assert (ours.df, ours.p) == pytest.approx((gap.df, gap.p))
    assert found.model == pytest.approx(sk.roc_auc_score(base.truth, model))
    assert found.reader_mean == pytest.approx(0.89703704)
    assert found.analyses[FIXED_CASES].p == pytest.approx(
        stats.ttest_1samp(found.figures, found.model).pvalue
    )


def test_calls_of_the_model_are_compared_with_calls_of_the_readers():
    base = van_dyke()
    scores = ReaderScores(ratings=base.ratings[:, :1] >= 4, truth=base.truth)
    model = np.where(base.truth, 0.3, 0.1)
    model[-9:] = 0.1
    found = compare_with_model(scores, model >= 0.2, "sensitivity")
    assert found.model == pytest.approx(0.8)
    assert found.reader_mean == pytest.approx((base.ratings[:, 0, 69:] >= 4).mean())
    with pytest.raises(UserError, match="threshold"):
        compare_with_model(scores, model, "sensitivity")


def test_negative_covariance_between_readers_counts_as_none():
    figures, covariance = np.array([0.7, 0.8, 0.9]), np.full((3, 3), -0.001)
    np.fill_diagonal(covariance, 0.01)
    found = mean_estimate(figures, covariance)
    assert (found.error**2, found.df) == pytest.approx((0.01 / 3, 2))
    fixed = mean_estimate(figures, covariance, analysis=FIXED_READERS)
    assert fixed.error**2 == pytest.approx(0.01 / 3)


def test_interval_of_a_mean_stays_within_0_and_1(rng):
    truth = np.arange(20) % 2 == 0
    ratings = truth + rng.normal(size=(3, 1, 20)) * 0.35
    scores = ReaderScores(ratings=ratings, truth=truth)
    plain = mean_estimate(*(part.squeeze() for part in reader_figures(scores)))
    assert 0 <= plain.low < plain.estimate < 1 < plain.high
    found, odds = reader_average(scores, "1"), plain.estimate / (1 - plain.estimate)
    assert 0 < found.low < plain.low < found.estimate < found.high < 1
    assert math.isnan(found.p)
    # the delta method: the error of log-odds is that of the figure by its derivative
    error = found.error / (found.estimate * (1 - found.estimate))
    low = odds * math.exp(-stats.t.ppf(0.975, found.df) * error)
    assert found.low == pytest.approx(low / (1 + low))


def test_undefined_is_nan_with_a_reason(rng):
    truth = np.arange(20) % 2 == 0
    alone = ReaderScores(ratings=truth + rng.normal(size=(1, 2, 20)), truth=truth)
    found = compare_modalities(alone)
    for name in (RANDOM, FIXED_CASES):
        gap = found.analyses[name].differences["1", "2"]
        assert math.isnan(found.analyses[name].p)
        assert math.isnan(found.analyses[name].df2)
        assert math.isnan(gap.low)
        assert found.analyses[name].reason == gap.reason == "one reader only"
    assert 0 < found.analyses[FIXED_READERS].p < 1
    assert math.isnan(found.covariances.cov2)
    perfect = ReaderScores(ratings=np.tile(truth, (3, 2, 1)).astype(float), truth=truth)
    for analysis in compare_modalities(perfect, "accuracy").analyses.values():
        assert math.isnan(analysis.p)
        assert analysis.reason == "no spread is seen"


def test_what_does_not_fit_is_refused():
    truth, ratings = np.arange(6) % 2 == 0, np.zeros((2, 2, 6))
    holed = ratings.copy()
    holed[1, 0, 4] = np.nan
    names = {"readers": ("Ann", "Ben"), "modalities": ("alone", "with"), "cases": tuple("abcdef")}
    with pytest.raises(UserError, match=r"reader Ben, modality alone, case e: no rating \(1 are"):
        ReaderScores(ratings=holed, truth=truth, **names)
    for wrong, match in (
        ({"ratings": ratings[0]}, "axes"),
        ({"readers": ("Ann",)}, "readers: expected 2 values, found 1"),
        ({"truth": truth[:-1]}, "truth: expected 6"),
        ({"truth": truth.astype(int)}, "must be bool"),
        ({"patients": np.arange(5)}, "patients: expected 6"),
        ({"truth": np.arange(6) == 0}, "two diseased patients are needed, found 1"),
        ({"patients": np.array([0, 1, 0, 1, 0, 1])}, "found 1"),
    ):
        with pytest.raises(UserError, match=match):
            ReaderScores(**({"ratings": ratings, "truth": truth} | wrong))
    scores = ReaderScores(ratings=ratings + 2, truth=truth)
    for act, match in (
        (lambda: compare_modalities(scores, "f1"), "f1"),
        (lambda: compare_modalities(scores, method="guess"), "guess"),
        (lambda: compare_modalities(scores, "accuracy"), "needs calls, 0 or 1"),
        (lambda: reader_average(scores, "x"), "modality 'x'"),
        (lambda: compare_with_model(scores, np.zeros(6)), "which modality"),
        (lambda: compare_with_model(scores, np.zeros(5), modality="1"), "each of the 6 cases"),
        (lambda: mean_estimate(np.zeros(2), np.eye(2), analysis="other"), "other"),
        (lambda: matched_point(np.zeros(6), truth), "either"),
        (lambda: matched_point(np.zeros(6), truth, sensitivity=0.5, specificity=0.5), "either"),
        (lambda: matched_point(np.zeros(6), truth, sensitivity=1.5), "0 to 1"),
    ):
        with pytest.raises(UserError, match=match):
            act()
    with pytest.raises(UserError, match="at least two modalities"):
        compare_modalities(ReaderScores(ratings=ratings[:, :1], truth=truth))


# The model at a reader's point


@given(st.integers(0, 2**32 - 1), st.integers(0, 1000).map(lambda step: step / 1000))
def test_matched_point_lies_on_the_curve_of_scikit_learn(seed, at):
    rng = np.random.default_rng(seed)
    truth = np.arange(14) < 6
    score = rng.integers(0, 5, 14) / 5 + 0.2 * truth
    false, true, _ = sk.roc_curve(truth, score, drop_intermediate=False)

    def best(along, up, keep):
        """Brute force: the best height over all segments that hold the place."""
        heights = []
        for i in range(len(along) - 1):
            (x0, x1), (y0, y1) = along[i : i + 2], up[i : i + 2]
            if min(x0, x1) - 1e-12 <= at <= max(x0, x1) + 1e-12:
                share = (at - x0) / (x1 - x0) if abs(x1 - x0) > 1e-12 else None
                heights += [y0, y1] if share is None else [y0 + share * (y1 - y0)]
        return keep(heights)

    found = matched_point(score, truth, sensitivity=at, draws=2)
    assert found.sensitivity == at
    assert found.specificity == pytest.approx(1 - best(true, false, min))
    found = matched_point(score, truth, specificity=at, draws=2)
    assert found.specificity == at
    assert found.sensitivity == pytest.approx(best(1 - false, true, max))


def test_matched_point_has_an_interval_that_widens_with_clusters(rng):
    truth = np.arange(60) < 30
    score = truth + rng.normal(size=60)
    once = matched_point(score, truth, sensitivity=0.8)
    copies = {"patients": np.repeat(np.arange(60), 4), "sensitivity": 0.8}
    many = matched_point(np.repeat(score, 4), np.repeat(truth, 4), **copies)
    assert once.low < once.specificity < once.high
    assert (many.specificity, many.low, many.high) == pytest.approx(
        (once.specificity, once.low, once.high), abs=0.05
    )
    assert matched_point(score, truth, sensitivity=0.0).specificity == 1
