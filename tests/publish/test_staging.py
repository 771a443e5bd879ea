import ast
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, RepoCard
from transformers import pipeline as plain_pipeline

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.options import EvaluationOptions
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.evaluation.report import evaluate
from hf_cushing.models.foreign_code import ALIGNMENT
from hf_cushing.publish import gate, rules_model
from hf_cushing.publish.alignment import CODE
from hf_cushing.publish.anonymous import anonymous_predictions, public_manifest
from hf_cushing.publish.options import DatasetOptions, ModelOptions, PublishOptions, SpaceOptions
from hf_cushing.publish.staged import Staged
from hf_cushing.publish.staging import stage_dataset, stage_metric, stage_model, stage_space
from hf_cushing.run import Run
from hf_cushing.schema import CONTEXT_COLUMNS, UsageError, UserError
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from tests.conftest import train_options
from tests.publish.stages import LICENCE, as_photographs, case_of, staged


def model(run, work, **options):
    return stage_model(Run(run), ModelOptions(**{"repo_id": "me/x", **options}), work)


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def quick(monkeypatch):
    """Don't start the clean process again: the first stage of the session did."""
    nothing = {"pil": [], "default": []}
    monkeypatch.setattr(rules_model, "clean_scores", lambda *given, **settings: nothing)
    monkeypatch.setattr(rules_model, "_largest_difference", lambda *given: 0.0)


def test_clean_run_passes_the_gate_and_its_folder_holds_exactly_what_is_promised(run, dataset):
    made = staged("model", run, dataset)
    assert isinstance(made, Staged)
    assert made.findings == ()
    assert (made.private, made.gated) == (True, False)
    figures = {"roc", "reliability", "forest_cushing", "gaps_cushing"}
    assert files(made.folder) == {
        "README.md", "checklist.md", "config.json", "manifest.json", "metrics.json", "metrics.md",
        "model.safetensors", "predictions.parquet", "preprocessor_config.json",
        *(f"figures/{name}.png" for name in figures),
    }  # fmt: skip
    assert "Checked before publishing" in (made.folder / "README.md").read_text()


@pytest.mark.slow
def test_run_of_the_face_network_passes_the_gate(dataset, tmp_path):
    options = train_options(
        dataset, tmp_path / "run", "--finetune", "head", "--init", "pretrained", model="face-resnet"
    )
    fine_tune(parse(options))
    made = model(tmp_path / "run", tmp_path / "work", license=LICENCE, dataset=dataset)
    assert made.findings == ()
    assert "dlib" in (made.folder / "README.md").read_text()


def test_no_id_of_the_dataset_is_in_any_file_of_the_model(run, dataset):
    scored = load_predictions(run)
    names = {*scored.patient_id.tolist(), *scored.photo_id.tolist()}
    seen = json.loads((run / "manifest.json").read_text())["seen_photo_ids"]
    for path in staged("model", run, dataset).folder.rglob("*"):
        if path.is_file() and path.suffix != ".png":
            content = path.read_bytes()
            assert not any(name.encode() in content for name in {*names, *seen}), path
    public = load_predictions(staged("model", run, dataset).folder)
    assert not names & {*public.patient_id.tolist(), *public.photo_id.tolist()}


def test_published_predictions_give_the_figures_and_clusters_of_the_run(run, dataset):
    own, public = load_predictions(run), load_predictions(staged("model", run, dataset).folder)
    options = EvaluationOptions(draws=50, shuffles=50)
    rows = [evaluate(p, options).find("cushing", "all") for p in (own, public)]
    assert rows[0].patients == rows[1].patients
    for metric in ("auroc", "f1", "recall"):
        values = [row.values[metric] for row in rows]
        assert values[0].estimate == values[1].estimate
        assert values[0].low == pytest.approx(values[1].low, abs=1e-12, nan_ok=True)


