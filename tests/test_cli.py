import csv
import io
import json
import subprocess
import sys
from dataclasses import MISSING, dataclass
from typing import Literal

import pytest
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from hf_cushing.cli import app, main
from hf_cushing.cli.command import command
from hf_cushing.compare.cells import StudyOutcome
from hf_cushing.config import BASELINES
from hf_cushing.config.option import option
from tests.conftest import cohort_rows


def run_main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["hf-cushing", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_help_loads_nothing_heavy():
    heavy = {"torch", "transformers", "datasets", "numpy", "PIL", "pyarrow", "scipy"}
    for words in (["--help"], ["prepare", "--help"], ["train", "--help"]):
        code = (
            f"import sys; sys.argv = ['hf-cushing', *{words}]\n"
            "from hf_cushing.cli import main\n"
            "try: main()\n"
            f"finally: print(sorted({heavy} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
        assert done.stdout.decode().splitlines()[-1] == "[]", words


def test_help_names_every_command_and_the_research_notice():
    text = CliRunner().invoke(app, ["--help"]).output
    for name in ("prepare", "evaluate", "compare", "predict", "demo", "env"):
        assert name in text
    assert "Research use only" in text


def test_help_shows_the_options_of_a_dataclass_in_groups(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(app, ["prepare", "--help"]).output
    for shown in ("Public controls", "--external-site", "<reject|fail>", "HF_CUSHING_SALT",
                  "--no-identity", "[default: 0.15]"):  # fmt: skip
        assert shown in text
    assert "--no-overwrite" not in text  # known all the same
    for whole in ("<str>…", "licence, …", "--no-merge-ident…"):  # the last is too long for 80
        text = text.replace(whole, "")
    assert "…" not in text


@dataclass(frozen=True, kw_only=True)
class Given:
    """Every kind of option."""

    name: str = option(MISSING, "Needed.")
    words: tuple[str, ...] = option((), "Repeatable.", flag="--word")
    parts: tuple[str, ...] = option(("a",), "With commas.", commas=True)
    kind: Literal["new", "old"] = option("new", "One of two.")
    share: float | None = option(None, "Or nothing.")
    quick: bool = option(False, "A switch.")
    slow: bool = option(True, "Another.")
    work: int = 3  # no option


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--word", "x, y", "--word", "z"], {"words": ("x, y", "z")}),
        (["--parts", "b, c", "--parts", "b"], {"parts": ("b", "c")}),
        (["--kind", "old", "--share", "0.5"], {"kind": "old", "share": 0.5}),
        (["--quick", "--no-slow"], {"quick": True, "slow": False}),
        (["--no-quick", "--slow"], {}),
    ],
)
def test_fields_of_a_dataclass_are_options_and_the_command_is_given_the_dataclass(
    arguments, expected
):
    own, seen = Typer(), []

    @command(own, quiet=False)
    def run(options: Given, number: int = 1):
        seen.append((options, number))

    result = CliRunner().invoke(own, ["--name", "n", "--number", "2", *arguments])
    assert result.exit_code == 0, result.output
    assert seen == [(Given(name="n", **expected), 2)]
    assert CliRunner().invoke(own, []).exit_code == 2
    assert CliRunner().invoke(own, ["--name", "n", "--kind", "third"]).exit_code == 2


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
    assert "holds no table (metadata.csv" in error
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


def test_evaluate_rebuilds_the_run_from_its_predictions_with_further_subgroups_beside(
    monkeypatch, capsys, run, tmp_path
):
    arguments = ("evaluate", run, "--out", tmp_path / "report", "--by", "sex*site", "--json")
    assert run_main(monkeypatch, *arguments) == 0
    shown = json.loads(capsys.readouterr().out)
    recorded = json.loads((run / "metrics.json").read_text())
    ours, known = (
        [(row["label"], row["subgroup"], row["unit"], *(v["estimate"] for v in
         row["values"].values())) for row in report["subgroups"]]
        for report in (shown, recorded)
    )  # fmt: skip
    assert set(known) < set(ours)
    assert any(row["subgroup"].startswith("female & site") for row in shown["subgroups"])
    assert shown["gaps"]
    files = {path.name for path in (tmp_path / "report").iterdir()}
    tables = {f"metrics.{kind}" for kind in ("json", "md", "csv", "tex")}
    assert files >= tables | {"report.html", "roc.png", "predictions.parquet"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--by", "hospital"), "no column 'hospital'"),
        (("--abstain", "10"), "an error rate of 0 or more, below 1"),
        (("--threshold-rule", "sensitivity"), "needs a number after the colon"),
        (("--dataset", "d", "--against", "x"), "compares recorded predictions"),
        (("--revision", "v1"), "is for a Hub id"),
    ],
)
def test_evaluate_refuses_what_it_cannot_do(monkeypatch, capsys, run, tmp_path, options, words):
    assert run_main(monkeypatch, "evaluate", run, "--out", tmp_path / "r", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_compare_needs_a_study_and_knows_its_folder(monkeypatch, capsys, dataset, tmp_path):
    study = ("compare", "--dataset", dataset, "--out", tmp_path / "study")
    assert run_main(monkeypatch, *study) == 1
    assert "holds no study.json" in capsys.readouterr().err
    assert run_main(monkeypatch, *study, "--replay", tmp_path, "--shard", "0/2") == 2
    assert "give --dataset and --out only" in capsys.readouterr().err
    (tmp_path / "study.yaml").write_text("models: [tiny-vit]\nmethods: [head]\n")
    assert run_main(monkeypatch, *study, "--config", tmp_path / "study.yaml") == 1
    assert "unknown name 'methods'; did you mean" in capsys.readouterr().err


def test_baselines_of_the_command_line_overrule_a_study_only_when_given(
    monkeypatch, capsys, tmp_path
):
    plans = []

    def compare(plan, *_, **__):
        plans.append(plan.baselines)
        return StudyOutcome([], [], {})

    monkeypatch.setattr("hf_cushing.compare.command.compare", compare)
    (tmp_path / "study.yaml").write_text("models: [tiny-vit]\nbaselines: [colour]\n")
    study = ("compare", "--dataset", "d", "--out", tmp_path, "--config", tmp_path / "study.yaml")
    for own in ([], ["--baselines", "none"], ["--baselines", "all"]):
        assert run_main(monkeypatch, *study, *own) == 0
    assert plans == [("colour",), (), BASELINES]


def test_predict_scores_good_photos_and_names_bad_ones(monkeypatch, capsys, run, clinic, tmp_path):
    good = sorted((clinic / "images").iterdir())[0]
    Image.new("RGB", (80, 80)).save(tmp_path / "empty.png")
    arguments = ("predict", run, good, tmp_path / "empty.png", tmp_path / "gone.jpg")
    assert run_main(monkeypatch, *arguments, "--json") == 1
    captured = capsys.readouterr()
    photos = json.loads(captured.out)["photos"]
    assert set(photos[0]["probabilities"]) == {"control", "cushing"}
    assert "no face was found" in photos[1]["message"]
    assert "No such file" in photos[2]["message"]
    assert "2 of 3 photos could not be used" in captured.err


@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_env_lists_versions_and_models(monkeypatch, capsys, flag):
    assert run_main(monkeypatch, "env", *flag) == 0
    text = capsys.readouterr().out
    assert "dinov2-l-reg" in text
    assert "transformers" in text


@pytest.fixture
def leaking(make_clinic):
    """Twelve patients, but only five faces."""
    return make_clinic(cohort_rows())


ALONE = ("--num-proc", "1")
SMALL = ("--folds", "3", "--validation-size", "0.25", "--test-size", "0.25", *ALONE)

APART = (*SMALL, "--no-merge-identities")


def test_leakage_exits_1_with_the_remedy_unless_allowed(monkeypatch, capsys, leaking, tmp_path):
    out, again = tmp_path / "out", tmp_path / "again"
    for _ in range(2):  # the finished dataset is judged again
        assert run_main(monkeypatch, "prepare", leaking, "--out", out, *APART) == 1
        said = capsys.readouterr().err
        assert "--overwrite, without --no-merge-identities" in said
        assert "audit.html" in said
    assert run_main(monkeypatch, "audit", out, "--out", again, *ALONE) == 1
    assert run_main(monkeypatch, "audit", out, "--out", again, *ALONE, "--allow") == 0
    assert (again / "audit.html").exists()
    assert run_main(monkeypatch, "prepare", leaking, "--out", out, *APART, "--allow") == 0


def test_audit_of_a_clinic_folder_needs_a_place_for_its_report(
    monkeypatch, capsys, leaking, tmp_path
):
    assert run_main(monkeypatch, "audit", leaking) == 2
    assert "give --out DIR" in capsys.readouterr().err
    code = run_main(
        monkeypatch, "audit", leaking, "--out", tmp_path / "a", "--json", "--no-identity"
    )
    found = json.loads(capsys.readouterr().out)
    assert code == 1
    assert found["leaks"] > 0
    assert not (leaking / "audit.html").exists()


def test_salt_may_come_from_the_environment(monkeypatch, capsys, leaking, tmp_path):
    monkeypatch.setenv("HF_CUSHING_SALT", "pepper")
    out = tmp_path / "out"
    assert run_main(monkeypatch, "prepare", leaking, "--out", out, *SMALL, "--allow") == 0
    account = json.loads((out / "intake.json").read_text())
    assert account["options"]["hash_ids"] is True
    assert len(account["rows"][0]["columns"]["patient_id"]) == 16
    assert "pepper" not in capsys.readouterr().err


def test_photos_names_the_file_of_every_photo_of_the_dataset(dataset, monkeypatch, capsys):
    from hf_cushing.data.loading import load_faces

    assert run_main(monkeypatch, "photos", dataset) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    for split, photos in load_faces(str(dataset)).roles.items():
        named = {row["photo_id"] for row in rows if row["split"] == split}
        assert named == set(photos["photo_id"][:])
    assert all(row["file_name"].startswith("images/") for row in rows)


def test_photos_of_a_folder_without_an_account_exits_1(tmp_path, monkeypatch, capsys):
    assert run_main(monkeypatch, "photos", tmp_path) == 1
    assert "has no intake.json" in capsys.readouterr().err


def test_predict_of_a_photo_loads_no_library_that_it_does_not_need(run, clinic):
    photo = min((clinic / "images").iterdir())
    code = (
        f"import sys; sys.argv = ['hf-cushing', 'predict', {str(run)!r}, {str(photo)!r}]\n"
        "heavy = {'datasets', 'sklearn', 'scipy.stats', 'matplotlib', 'peft', 'gradio'}\n"
        "from hf_cushing.cli import main\n"
        "try: main()\n"
        "finally: print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "cushing" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
