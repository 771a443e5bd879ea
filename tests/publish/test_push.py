"""``hf-cushing train --push_to_hub`` publishes through the gate, privately."""

import pytest

from hf_cushing.cli.training import main
from hf_cushing.publish import rules_model
from hf_cushing.run import Run
from hf_cushing.training import cli
from tests.publish.uploads import held

PUSH = ("--push_to_hub", "--hub_model_id", "me/faces", "--license", "mit")


@pytest.fixture
def trained(run, dataset, monkeypatch):
    """A command line whose training was done before."""
    scores = {"pil": [], "default": []}
    monkeypatch.setattr(rules_model, "clean_scores", lambda *given, **more: scores)
    monkeypatch.setattr(rules_model, "_largest_difference", lambda *given: 0.0)
    monkeypatch.setattr(cli, "train", lambda config: (Run(run).report, run))
    return ["--dataset", str(dataset), "--output_dir", str(run), "--model", "tiny-resnet"]


def test_finished_run_is_published_privately_through_the_gate(hub, trained):
    main([*trained, *PUSH])
    assert hub.repo("me/faces").private
    assert "predictions.parquet" in held(hub, "me/faces")


def test_gate_refuses_a_pushed_run_and_says_that_it_is_finished(hub, trained, monkeypatch, capsys):
    monkeypatch.setattr(rules_model, "_largest_difference", lambda *given: 1.0)
    with pytest.raises(SystemExit) as stop:
        main([*trained, *PUSH])
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert "refused: reproduces" in said
    assert "is finished, and me/faces is not published, for the reasons above" in said
    assert not hub.repos


@pytest.mark.parametrize(("options", "code", "words"), [
    (("--push_to_hub",), 2, "--push_to_hub needs --hub_model_id and --license"),
    ((*PUSH[:3], "--license", "mine"), 2, "the Hub has no such id"),
    (("--push_to_hub", "--hub_model_id", "faces", "--license", "mit"), 2, "OWNER/NAME"),
    ((*PUSH, "--fold", "all"), 2, "for one network"),
])  # fmt: skip
def test_what_publishing_lacks_is_said_before_training(hub, trained, capsys, options, code, words):
    with pytest.raises(SystemExit) as stop:
        main([*trained, *options])
    assert stop.value.code == code
    assert words in capsys.readouterr().err
    assert not hub.log


def test_missing_token_is_said_before_training(hub, trained, monkeypatch, capsys):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SystemExit):
        main([*trained, *PUSH])
    assert "no token for the Hub" in capsys.readouterr().err