def test_numbers_of_patients_depend_on_nothing_but_the_scores(run, rng):
    own = load_predictions(run)
    order = rng.permutation(len(own))
    new_ids = {name: str(rng.integers(1e9)) for name in sorted(set(own.patient_id.tolist()))}
    other = replace(
        own.select(order),
        patient_id=np.array([new_ids[name] for name in own.patient_id[order].tolist()]),
        photo_id=np.array([f"{n:016x}" for n in rng.permutation(len(own))]),
    )
    first, second = anonymous_predictions(own), anonymous_predictions(other)
    back = np.argsort(order)
    assert first.patient_id.tolist() == second.patient_id[back].tolist()
    assert first.photo_id.tolist() == second.photo_id[back].tolist()
    assert len(set(first.patient_id.tolist())) == len(set(own.patient_id.tolist()))
    assert not first.attributes


def test_paths_of_this_machine_are_cut_from_the_manifest():
    manifest = {"config": {"model": "/home/jane/net", "list": ["C:\\Users\\jane\\net", "a/b"]},
                "seen_photo_ids": ["x"]}  # fmt: skip
    assert public_manifest(manifest) == {"config": {"model": "net", "list": ["net", "a/b"]}}


def test_manifest_says_whether_all_faces_are_drawings(run, dataset):
    told = json.loads((staged("model", run, dataset).folder / "manifest.json").read_text())
    assert told["drawn"] is True
    assert "drawn" not in public_manifest({"run": {}}, drawn=False)


def test_staging_twice_gives_the_same_bytes_and_keeps_nothing_of_before(
    run, dataset, tmp_path, quick
):
    first = staged("model", run, dataset).folder
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old.txt").write_text("old")
    again = model(run, tmp_path, repo_id="me/faces", license=LICENCE, dataset=dataset).folder
    assert files(again) == files(first)
    assert all((again / name).read_bytes() == (first / name).read_bytes() for name in files(first))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_code_that_aligns_goes_along_only_when_asked_for(run, dataset, tmp_path, quick):
    made = model(run, tmp_path, license=LICENCE, dataset=dataset, align_on_hub=True)
    assert made.findings == ()
    plain = files(staged("model", run, dataset).folder)
    assert files(made.folder) - plain == {*CODE, "video_preprocessor_config.json"}
    settings = json.loads((made.folder / "preprocessor_config.json").read_text())
    assert settings["auto_map"] == ALIGNMENT
    classify = plain_pipeline("image-classification", model=str(made.folder))  # asks nothing
    assert type(classify.image_processor).__module__.startswith("transformers.")


def test_findings_have_remedies_and_the_reason_goes_into_the_card(run, dataset, tmp_path, quick):
    reason = "for a licence we wait"
    made = model(run, tmp_path, dataset=dataset, override=reason)
    assert [(f.rule, f.message[:10]) for f in made.findings] == [("licence", "no licence")]
    assert "--license" in made.findings[0].remedy
    text = (made.folder / "README.md").read_text()
    assert f"The publisher's reason: {reason}" in text
    assert "- licence: no licence is given" in text


def test_paths_of_this_machine_do_not_get_into_the_card_by_the_findings(
    run, dataset, tmp_path, monkeypatch
):
    def told(case):
        yield f"/home/alice/{case.options.dataset.name} can't be read on host ward7"

    rules = [replace(r, faults=told) if r.name == "reproduces" else r for r in gate.RULES]
    monkeypatch.setattr(gate, "RULES", tuple(rules))
    made = model(run, tmp_path, license=LICENCE, dataset=dataset, override="it can't be helped")
    (finding,) = made.findings
    assert "/home/alice" in finding.message
    text = (made.folder / "README.md").read_text()
    assert "- reproduces: found" in text
    assert "alice" not in text
    assert "ward7" not in text


def test_damaged_run_is_refused_and_leaves_nothing_behind(run, tmp_path):
    with pytest.raises(UserError, match=r"no manifest\.json"):
        model(tmp_path, tmp_path / "work", license=LICENCE)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("repo_id", ["faces", "me/", "/x", "a/b/c", "me/../x"])
