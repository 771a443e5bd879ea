from dataclasses import fields, replace

import pytest

from hf_cushing.data.datasheet import Datasheet, read_datasheet
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import prepare
from hf_cushing.files import resource
from hf_cushing.schema import UserError
from tests.conftest import cohort_rows

SMALL = PrepareOptions(folds=3, validation_size=0.25, test_size=0.25, identity=False)


def test_card_asks_for_what_only_a_person_knows(make_clinic, tmp_path):
    prepare(make_clinic(cohort_rows()), tmp_path / "out", SMALL, num_proc=1)
    card = (tmp_path / "out" / "README.md").read_text()
    count = len(fields(Datasheet))
    assert f"{count} of {count} answers are missing" in card
    assert card.count("*To be filled in before publishing.*") == count


def test_card_of_drawn_faces_asks_for_nothing(dataset):
    card = (dataset / "README.md").read_text()
    assert "To be filled in" not in card
    assert "Drawn: no person was asked." in card


def test_answers_stand_in_the_card_and_the_rest_is_still_missing(make_clinic, tmp_path):
    sheet = tmp_path / "sheet.yaml"
    sheet.write_text("consent: Written consent of each person.\nlicence: 'CC BY-NC 4.0'\n")
    options = replace(SMALL, datasheet=read_datasheet(sheet))
    prepare(make_clinic(cohort_rows()), tmp_path / "out", options, num_proc=1)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Written consent of each person." in card
    assert "10 of 12 answers are missing" in card


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("consnt: yes", "unknown name 'consnt'; did you mean consent"),
        ("consent: true", "consent: write the answer as text"),
        ("- consent", "must map names to values"),
        ("consent: [", "can't be read as YAML"),
    ],
)
def test_faulty_answers_are_named(tmp_path, text, words):
    (tmp_path / "sheet.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        read_datasheet(tmp_path / "sheet.yaml")


def test_shipped_form_asks_exactly_the_known_questions():
    assert read_datasheet(resource("configs/datasheet.yaml")) == Datasheet()


def test_flow_of_photos_adds_up(dataset):
    card = (dataset / "README.md").read_text()
    flow = card.split("```")[1]
    counts = [int(line.split("(")[0].split()[-1]) for line in flow.strip().splitlines()]
    assert counts[0] == counts[1] == sum(counts[2:]) == 72
