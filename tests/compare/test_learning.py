from types import SimpleNamespace

import pytest

from hf_cushing.compare import command as study
from hf_cushing.compare.grid import Arm
from hf_cushing.compare.learning import LearningCurve, learning_sentence
from hf_cushing.compare.plan import make_study, with_sizes
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.run import Run
from tests.compare.test_compare import PLAN, quiet

ONE = PLAN | {"models": ["tiny-resnet"]}


@pytest.fixture(scope="module")
def curved(dataset, tmp_path_factory):
    """A study of one arm, then of its half of the patients too (read only)."""
    out = tmp_path_factory.mktemp("curve") / "out"
    plan = make_study(dict(ONE), "here")
    alone = study.compare(plan, str(dataset), out, draws=100, say=quiet)
    both = study.compare(with_sizes(plan, "0.5"), str(dataset), out, draws=100, say=quiet)
    return out, alone, both


def test_smaller_share_trains_on_part_of_the_patients_and_tests_the_same(curved):
    _, alone, both = curved
    assert len(both.done) == 2 * len(alone.done) == 4
    runs = {(c.arm.size, c.config.data.fold): Run(str(c.folder)) for c in both.done}
    for fold in (0, 1):
        half, whole = (load_predictions(runs[size, fold].name) for size in (0.5, 1.0))
        assert half.photo_id.tolist() == whole.photo_id.tolist()
        seen = [runs[size, fold].seen_photo_ids for size in (0.5, 1.0)]
        assert seen[0] < seen[1]


def test_study_shows_the_curve_and_leaves_its_other_tables_as_they_were(curved):
    out, alone, both = curved
    tables = {table.name: table for table in both.tables}
    for table in alone.tables:
        assert tables[table.name].body == table.body
    curve = tables["learning_cushing"]
    assert [line[2] for line in curve.body] == ["50 %", "100 %"]
    counts = [int(line[3]) for line in curve.body]
    assert counts[0] == pytest.approx(counts[1] / 2, abs=4)
    assert curve.body[1][4] == tables["overall_cushing"].body[0][6]
    assert (out / "learning_cushing.png").is_file()
    section = next(s for s in both.screen if s.title == "More patients")
    assert "of the training patients. From 50 % to all it changes by" in section.lines[0]


def test_rise_is_shown_by_the_interval_alone():
    def sentence(low, high, size="ok"):
        found = SimpleNamespace(difference=(low + high) / 2, low=low, high=high)
        gain = SimpleNamespace(differences={"auroc": found}, size=size)
        report = SimpleNamespace(values={"auroc": SimpleNamespace(estimate=0.8)})
        steps = [
            SimpleNamespace(
                size=size, patients=n, subgroups={"all": SimpleNamespace(report=report)}
            )
            for size, n in ((0.5, 40), (1.0, 80))
        ]
        return learning_sentence(LearningCurve("cushing", Arm("vit", "head", "class"), steps, gain))

    assert "0.800 with 50 % (40), 0.800 with 100 % (80) of the training" in sentence(0.01, 0.07)
    assert "it still rises" in sentence(0.01, 0.07)
    assert "it falls" in sentence(-0.07, -0.01)
    assert "no further rise of 0.05 or more" in sentence(-0.01, 0.03)
    assert "can't be told" in sentence(-0.01, 0.07)
    assert "too few test patients" in sentence(0.01, 0.07, "insufficient")
