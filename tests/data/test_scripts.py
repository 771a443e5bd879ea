import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import shared

SCRIPTS = Path(__file__).parents[2] / "dataset_scripts"


def run(name, *arguments):
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_public_controls_are_built_from_the_command_line(tmp_path):
    (tmp_path / "utk").mkdir()
    for name in ("30_0_1_2017.jpg", "31_1_1_2017.jpg", "9_1_1_2017.jpg"):
        (tmp_path / "utk" / name).write_bytes(name.encode())
    out = tmp_path / "out"
    done = run("build_public_controls.py", tmp_path / "utk", "--layout", "utkface", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "2 photos" in done.stderr
    assert "under age 1" in done.stderr
    assert (out / "metadata.csv").read_text().count("control") == 2
    again = run("build_public_controls.py", tmp_path / "utk", "--layout", "utkface", "--out", out)
    assert again.returncode == 1
    assert "exists" in again.stderr
    assert "Traceback" not in again.stderr


def test_drawn_faces_are_made_from_the_command_line(tmp_path):
    options = ["--photos", 10, "--diseases", "acromegaly", "--severity", 0.9, 0.4]
    done = run("make_synthetic_faces.py", "--out", tmp_path / "raw", *options)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "raw" / "images").iterdir())) == 10
    assert (tmp_path / "raw_truth" / "truth.csv").is_file()


def test_the_builder_is_imported_from_the_folder_of_scripts(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    from cushing_faces import CushingFaces

    assert CushingFaces.__module__ == "hf_cushing.data.builder"


def test_the_benchmark_of_round_faces_is_found_in_any_copy_of_its_photographs(tmp_path):
    both = [shared(f"data/{folder}") for folder in ("lfw_moonface", "lfw_controls")]
    lfw = tmp_path / "lfw"
    for number, path in enumerate(sorted(p for f in both for p in f.glob("images/*.jpg"))):
        (lfw / f"Person_{number // 3}").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, lfw / f"Person_{number // 3}" / f"{number}.jpg")
    done = run("build_moon_face.py", lfw, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for folder in both:
        built = tmp_path / "out" / folder.name
        names = [f"images/{path.name}" for path in folder.glob("images/*.jpg")]
        same, differs, missing = filecmp.cmpfiles(folder, built, [*names, "metadata.csv"], False)
        assert (len(same), differs, missing) == (len(names) + 1, [], [])


def test_photographs_that_the_benchmark_misses_are_counted_and_nothing_is_written(tmp_path):
    done = run("build_moon_face.py", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "1191 of 1191 photographs are not among its 0" in done.stderr
    assert not (tmp_path / "out").exists()
