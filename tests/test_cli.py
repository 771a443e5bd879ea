import json
import subprocess
import sys

import pytest
from PIL import Image
from typer.testing import CliRunner

from hf_cushing.cli import app, main


def run_main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["hf-cushing", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_help_loads_nothing_heavy():
    heavy = ["torch", "transformers", "datasets", "numpy", "PIL", "pyarrow"]
    code = (
        f"import sys, hf_cushing.cli; sys.exit(bool({heavy} and set({heavy}) & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_names_every_command_and_the_research_notice():
    text = CliRunner().invoke(app, ["--help"]).output
    for name in ("prepare", "evaluate", "predict", "demo", "env"):
        assert name in text
    assert "Research use only" in text


def test_prepare_prints_its_account_as_json(monkeypatch, capsys, clinic, dataset):
    code = run_main(monkeypatch, "prepare", clinic, "--out", dataset, "--no-identity", "--json")
    captured = capsys.readouterr()
    assert code == 0
    result = json.loads(captured.out)
    assert result["out"] == str(dataset)
    assert (result["kept"], result["rows"], result["rejected"], result["leaks"]) == (72, 72, {}, 0)
    assert "72 of 72 photos kept" in captured.err


def test_bad_input_exits_1_with_a_sentence_and_no_traceback(monkeypatch, capsys, tmp_path):
    (tmp_path / "raw").mkdir()
    code = run_main(monkeypatch, "prepare", tmp_path / "raw", "--out", tmp_path / "out")
    error = capsys.readouterr().err
    assert code == 1
    assert error.startswith("hf-cushing: ")
    assert "holds none of metadata.csv" in error
    assert "Traceback" not in error


def test_wrong_usage_exits_2(monkeypatch):
    assert run_main(monkeypatch, "prepare") == 2
    assert run_main(monkeypatch, "no-such-command") == 2


@pytest.mark.parametrize(
    "option", [("--folds", "2"), ("--on-bad-photo", "x"), ("--crop-size", "1")]
)
def test_impossible_option_value_exits_2(monkeypatch, clinic, tmp_path, option):
    assert run_main(monkeypatch, "prepare", clinic, "--out", tmp_path / "out", *option) == 2


def test_report_does_not_overwrite_a_run(monkeypatch, run):
    assert run_main(monkeypatch, "evaluate", run, "--out", run) == 2


def test_evaluate_rebuilds_the_run_from_its_predictions(monkeypatch, capsys, run, tmp_path):
    code = run_main(monkeypatch, "evaluate", run, "--out", tmp_path / "report", "--json")
    assert code == 0
    shown = json.loads(capsys.readouterr().out)
    recorded = json.loads((run / "metrics.json").read_text())
    pick = [
        [{k: v["estimate"] for k, v in row["values"].items()} for row in report["subgroups"]]
        for report in (shown, recorded)
    ]
    assert pick[0] == pick[1]
    files = {"metrics.json", "metrics.md", "roc.png", "predictions.parquet"}
    assert {path.name for path in (tmp_path / "report").iterdir()} == files


def test_predict_scores_good_photos_and_names_bad_ones(monkeypatch, capsys, run, clinic, tmp_path):
    good = sorted((clinic / "images").iterdir())[0]
    Image.new("RGB", (80, 80)).save(tmp_path / "empty.png")
    arguments = ("predict", run, good, tmp_path / "empty.png", tmp_path / "gone.jpg")
    assert run_main(monkeypatch, *arguments, "--json") == 1
    captured = capsys.readouterr()
    photos = json.loads(captured.out)["photos"]
    assert {entry["label"] for entry in photos[0]["result"]} == {"control", "cushing"}
    assert "no face was found" in photos[1]["error"]
    assert "No such file" in photos[2]["error"]
    assert "2 of 3 photos could not be scored" in captured.err


@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_env_lists_versions_and_models(monkeypatch, capsys, flag):
    assert run_main(monkeypatch, "env", *flag) == 0
    text = capsys.readouterr().out
    assert "dinov2-l-reg" in text
    assert "transformers" in text
