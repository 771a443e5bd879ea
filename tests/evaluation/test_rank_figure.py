import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from hf_cushing.evaluation import rank_figure
from hf_cushing.evaluation.rank_figure import Ranks, _bars, friedman_nemenyi, plot_ranks
from hf_cushing.schema import UserError

LONG = [
    f"{name}-{part}"
    for name in ("vit-b16", "swin-base-patch4-window7-224", "dinov2-l",
                 "facebook/dinov2-with-registers-large-imagenet1k, five seeds, balanced sampling")
    for part in ("head", "lora", "full")
]  # fmt: skip


def scores(models, folds=10, steps=0.7):
    rng = np.random.default_rng(models)
    return rng.normal(size=(folds, models)) - steps * np.arange(models)


def drawn(monkeypatch, ranks, names):
    """The axes that are drawn, with every text laid out."""
    figures = []
    monkeypatch.setattr(rank_figure, "save", lambda figure, path: figures.append(figure))
    plot_ranks("unused.png", ranks, names)
    FigureCanvasAgg(figures[0]).draw()
    return figures[0].axes[0]


def boxes(axes):
    return {text.get_text(): text.get_window_extent() for text in axes.texts}


def bars(axes):
    return [tuple(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 4]


@pytest.mark.parametrize("models", [2, 3, 6, 12])
def test_no_text_lies_on_another(monkeypatch, models):
    found = boxes(drawn(monkeypatch, friedman_nemenyi(scores(models)), LONG[:: 12 // models]))
    assert len(found) >= 2 * models + 4  # names, numbers of the scale, its ends, two notes
    for (one, box), (other, second) in combinations(found.items(), 2):
        assert not box.overlaps(second), f"{one!r} lies on {other!r}"


def test_names_stand_in_order_of_rank_with_their_figures(monkeypatch):
    ranks = friedman_nemenyi(scores(6)[:, ::-1])
    found = boxes(drawn(monkeypatch, ranks, list("abcdef")))
    best_first = [f"{'abcdef'[n]}  {ranks.mean_ranks[n]:.2f}" for n in np.argsort(ranks.mean_ranks)]
    left, right = best_first[:3], best_first[:2:-1]
    for side in (left, right):
        heights = [found[name].y0 for name in side]
        assert heights == sorted(heights, reverse=True)
    assert max(found[name].x1 for name in left) < min(found[name].x0 for name in right)


def test_bars_join_exactly_the_models_that_do_not_differ(monkeypatch):
    ranks = friedman_nemenyi(scores(8, folds=12))
    shown = bars(drawn(monkeypatch, ranks, list("abcdefgh")))
    differ = set(map(frozenset, ranks.pairs))
    assert differ
    for one, other in combinations(range(8), 2):
        ends = ranks.mean_ranks[one], ranks.mean_ranks[other]
        joined = any(low <= min(ends) and max(ends) <= high for low, high in shown)
        assert joined != (frozenset((one, other)) in differ)


@given(st.lists(st.integers(4, 40), min_size=2, max_size=9).map(sorted), st.integers(1, 20))
def test_bars_are_the_longest_runs_within_the_limit(quarters, limit):
    places = np.array(quarters) / 4
    runs = [(a, b) for a, b in combinations(range(len(places)), 2)
            if quarters[b] - quarters[a] <= limit]  # fmt: skip
    longest = [
        (a, b) for a, b in runs if not any(c <= a and b <= d for c, d in runs if (c, d) != (a, b))
    ]
    assert sorted(_bars(places, limit / 4)) == longest


def test_models_that_all_differ_have_no_bars(monkeypatch):
    ranks = friedman_nemenyi(np.tile([3, 2, 1], (30, 1)))
    axes = drawn(monkeypatch, ranks, list("abc"))
    assert bars(axes) == []
    assert any("p < 0.001" in text for text in boxes(axes))


def test_tied_models_share_one_bar_and_the_note_says_so(monkeypatch):
    axes = drawn(monkeypatch, friedman_nemenyi(np.ones((4, 3))), list("abc"))
    assert len(bars(axes)) == 1
    assert any("the same score in every fold" in text for text in boxes(axes))


def test_everything_is_grey_so_that_no_colour_is_needed(monkeypatch):
    from matplotlib.colors import to_rgb

    axes = drawn(monkeypatch, friedman_nemenyi(scores(6)), list("abcdef"))
    colours = [to_rgb(artist.get_color()) for artist in (*axes.lines, *axes.texts)]
    assert all(one == other for colour in colours for one, other in pairwise(colour))
    assert max(colour[0] for colour in colours) < 0.5


def test_figure_is_written_whole_and_repeats(tmp_path):
    ranks = friedman_nemenyi(scores(6))
    for name in ("one.png", "two.png"):
        plot_ranks(tmp_path / name, ranks, list("abcdef"))
    one, two = ((tmp_path / name).read_bytes() for name in ("one.png", "two.png"))
    assert one.startswith(b"\x89PNG")
    assert one == two
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_wrong_names_and_missing_ranks_are_refused(tmp_path):
    with pytest.raises(UserError, match="3 models have ranks, but 2 names"):
        plot_ranks(tmp_path / "x.png", friedman_nemenyi(scores(3)), ["a", "b"])
    none = friedman_nemenyi(np.full((3, 2), math.nan))
    assert isinstance(none, Ranks)
    with pytest.raises(UserError, match="no ranks to draw: 0 folds have a score"):
        plot_ranks(tmp_path / "x.png", none, ["a", "b"])
    assert not list(tmp_path.iterdir())