def test_repo_id_must_be_owner_and_name(repo_id):
    with pytest.raises(UsageError, match="OWNER/NAME"):
        PublishOptions(repo_id=repo_id)
    with pytest.raises(UsageError, match="OWNER/NAME"):
        SpaceOptions(repo_id="me/app", model_id=repo_id)


def test_empty_override_is_refused():
    with pytest.raises(UsageError, match="needs a reason"):
        PublishOptions(repo_id="me/x", override=" ")


def test_staged_dataset_loads_with_datasets_alone_and_is_the_same_data(run, dataset):
    made = staged("dataset", run, dataset)
    assert made.findings == ()
    loaded = load_dataset(str(made.folder))
    assert loaded["test"].features["label"].names == ["control", "cushing"]
    assert load_faces(str(made.folder)).revision == load_faces(str(dataset)).revision
    assert {name for name in files(made.folder) if not name.startswith("data/")} == {
        "README.md",
        "audit.json",
    }
    card = DatasetCard.load(made.folder / "README.md", ignore_metadata_errors=False)
    assert card.data.license == LICENCE
    assert "## Audit" in card.text


def test_account_of_the_intake_and_ids_in_the_audit_stay_behind(run, dataset):
    made = staged("dataset", run, dataset)
    audit = json.loads((made.folder / "audit.json").read_text())
    assert isinstance(audit["findings"], dict)
    assert all("photo_ids" not in flag for flag in audit["quality"])
    assert "photo_ids" in json.loads((dataset / "audit.json").read_text())["quality"][0]


@pytest.mark.parametrize("context", [False, True])
def test_wide_views_are_published_only_if_asked_for(dataset, tmp_path, context):
    options = DatasetOptions(repo_id="me/x", license=LICENCE, context=context)
    made = stage_dataset(dataset, options, tmp_path)
    assert made.findings == ()
    there, here = (load_faces(str(folder)) for folder in (made.folder, dataset))
    assert there.revision == here.revision
    gone = () if context else CONTEXT_COLUMNS
    features = {n: f for n, f in here.roles["test"].features.items() if n not in gone}
    assert there.roles["test"].features == features
    assert there.roles["test"][:] == {n: here.roles["test"][:][n] for n in features}
    assert ("the columns `context`" in (made.folder / "README.md").read_text()) is not context


def test_photographs_are_gated_by_fields(run, dataset, tmp_path):
    case = case_of("dataset", run, dataset, tmp_path)
    as_photographs(replace(case, folder=case.source))
    options = DatasetOptions(repo_id="me/x", license=LICENCE)
    made = stage_dataset(case.source, options, tmp_path / "work")
    assert made.gated
    data = DatasetCard.load(made.folder / "README.md").data
    assert data.extra_gated_fields["Institution"] == "text"
    assert "Research use only" in data.extra_gated_prompt
    assert "ungated photographs" not in {finding.rule for finding in made.findings}


