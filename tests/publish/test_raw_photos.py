import numpy as np
import pytest

from hf_cushing.data.intake_report import original_files
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.predict.answer import Predictor
from hf_cushing.publish import raw_photos
from hf_cushing.publish.card_facts import model_facts
from hf_cushing.publish.cards import model_card
from hf_cushing.publish.options import ModelOptions
from hf_cushing.publish.raw_photos import measure_raw, raw_table
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from hf_cushing.stats.metrics import METRICS, shown_in


@pytest.fixture
def measured(run, dataset, clinic, monkeypatch):
    """Both ways, with a plain pipeline that knows nothing: one half for every photo."""
    monkeypatch.setattr(raw_photos, "MOST_PHOTOS", 8)
    monkeypatch.setattr(
        raw_photos,
        "clean_scores",
        lambda folder, paths, **settings: {
            "default": [{"control": 0.5, "cushing": 0.5} for path in paths if path.is_file()]
        },
    )
    return measure_raw(Run(run), raw=clinic, dataset=dataset)


def test_aligned_scores_of_original_photos_are_those_of_the_stored_crops(
    run, clinic, dataset, measured
):
    test = load_predictions(run).of_split("test")
    chosen = test.select(np.linspace(0, len(test) - 1, 8).astype(int))
    files = original_files(dataset, clinic, chosen.photo_id.tolist())
    answers = list(Predictor(str(run), cpu=True).answers(files))
    scores = np.array([[answer.probabilities[label] for label in test.labels]
                       for answer in answers])  # fmt: skip
    assert np.abs(scores - chosen.probabilities).max() < 0.02
    assert (measured.photos, measured.refused) == (8, 0)


def test_card_shows_both_figures_and_no_longer_says_not_measured(run, measured):
    text = str(model_card(model_facts(Run(run), ModelOptions(repo_id="me/faces")), raw=measured))
    assert "| hf_cushing.pipeline | plain pipeline |" in text
    assert "of this dataset was **not measured**" not in text
    assert measured.plain.find("cushing", "all").values["auroc"].estimate == 0.5
    brief = shown_in("brief")
    lines = dict(zip(brief, raw_table(measured).body, strict=False))
    assert [line[1] for line in lines.values()] == [METRICS[metric].title for metric in brief]
    assert "0.500" in lines["auroc"][3]


def test_small_subgroups_are_called_insufficient(measured):
    assert all("(insufficient)" in line[0] for line in raw_table(measured).body)


def test_folder_without_the_photos_is_refused(run, dataset, tmp_path):
    with pytest.raises(UserError, match="give the clinic folder that the dataset was prepared"):
        measure_raw(Run(run), raw=tmp_path, dataset=dataset)
