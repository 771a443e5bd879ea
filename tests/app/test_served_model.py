"""What is known of a served model beside its answers."""

import json

import pytest

from hf_cushing.app.served_model import load_model
from hf_cushing.run import Run
from hf_cushing.schema import UserError


def test_reports_of_another_model_or_from_nowhere_are_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"holds no followup\.json"):
        load_model(Run(str(run)), followup=tmp_path)
    (tmp_path / "followup.json").write_text(json.dumps({"model_revision": "another"}))
    with pytest.raises(UserError, match="another"):
        load_model(Run(str(run)), followup=tmp_path)


def test_repeatability_is_read_from_a_followup(run, tmp_path):
    facts = {"photo_square": 1.0, "photo_freedom": 40, "visit_square": 0.7, "visit_freedom": 20}
    facts |= {"inverse": None, "patients": 20, "source": "stable visits", "photo_sd": 1.0}
    revision = Run(str(run)).weights_revision
    report = {"model_revision": revision, "label": "cushing", "repeatability": facts}
    (tmp_path / "followup.json").write_text(json.dumps(report))
    measured = load_model(Run(str(run)), followup=tmp_path).repeatability["cushing"]
    assert (measured.visit_square, measured.source) == (0.7, "stable visits")
    assert measured.inverse != measured.inverse


def test_a_report_of_another_version_is_as_if_there_was_none(run, model):
    own = Run(str(run))
    vars(own)["metrics"] = own.metrics | {"schema_version": 1}
    served = load_model(own)
    assert served.report is None
    assert served.run.operating_points == model.run.operating_points
