"""`hf-cushing publish` by its command line, with the metric (no run needed) and fixed stages."""

import json
import sys
from dataclasses import replace

import pytest

from hf_cushing.cli import main
from hf_cushing.publish.options import PublishOptions
from hf_cushing.publish.space_files import METRIC as SOURCE
from hf_cushing.publish.staged import Finding
from hf_cushing.publish.staging import stage_metric
from tests.publish.loopback_hub import WRITE_TOKEN
from tests.publish.loopback_repo import File

METRIC = ("metric", "--repo-id", "me/subgroup_f1")
FILES = {"README.md", "app.py", "requirements.txt", "subgroup_f1.py", "f1_formula.py"}


def publish(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["hf-cushing", "publish", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


@pytest.mark.parametrize("flag", [(), ("--dry-run",)])
def test_without_yes_files_and_sizes_are_shown_and_nothing_is_sent(hub, monkeypatch, capsys, flag):
    assert publish(monkeypatch, *METRIC, *flag) == 0
    said = capsys.readouterr().err
    for name in FILES:
        assert name in said
    size = (SOURCE / "subgroup_f1.py").stat().st_size
    assert f"{size:,}  subgroup_f1.py" in said
    assert "for the space me/subgroup_f1 (private)" in said
    assert "nothing was sent; add --yes to publish" in said
    assert {method for method, _ in hub.log} == {"GET"}


def test_yes_publishes_and_says_where(hub, monkeypatch, capsys):
    assert publish(monkeypatch, *METRIC, "--yes") == 0
    said = capsys.readouterr()
    assert said.out == f"{hub.url}/spaces/me/subgroup_f1\n"
    assert "published: version v1" in said.err
    repo = hub.repo("me/subgroup_f1", "space")
    assert repo.private
    assert set(repo.files) == FILES | {".gitattributes"}
    assert [c["title"] for c in hub.collections.values()] == ["Face models made with hf-cushing"]
    assert WRITE_TOKEN not in said.out + said.err


def test_tag_public_and_no_collection(hub, monkeypatch):
    options = ("--yes", "--public", "--tag", "paper", "--collection", "")
    assert publish(monkeypatch, *METRIC, *options) == 0
    repo = hub.repo("me/subgroup_f1", "space")
    assert not repo.private
    assert repo.tags == {"paper": repo.head}
    assert not hub.collections


def test_dry_run_lists_what_would_be_deleted_from_the_repo_that_is_there(hub, monkeypatch, capsys):
    assert publish(monkeypatch, *METRIC, "--yes") == 0
    repo = hub.repo("me/subgroup_f1", "space")
    head = repo.commit({**repo.files, "old/notes.md": File(b"x")})
    capsys.readouterr()
    assert publish(monkeypatch, *METRIC, "--json") == 0
    said = capsys.readouterr()
    assert "would be deleted from me/subgroup_f1: old/notes.md\n" in said.err
    assert said.err.count("would be deleted") == 1
    assert json.loads(said.out)["deleted"] == ["old/notes.md"]
    assert repo.head == head


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_repo_of_something_else_is_refused_by_the_dry_run_too(hub, monkeypatch, capsys, yes):
    assert publish(monkeypatch, *METRIC, "--yes") == 0
    repo = hub.repo("me/subgroup_f1", "space")
    head = repo.commit({"README.md": File(b"# My game"), "game.py": File(b"x")})
    assert publish(monkeypatch, *METRIC, *yes) == 1
    said = capsys.readouterr().err
    assert "me/subgroup_f1 holds 2 files, and its card lacks the tag 'hf-cushing'" in said
    assert ("would be deleted from me/subgroup_f1: game.py" in said) == (not yes)
    assert repo.head == head
    assert publish(monkeypatch, *METRIC, "--override", "mine", *yes) == 0


def test_dry_run_goes_on_without_the_hub_and_says_what_it_could_not_see(hub, monkeypatch, capsys):
    hub.fail("/api/spaces/me/subgroup_f1", method="GET", status=503, times=99)
    assert publish(monkeypatch, *METRIC, "--json") == 0
    said = capsys.readouterr()
    assert "me/subgroup_f1 could not be looked at (status 503" in said.err
    assert json.loads(said.out)["deleted"] is None


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_json_has_the_plan_and_what_was_published(hub, monkeypatch, capsys, yes):
    assert publish(monkeypatch, *METRIC, "--json", *yes) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown["files"]) == FILES
    assert (shown["kind"], shown["private"], shown["findings"]) == ("space", True, [])
    if yes:
        assert shown["published"]["commit"] == hub.repo("me/subgroup_f1", "space").head
    else:
        assert shown["published"] is None


@pytest.fixture
def unsafe(monkeypatch):
    """Staging of a dataset that the gate objects to."""

    def stage(folder, options, work):
        given.update(options=options, folder=folder)
        made = stage_metric(PublishOptions(repo_id="me/subgroup_f1"), work)
        findings = (
            Finding("pickle", "model.pkl is a pickle", "take it out"),
            Finding("licence", "there is none", "give --license"),
        )
        return replace(made, kind="dataset", options=options, findings=findings, gated=True)

    given = {}
    monkeypatch.setattr("hf_cushing.publish.staging.stage_dataset", stage)
    return given


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_gate_refuses_and_names_every_reason_and_remedy(hub, monkeypatch, capsys, unsafe, yes):
    assert publish(monkeypatch, "dataset", "d", "--repo-id", "me/ds", *yes) == 1
    said = capsys.readouterr().err
    assert "refused: pickle: model.pkl is a pickle; take it out" in said
    assert "refused: licence: there is none; give --license" in said
    assert "me/ds is not published, for the reasons above" in said
    assert "(private, gated)" in said
    assert not hub.log


def test_override_publishes_in_spite_of_the_gate_and_hands_on_the_reason(
    hub, monkeypatch, capsys, unsafe
):
    options = ("--override", "the ethics board agreed", "--license", "other", "--yes")
    assert publish(monkeypatch, "dataset", "d", "--repo-id", "me/ds", *options) == 0
    assert "overridden: pickle" in capsys.readouterr().err
    assert hub.repo("me/ds", "dataset").gated == "manual"
    assert unsafe["options"].override == "the ethics board agreed"
    assert unsafe["options"].license == "other"


def test_failure_of_the_hub_exits_1_with_a_sentence(hub, monkeypatch, capsys, waits):
    hub.fail("/commit/", status=403)
    assert publish(monkeypatch, *METRIC, "--yes") == 1
    said = capsys.readouterr().err
    assert "hf-cushing: me/subgroup_f1 could not be published: status 403" in said
    assert "Traceback" not in said


def test_wrong_name_for_the_metric_exits_2(hub, monkeypatch):
    assert publish(monkeypatch, "metric", "--repo-id", "me/other") == 2


def test_space_without_a_run_exits_1(hub, monkeypatch, tmp_path):
    assert publish(monkeypatch, "space", tmp_path / "none", "--repo-id", "me/app") == 1
