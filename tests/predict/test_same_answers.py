"""The same photo has the same answer, whoever asks: command, Python, Space; folder and Hub id."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("gradio")
from gradio_client import Client, handle_file
from huggingface_hub import HfApi

from hf_cushing.cli import main
from hf_cushing.data.synthetic import CohortOptions, make_cohort
from hf_cushing.faces.photo import PhotoError
from hf_cushing.predict.answer import Predictor
from hf_cushing.publish.hub import upload
from hf_cushing.run import Run
from hf_cushing.schema import SEXES
from tests.app.conftest import model, space  # noqa: F401  (fixtures)
from tests.publish.conftest import hub, server  # noqa: F401  (fixtures)
from tests.publish.loopback_hub import WRITE_TOKEN
from tests.publish.stages import staged
from tests.publish.test_round_trip import clean_environment

SAME = ("answer", "thresholds", "threshold_sex", "threshold_rule", "plausible", "uncertain_band",
        "sex", "face_box", "warnings", "error")  # fmt: skip


@pytest.fixture(params=[4, pytest.param(200, marks=pytest.mark.slow)])
def pairs(request, tmp_path):
    """Photos of drawn persons whom no model has seen, each with every sex."""
    cohort = CohortOptions(photos=max(10, request.param), seed=99)
    make_cohort(tmp_path / "new", tmp_path / "truth", cohort, num_proc=1)
    photos = sorted((tmp_path / "new" / "images").iterdir())[: request.param]
    return [(photo, sex) for photo in photos for sex in SEXES]


def list_of(pairs):
    """A table of the photos."""
    folder = pairs[0][0].parent
    lines = ["file_name,sex", *(f"{photo.name},{sex}" for photo, sex in pairs)]
    (folder / "list.csv").write_text("\n".join(lines))
    return str(folder / "list.csv")


def by_command(source, pairs, monkeypatch, capsys):
    """Answers of ``hf-cushing predict``."""
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["hf-cushing", "predict", source, list_of(pairs), "--json"])
    with pytest.raises(SystemExit) as end:
        sys.exit(main())
    assert end.value.code in (None, 0, 1)  # 1: a drawn face that dlib doesn't find
    return json.loads(capsys.readouterr().out)["photos"]


def by_process(source, pairs, environment):
    """Answers of the command in a process of its own."""
    command = [sys.executable, "-m", "hf_cushing.cli", "predict", source, list_of(pairs), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)["photos"]


def by_python(predictor, pairs):
    """Answers of a `Predictor`, one by one, or the reason for none."""
    for photo, sex in pairs:
        try:
            yield predictor(photo, sex).to_json() | {"error": ""}
        except PhotoError as error:
            yield {"error": error.reason}


def check_same(found, expected):
    assert len(found) == len(expected)
    assert [one["error"] for one in found] == [one["error"] for one in expected]
    found, expected = ([one for one in rows if not one["error"]] for rows in (found, expected))
    for one, other in zip(found, expected, strict=True):
        assert {name: one[name] for name in SAME} == {name: other[name] for name in SAME}
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


def test_command_python_and_space_give_the_same_answers(
    run,
    dataset,
    pairs,
    space,  # noqa: F811
    hub,  # noqa: F811
    tmp_path,
    monkeypatch,
    capsys,
):
    predictor = Predictor(Run(str(run)))
    expected = list(by_python(predictor, pairs))
    assert {row["sex"] for row in expected if not row["error"]} == set(SEXES)
    assert sum(not row["error"] for row in expected) > 0.9 * len(pairs)

    check_same(by_command(str(run), pairs, monkeypatch, capsys), expected)

    client = Client(space[0], verbose=False, analytics_enabled=False)
    check_same(
        [client.predict(handle_file(str(photo)), sex, False, True, api_name="/photo")
         for photo, sex in pairs],
        expected,
    )  # fmt: skip

    upload(staged("model", run, dataset), api=HfApi(endpoint=hub.url, token=WRITE_TOKEN))
    environment = clean_environment(hub, tmp_path)
    few = len(SEXES)
    check_same(by_process("me/faces", pairs[:few], environment), expected[:few])
