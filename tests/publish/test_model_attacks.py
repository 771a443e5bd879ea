"""What a run must not take to the Hub, and how a model that learned from people is held."""

import json
import re
import shutil
import struct

import pyarrow
import pyarrow.parquet
import pytest
from huggingface_hub import ModelCard

from hf_cushing.publish import rules_model, staging
from hf_cushing.publish.hub import upload
from hf_cushing.publish.options import ModelOptions
from hf_cushing.publish.staging import stage_model
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from tests.publish.loopback_repo import File
from tests.publish.stages import LICENCE, case_of, change_json, messages, staged

CONSENT = {name: "Said." for name in ("consent", "ethics_approval", "licence", "access")}


@pytest.fixture
def case(run, dataset, tmp_path):
    return case_of("model", run, dataset, tmp_path)


@pytest.fixture
def stage(monkeypatch, tmp_path, run, dataset):
    """Stage a run without starting the clean process or drawing, which another test does."""
    drawn = staged("model", run, dataset).folder / "figures"
    monkeypatch.setattr(staging, "_figures", lambda out, facts: shutil.copytree(drawn, out))
    monkeypatch.setattr(
        rules_model, "clean_scores", lambda *given, **more: {"pil": [], "default": []}
    )
    monkeypatch.setattr(rules_model, "_largest_difference", lambda *given: 0.0)

    def made(run, **options):
        given = {"repo_id": "me/faces", "license": LICENCE, "dataset": dataset} | options
        return stage_model(Run(run), ModelOptions(**given), tmp_path / "work")

    return made


def of_people(run):
    """Let the drawn faces of a run pass for photographs."""
    path = run / "predictions.parquet"
    table = pyarrow.parquet.read_table(path)
    place = table.schema.get_field_index("source")
    table = table.set_column(place, "source", pyarrow.array(["clinic"] * len(table)))
    pyarrow.parquet.write_table(table, path)
    return run


def metric(name, value):
    return "metrics.json", lambda content: content["subgroups"][0].update({name: value})


TEXTS = [
    ("config.json", lambda content: content.update(hidden_act="Jane Doe"), "known word"),
    ("config.json", lambda content: content.update(photographer=7), "entries that no such"),
    ("config.json", lambda content: content.update({"Jane Doe": 7}), "the name of an entry"),
    ("config.json", lambda content: content["label2id"].update(jane=0), "entries that no such"),
    ("preprocessor_config.json", lambda content: content["size"].update(ward=7), "entries that"),
    ("manifest.json", lambda content: content["run"].update(by="Jane Doe"), "known word"),
    ("manifest.json", lambda content: content["config"].update({"王芳": 1}), "name of an entry"),
    (*metric("reason", "Jane Doe, born 1970"), r"known word belongs \(reason\)"),
    (*metric("reason", "jane doe had no interval"), r"known word belongs \(reason\)"),
    (*metric("subgroup", "王芳"), r"known word belongs \(subgroup\)"),
    (*metric("patients", "Jane"), r"known word belongs \(patients\)"),
    (
        "metrics.json",
        lambda content: content["origin"].update(libraries="torch 2, by Jane Doe"),
        r"known word belongs \(libraries\)",
    ),
    (*metric("name", "Jane"), "entries that no such file has"),
]


@pytest.mark.parametrize(("file", "change", "words"), TEXTS)
def test_names_in_json_files_are_refused(case, file, change, words):
    assert messages("free text", case) == []
    change_json(case.folder / file, change)
    found = " ".join(messages("free text", case))
    assert file in found
    assert "Jane" not in found
    assert re.search(words, found)


def test_entries_that_no_such_file_has_stay_behind(case, stage):
    for file in ("config.json", "preprocessor_config.json", "metrics.json"):
        change_json(case.source / file, lambda content: content.update(photographer="Jane Doe"))
    made = stage(case.source)
    assert made.findings == ()
    for name, path in made.files.items():
        assert b"Jane Doe" not in path.read_bytes(), name


def test_notes_in_the_header_of_the_weights_are_refused(case):
    path = case.folder / "model.safetensors"
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = {"format": "pt", "author": "Jane Doe"}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])
    assert messages("free text", case) == ["model.safetensors holds notes beside the weights"]


