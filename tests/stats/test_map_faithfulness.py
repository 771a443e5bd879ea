import numpy as np

from hf_cushing.stats.map_faithfulness import best_method, judge_methods

PEOPLE = np.arange(30)


def judged(better, sanity=0.1, people=PEOPLE):
    rng = np.random.default_rng(1)
    random = rng.normal(0, 0.05, len(people))
    return judge_methods(
        {"good": random + better + rng.normal(0, 0.05, len(people)), "other": random},
        {"good": random, "other": random},
        {"good": np.full(len(people), sanity), "other": np.full(len(people), np.nan)},
        people,
        draws=300,
    )


def test_method_above_random_is_proven_and_named():
    rows = judged(0.2)
    assert [row.method for row in rows] == ["good", "other"]
    assert best_method(rows).method == "good"
    assert rows[0].low <= rows[0].better <= rows[0].high


def test_no_method_is_named_where_none_is_above_random():
    assert best_method(judged(0.0)) is None


def test_method_blind_to_the_weights_is_not_proven():
    rows = judged(0.2, sanity=0.95)
    assert best_method(rows) is None
    assert rows[0].verdict == "no: shows the photo, not the model"


def test_few_patients_prove_nothing():
    rows = judged(0.2, people=np.arange(30) % 6)
    assert best_method(rows) is None
    assert "insufficient" in rows[0].reason


def test_interval_holds_for_all_methods_together():
    rng = np.random.default_rng(2)
    random, gain = np.zeros(30), rng.normal(0.1, 0.2, 30)
    nan = np.full(30, np.nan)
    widths = []
    for count in (1, 7):
        names = [str(n) for n in range(count)]
        rows = judge_methods(
            dict.fromkeys(names, gain), dict.fromkeys(names, random), dict.fromkeys(names, nan),
            PEOPLE,
        )  # fmt: skip
        widths.append(rows[0].high - rows[0].low)
    assert widths[1] > 1.2 * widths[0]
