import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from hf_cushing.explain.cohort import MAP_SIDE
from hf_cushing.explain.command import explain_to
from hf_cushing.explain.marked_masks import read_masks
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.run import Run
from hf_cushing.schema import UsageError, UserError

OPTIONS = ExplainOptions(methods=("grad-cam", "grad-cam++"), limit=8, faithful_photos=3, cpu=True)


def quiet(title, total):
    return lambda count: None


def photo_ids(dataset):
    from hf_cushing.data.loading import load_faces

    return sorted(load_faces(str(dataset)).roles["test"]["photo_id"][:])[:8]


@pytest.fixture(scope="module")
def people(dataset, tmp_path_factory):
    """A readers' table and a folder of masks for the photos explained."""
    folder = tmp_path_factory.mktemp("people")
    lines = ["reader,photo_id,region,score"]
    for number, name in enumerate(photo_ids(dataset)):
        lines += [f"A,{name},malar_left,{number + 1}", f"B,{name},nose,2", f"B,{name},chin,1"]
        mask = np.zeros((256, 256), np.uint8)
        mask[128:, :] = 255
        (folder / "masks" / "A").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(folder / "masks" / "A" / f"{name}.png")
    (folder / "readers.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def report(run, dataset, people, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    explained, found = explain_to(
        out, Run(str(run)), str(dataset), OPTIONS,
        readers=people / "readers.csv", masks=people / "masks", progress=quiet,
    )  # fmt: skip
    return out, explained, found


def test_regions_csv_has_every_method_and_the_hidden_regions(report):
    out, _, _ = report
    rows = list(csv.DictReader(io.StringIO((out / "regions.csv").read_text(encoding="utf-8"))))
    assert {row["method"] for row in rows} == {"grad-cam", "grad-cam++", "hidden (blur)"}
    assert {"share", "density", "asymmetry", "separation", "auroc_lost"} <= {
        row["measure"] for row in rows
    }


def test_page_says_research_only_and_trusts_no_map_on_three_photos(report):
    out, _, found = report
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Research use only" in page
    assert found.best is None
    assert "do not trust them" in page
    assert "with or without the label: no statement" in page
    assert "insufficient" in page
    assert json.loads((out / "explain.json").read_text(encoding="utf-8"))["best_method"] is None


def test_readers_and_masks_are_compared_with_every_method(report):
    _, _, found = report
    assert set(found.agreement) == {"grad-cam", "grad-cam++", "hidden regions"}
    half = next(row for row in found.overlaps["grad-cam"] if row.measure == "pointing")
    assert half.chance == pytest.approx(0.5)
    assert half.photos == 8


def test_readers_may_name_groups_as_the_reading_room_does(report, run, dataset, people, tmp_path):
    _, _, by_side = report
    text = (people / "readers.csv").read_text(encoding="utf-8")
    (tmp_path / "groups.csv").write_text(text.replace("malar_left", "malar"), encoding="utf-8")
    shutil.copytree(report[0], tmp_path / "out")  # with its maps
    _, found = explain_to(
        tmp_path / "out", Run(str(run)), str(dataset), OPTIONS,
        readers=tmp_path / "groups.csv", thumbnails=False, progress=quiet,
    )  # fmt: skip
    assert found.agreement["hidden regions"] == by_side.agreement["hidden regions"]
    assert found.agreement["grad-cam"] != by_side.agreement["grad-cam"]


def test_without_thumbnails_no_photo_of_a_person_is_written(report, run, dataset):
    out, _, _ = report
    assert (out / "figures" / "examples.png").exists()
    explain_to(out, Run(str(run)), str(dataset), OPTIONS, thumbnails=False, progress=quiet)
    assert not (out / "figures" / "examples.png").exists()
    assert "Shows persons" not in (out / "report.html").read_text(encoding="utf-8")


def test_wrong_reader_table_is_refused_before_any_work(run, dataset, people, tmp_path):
    wrong = tmp_path / "readers.csv"
    text = (people / "readers.csv").read_text(encoding="utf-8")
    wrong.write_text(text.replace("nose", "noze"), encoding="utf-8")
    with pytest.raises(UserError, match="row 3: unknown region 'noze'; did you mean nose"):
        explain_to(
            tmp_path / "out", Run(str(run)), str(dataset), OPTIONS, readers=wrong, progress=quiet
        )
    assert not (tmp_path / "out").exists()


def test_report_of_another_command_is_never_overwritten(run, dataset, tmp_path):
    (tmp_path / "readers.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a report of `hf-cushing readers analyse`"):
        explain_to(tmp_path, Run(str(run)), str(dataset), OPTIONS, progress=quiet)


def test_run_folder_is_never_written_into(run, dataset):
    with pytest.raises(UsageError, match="holds a run"):
        explain_to(run, Run(str(run)), str(dataset), OPTIONS, progress=quiet)


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [("unknown", 256, "no such photo"), ("known", 200, "200 × 200"), (None, 0, "has no masks")],
)
def test_mask_that_does_not_fit_is_named(tmp_path, name, side, message):
    (tmp_path / "A").mkdir()
    if name:
        Image.new("L", (side, side)).save(tmp_path / "A" / f"{name}.png")
    with pytest.raises(UserError, match=message):
        read_masks(tmp_path, ["known"], 256)


def test_masks_of_several_readers_are_joined_by_majority(tmp_path):
    for reader, edge in (("A", 128), ("B", 128), ("C", 64)):
        mask = np.zeros((256, 256), np.uint8)
        mask[:, :edge] = 255
        (tmp_path / reader).mkdir()
        Image.fromarray(mask).save(tmp_path / reader / "one.png")
    found = read_masks(tmp_path, ["one"], 256)["one"]
    assert found.shape == (MAP_SIDE, MAP_SIDE)
    assert found.mean() == pytest.approx(0.5)
