"""Where the model looked in one photo."""

import json

import pytest

from hf_cushing.explain.photo import choose_method, photo_heatmap
from hf_cushing.predict.answer import Predictor
from hf_cushing.run import Run
from hf_cushing.schema import UserError


def test_heat_is_shared_among_the_regions(run, faces):
    predictor = Predictor(str(run))
    found = photo_heatmap(predictor, predictor(faces[0]), "grad-cam")
    assert found.heat.shape == (256, 256)
    assert found.heat.min() >= 0
    assert found.heat.sum() == pytest.approx(1, abs=1e-4)
    assert sum(found.shares.values()) == pytest.approx(1, abs=1e-4)
    assert sum(found.areas.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ("occlusion", ("occlusion", True)),
        ("rollout", ("grad-cam++", False)),
        (None, ("grad-cam++", False)),
    ],
)
def test_the_judged_heatmap_is_used_if_it_fits_the_network(run, tmp_path, best, expected):
    own = Run(str(run))
    report = {"best_method": best, "model_revision": own.weights_revision}
    (tmp_path / "explain.json").write_text(json.dumps(report))
    assert choose_method(own, tmp_path) == expected
    assert choose_method(own) == ("grad-cam++", False)


def test_explanation_of_another_model_is_refused(run, tmp_path):
    report = {"best_method": "occlusion", "model_revision": "of another"}
    (tmp_path / "explain.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"explain\.json was made with another model"):
        choose_method(Run(str(run)), tmp_path)