def test_link_out_of_the_run_folder_is_refused(run, tmp_path):
    own = tmp_path / "run"
    shutil.copytree(run, own)
    (tmp_path / "secret.json").write_text((own / "config.json").read_text())
    (own / "config.json").unlink()
    (own / "config.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(UserError, match=r"config\.json is a link that leads elsewhere"):
        model(own, tmp_path / "work", license=LICENCE)


def test_page_of_metrics_is_made_anew_not_copied(run, dataset, tmp_path, quick):
    own = tmp_path / "run"
    shutil.copytree(run, own)
    with open(own / "metrics.md", "a") as page:
        page.write("Jane Doe, born 1970\n")
    made = model(own, tmp_path / "work", license=LICENCE, dataset=dataset)
    assert (made.folder / "metrics.md").read_text() == (run / "metrics.md").read_text()


@pytest.mark.parametrize("license", ["Apache-2.0", "cc-by-nc", "my own"])
def test_licence_that_the_hub_does_not_know_is_refused_before_any_work(license):
    with pytest.raises(UsageError, match=r"the Hub has no such id; give .*, or 'other'"):
        PublishOptions(repo_id="me/x", license=license)


@pytest.mark.parametrize(("private", "gated"), [(False, None), (True, None), (False, "manual")])
def test_space_preloads_a_public_model_alone_and_else_asks_for_a_token(
    run, hub, api, tmp_path, private, gated
):
    api.create_repo("me/faces", private=private)
    if gated:
        api.update_repo_settings("me/faces", gated=gated)
    options = SpaceOptions(repo_id="me/app", license=LICENCE, model_id="me/faces")
    made = stage_space(Run(run), options, tmp_path)
    card = RepoCard.load(made.folder / "README.md")
    open_to_all = not private and not gated
    assert card.data.to_dict().get("preload_from_hub") == (["me/faces"] if open_to_all else None)
    assert ("secret `HF_TOKEN`" in card.text) != open_to_all
    assert card.data.to_dict()["python_version"] == "3.11"


def test_space_on_an_old_python_says_what_to_do(run, dataset):
    app = staged("space", run, dataset).folder / "app.py"
    code = f"import sys; sys.version_info = (3, 10, 0); exec(open({str(app)!r}).read())"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("hf-cushing needs Python 3.11 or newer: write")


def test_space_holds_app_sources_resources_and_card(run, dataset):
    made = staged("space", run, dataset)
    assert made.findings == ()
    names = files(made.folder)
    assert names >= {
        "app.py", "requirements.txt", "README.md", "hf_cushing/app/app.py",
        "hf_cushing/app/words/zh.yaml", "hf_cushing/app/space.css",
        "hf_cushing/app/reading_room.js",
        "hf_cushing/predict/pipeline.py",
    }  # fmt: skip
    assert not any("__pycache__" in name or "_resources" in name for name in names)
    assert not any("configs" in name or "datasheet.yaml" in name for name in names)
    card = RepoCard.load(made.folder / "README.md")
    assert (card.data.sdk, card.data.app_file) == ("gradio", "app.py")
    assert card.data.models == ["me/faces"]


def test_app_of_a_space_serves_the_published_model(run, dataset):
    source = (staged("space", run, dataset).folder / "app.py").read_text()
    assert 'MODEL_ID = "me/faces"\n' in source
    called = [node.func.id for node in ast.walk(ast.parse(source))
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]  # fmt: skip
    assert "main" in called


def test_run_of_drawn_faces_may_go_into_the_space_itself(run, tmp_path):
    made = stage_space(Run(run), SpaceOptions(repo_id="me/try", license=LICENCE), tmp_path)
    assert made.findings == ()
    assert {"model/model.safetensors", "model/predictions.parquet"} <= files(made.folder)
    assert 'MODEL_ID = ""\n' in (made.folder / "app.py").read_text()
    card = (made.folder / "README.md").read_text()
    assert "learned from computer drawings" in card
    assert "- synthetic" in card
    assert "preload_from_hub" not in card


def test_run_of_photographs_never_goes_into_a_space(run, tmp_path):
    own = tmp_path / "run"
    shutil.copytree(run, own)
    path = own / "predictions.parquet"
    table = pyarrow.parquet.read_table(path)
    column = table.schema.get_field_index("source")
    table = table.set_column(column, "source", pyarrow.array(["clinic"] * len(table)))
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(UsageError, match="--model-id OWNER/NAME"):
        stage_space(Run(own), SpaceOptions(repo_id="me/try", license=LICENCE), tmp_path / "work")


def test_metric_keeps_its_licence_unless_another_is_given(tmp_path):
    for given, expected in ("", "apache-2.0"), ("mit", "mit"):
        options = PublishOptions(repo_id="me/subgroup_f1", license=given)
        made = stage_metric(options, tmp_path)
        card = RepoCard.load(made.folder / "README.md")
        assert (card.data.license, card.data.sdk) == (expected, "gradio")
        assert "# Metric card: subgroup F1" in card.text