@pytest.mark.parametrize("name", ["metrics.json", "adapter"])
def test_link_out_of_the_run_folder_is_refused_wherever_it_stands(case, stage, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    if name == "adapter":
        elsewhere.mkdir()
        (elsewhere / "adapter_config.json").write_text("{}")
        (elsewhere / "adapter_model.safetensors").write_bytes(b"")
    else:
        shutil.move(case.source / name, elsewhere)
    (case.source / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a link that leads elsewhere"):
        stage(case.source)


def test_model_that_learned_from_people_is_gated_by_hand(case, stage, hub, api):
    made = stage(of_people(case.source))
    assert (made.gated, made.private) == (True, True)
    assert made.findings == ()
    data = ModelCard.load(made.folder / "README.md").data.to_dict()
    assert "learned from photographs of people" in data["extra_gated_prompt"]
    assert data["extra_gated_fields"]["I will not pass it on"] == "checkbox"
    assert "synthetic" not in data["tags"]
    upload(made, api=api)
    assert (hub.repo("me/faces").gated, hub.repo("me/faces").private) == ("manual", True)
    assert not stage(case.source, ungated=True).gated


def test_public_model_of_people_needs_the_answers_on_consent(case, stage, dataset, tmp_path):
    run = of_people(case.source)
    (finding,) = stage(run, public=True).findings
    assert finding.rule == "consent"
    assert finding.message.endswith("consent, ethics_approval, licence, access")
    told = tmp_path / "told"
    shutil.copytree(dataset, told)
    change_json(told / "intake.json", lambda found: found["datasheet"].update(CONSENT))
    made = stage(run, public=True, dataset=told)
    assert made.findings == ()
    assert made.gated


def test_drawn_model_says_so_first_and_needs_no_gate(run, stage):
    made = stage(run, public=True)
    assert (made.findings, made.gated) == ((), False)
    card = ModelCard.load(made.folder / "README.md")
    assert "synthetic" in card.data.tags
    lines = [line for line in card.text.splitlines() if line]
    assert lines[0] == "# faces, a model of drawn faces"
    assert lines[1].startswith("> **Drawn faces, no people.** This model learned from")


def test_predictions_stay_behind_when_asked_to(run, stage):
    made = stage(run, predictions=False)
    assert made.findings == ()
    assert "predictions.parquet" not in made.files
    text = (made.folder / "README.md").read_text()
    assert "The scores behind them are not published." in text
    assert "predictions.parquet" not in text


def test_adapters_go_along(run, stage, tmp_path, case):
    folder = case.source / "adapter"
    folder.mkdir()
    shutil.copyfile(run / "model.safetensors", folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 8, "base_model_name_or_path": "vit", "author": "Jane"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    made = stage(case.source)
    assert made.findings == ()
    assert "adapter/adapter_model.safetensors" in made.files
    kept = json.loads(made.files["adapter/adapter_config.json"].read_text())
    assert kept == {name: value for name, value in settings.items() if name != "author"}
    assert "](adapter)" in (made.folder / "README.md").read_text()


def test_reports_go_along_as_far_as_a_space_reads_them(run, stage, tmp_path):
    own = {"model_revision": Run(run).weights_revision, "label": "cushing", "version": "0.1.0"}
    regions = {"photos": 9, "options": {"split": "test"}, "verdicts": ["So it is."],
               "best_method": "grad-cam", "examples": ["Jane Doe"]}  # fmt: skip
    numbers = {"photo_square": 0.25, "photo_freedom": 9, "visit_square": 0.5, "visit_freedom": 4,
               "inverse": 0.5, "patients": 12}  # fmt: skip
    change = {"repeatability": numbers, "patients": {"Jane Doe": 1}}
    (tmp_path / "explain.json").write_text(json.dumps(own | regions))
    (tmp_path / "followup.json").write_text(json.dumps(own | change))
    made = stage(run, explain=tmp_path, followup=tmp_path)
    assert made.findings == ()
    published = Run(made.folder)
    assert published.companion("explain.json")["best_method"] == "grad-cam"
    assert published.companion("followup.json")["repeatability"] == numbers
    assert all(b"Jane Doe" not in path.read_bytes() for path in made.files.values())
    text = (made.folder / "README.md").read_text()
    assert "varies in 12 persons who did not change" in text


@pytest.mark.parametrize(
    ("published", "known"), [("none", False), ("other", False), ("same", True)]
)
def test_dataset_is_named_only_where_the_hub_holds_it(
    run, stage, hub, api, dataset, published, known
):
    if published != "none":
        api.create_repo("me/photos", repo_type="dataset", private=True)
        repo = hub.repo("me/photos", "dataset")
        names = [path.name for path in (dataset / "data").iterdir()]
        names = names if published == "same" else [name.replace("-of-", "-of-1") for name in names]
        repo.commit({**repo.files, **{f"data/{name}": File(b"") for name in names}})
    made = stage(run, dataset_id="me/photos")
    card = ModelCard.load(made.folder / "README.md")
    assert ([f.rule for f in made.findings] == []) == known
    assert card.data.datasets == (["me/photos"] if known else None)
    if known:
        assert f"at commit `{repo.head}`" in card.text


def test_path_that_looks_like_an_id_is_no_dataset_of_the_hub(case, stage, hub):
    change_json(case.source / "manifest.json",
                lambda m: m["config"]["data"].update(dataset="data/clinic"))  # fmt: skip
    made = stage(case.source)
    assert made.findings == ()
    assert ModelCard.load(made.folder / "README.md").data.datasets is None


def test_card_names_the_base_of_a_local_folder_and_where_the_software_is(case, stage):
    change_json(case.source / "manifest.json",
                lambda m: m["config"]["model"].update(model="base", init="pretrained"))  # fmt: skip
    assert (
        "of a folder whose origin was not told"
        in (stage(case.source).folder / "README.md").read_text()
    )
    made = stage(
        case.source, base_model="google/vit", code_url="https://git.example.org/hf-cushing"
    )
    card = ModelCard.load(made.folder / "README.md")
    assert card.data.base_model == "google/vit"
    assert 'pip install "hf-cushing @ git+https://git.example.org/hf-cushing"' in card.text
    assert made.findings == ()


def test_results_come_before_everything_else(run, stage):
    card = ModelCard.load(stage(run).folder / "README.md")
    headings = [line for line in card.text.splitlines() if line.startswith("## ")]
    assert headings[:2] == ["## Results", "## How to use"]
    first = card.text.index("| --- |")
    assert first < card.text.index("```")
