from dataclasses import replace

import numpy as np
import pytest

from hf_cushing.explain import cohort
from hf_cushing.explain.cohort import explain_cohort, load_cohort
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.faces.regions import GROUPS, REGIONS
from hf_cushing.heatmaps.methods import METHODS
from hf_cushing.run import Run
from hf_cushing.schema import UsageError

OPTIONS = ExplainOptions(methods=("grad-cam",), limit=4, faithful_photos=2, batch_size=2, cpu=True)


def progress(title, total):
    return lambda count: None


def explain(run, dataset, work):
    cohort = load_cohort(Run(str(run)), str(dataset), OPTIONS)
    return explain_cohort(cohort, work, OPTIONS, progress)


@pytest.fixture(scope="module")
def explained(run, dataset, tmp_path_factory):
    """The folder of finished batches, and what came out."""
    work = tmp_path_factory.mktemp("explained")
    return work, explain(run, dataset, work)


def test_each_photo_has_a_map_shares_and_effects(explained):
    _, found = explained
    assert found.label == "cushing"
    assert list(found.photos["photo_id"]) == sorted(found.photos["photo_id"])
    assert found.shares["grad-cam"].shape == found.areas.shape == (4, len(REGIONS))
    assert found.absent.shape == found.only.shape == (4, len(GROUPS))
    total = found.maps["grad-cam"].sum((1, 2))
    assert np.allclose(total[total > 0], 1, atol=1e-5)
    assert len(found.faithful["grad-cam"].gain) == 2


def test_whether_the_model_is_right_hangs_on_the_operating_point(explained):
    _, found = explained
    threshold = found.run.operating_point("cushing").threshold
    called = 1 / (1 + np.exp(-found.log_odds)) >= threshold
    assert found.called.tolist() == called.tolist()
    assert found.right.tolist() == (called == found.truth).tolist()


def test_stopped_explanation_goes_on_without_doing_its_batches_again(
    explained, run, dataset, monkeypatch
):
    work, found = explained
    (last,) = work.rglob("grad-cam-000002-000004.npz")
    last.unlink()
    calls = []
    real = cohort.explain_many

    def counted(classifier, photos, *rest, **options):
        calls.append(len(photos))
        return real(classifier, photos, *rest, **options)

    monkeypatch.setattr(cohort, "explain_many", counted)
    again = explain(run, dataset, work)
    assert calls == [2]
    assert np.array_equal(again.shares["grad-cam"], found.shares["grad-cam"])


def test_photos_are_explained_anew_where_the_regions_are_drawn_otherwise(
    explained, run, dataset, monkeypatch
):
    work, found = explained
    before, real = set(work.iterdir()), cohort.region_labels
    monkeypatch.setattr(cohort, "region_labels", lambda *given: real(*given)[:, ::-1])
    again = explain(run, dataset, work)
    assert len(set(work.iterdir()) - before) == 1
    assert not np.array_equal(again.shares["grad-cam"], found.shares["grad-cam"])


def test_dataset_prepared_anew_is_explained_anew(explained, run, dataset, tmp_path, monkeypatch):
    work, found = explained
    before, real = set(work.iterdir()), Run.load_faces
    monkeypatch.setattr(Run, "load_faces", lambda *given: replace(real(*given), revision="another"))
    again = explain(run, dataset, work)
    assert again.dataset_revision == "another"
    assert len(set(work.iterdir()) - before) == 1
    assert again.run.weights_revision == found.run.weights_revision


def test_method_that_does_not_fit_is_refused_before_any_work(run, dataset):
    options = ExplainOptions(methods=("rollout",), cpu=True)
    with pytest.raises(UsageError, match="attention"):
        load_cohort(Run(str(run)), str(dataset), options)
    assert "rollout" in METHODS
