import subprocess
import sys
from pathlib import Path

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
