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
    assert "2 photos" in done.stdout
    assert "under age" in done.stdout
    assert (out / "metadata.csv").read_text().count("control") == 2
    again = run("build_public_controls.py", tmp_path / "utk", "--layout", "utkface", "--out", out)
    assert again.returncode == 1
    assert "exists" in again.stderr
    assert "Traceback" not in again.stderr
