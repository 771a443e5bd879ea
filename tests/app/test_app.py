"""The Space: its pages, its interface for programs, and what it keeps of a photo (nothing)."""

import csv
import hashlib
import io
import json
import socket
import tomllib
import zipfile
from pathlib import Path

import httpx
import pytest
from PIL import Image
from typer.testing import CliRunner

gr = pytest.importorskip("gradio")
from gradio_client import Client, handle_file  # noqa: E402

from hf_cushing.app import app as app_module  # noqa: E402
from hf_cushing.app import endpoints, texts  # noqa: E402
from hf_cushing.app.app import serve_app  # noqa: E402
from hf_cushing.app.page import Page  # noqa: E402
from hf_cushing.cli import app as command  # noqa: E402
from hf_cushing.predict.batch import Row, rows_to_csv  # noqa: E402
from hf_cushing.run import Run  # noqa: E402
from hf_cushing.schema import UserError  # noqa: E402

ROOT = Path(app_module.__file__).parents[2]
EN = texts.space_words("en")
BLANK = Image.new("RGB", (300, 300), "teal")


@pytest.fixture(scope="session")
def client(space):
    return Client(space[0], verbose=False, analytics_enabled=False)


@pytest.fixture
def send(tmp_path, faces):
    """Files to upload: faces by number, or content by name."""

    def make(name, content):
        path = tmp_path / name
        path.write_bytes(faces[content] if isinstance(content, int) else content)
        return handle_file(str(path))

    return make


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo_id(content):
    return hashlib.sha256(content).hexdigest()[:16]


def packed(**files):
    """A zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def left(space):
    """Files on disk and bytes in memory that are left of uploads."""
    _, vault, _ = space
    return [p for p in vault.folder.rglob("*") if p.is_file()], vault.held


def test_a_photo_is_scored_and_nothing_of_it_is_left(space, client, send, model, faces):
    found = client.predict(send("a.jpg", 0), "female", True, True, api_name="/photo")
    assert found["error"] == ""
    assert found["answer"] in ("control", "cushing", "uncertain")
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert sum(found["regions"].values()) == pytest.approx(1, abs=1e-3)
    assert len(found["landmarks"]) == 68
    assert len(found["face_box"]) == 4
    assert found["threshold_sex"] == {"cushing": "all"}
    assert found["sex"] == "female"
    assert any("trained" in text or "validated" in text for text in found["warnings"]) == (
        photo_id(faces[0]) in model.run.seen_photo_ids
    )
    assert "Research use only" in found["notice"]
    assert left(space) == ([], 0)


def test_without_accepting_the_notice_nothing_is_read_and_nothing_is_left(space, client, send):
    one, several = send("a.jpg", 0), [send("b.jpg", 1), send("c.jpg", 2)]
    answers = [
        client.predict(one, "female", api_name="/photo"),
        client.predict(several, api_name="/batch"),
        client.predict(several, ["2024-01-01", "2024-02-01"], api_name="/followup"),
    ]
    assert {answer["error"] for answer in answers} == {"not_accepted"}
    assert not answers[0]["probabilities"]
    assert not answers[1]["photos"]
    assert left(space) == ([], 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encoded(BLANK), "no_face"),
        (b"%PDF-1.7\n%....", "unreadable"),
        (b"", "empty"),
        (encoded(Image.new("1", (10_000, 6_000))), "too_large"),
    ],
    ids=["no face", "a PDF named jpg", "0 bytes", "60 megapixels"],
)
def test_what_is_no_face_photo_is_told_by_its_reason(space, client, send, content, reason):
    found = client.predict(send("a.jpg", content), "female", True, True, api_name="/photo")
    assert (found["error"], found["answer"]) == (reason, "")
    assert found["message"]
    assert left(space) == ([], 0)


def test_links_paths_and_unknown_sexes_are_refused(space, model, client, send):
    meta = {"_type": "gradio.FileData"}
    for path in ("https://example.org/a.jpg", "/etc/passwd", f"{space[1].folder}/../x", 7):
        call = {"data": [{"path": path, "meta": meta}, "female", True, True]}
        answer = httpx.post(f"{space[0]}gradio_api/call/photo", json=call)
        assert (answer.status_code, answer.json()["detail"]) == (400, "Upload the file itself.")
    known = {"path": str(space[1].folder / "x" / "never-sent.jpg")}
    offered = endpoints.Endpoints(Page(model, space[1]))
    found = offered.photo(known, "male", True, True)
    assert found["error"] == "gone"
    found = client.predict(send("a.jpg", 0), "woman", True, True, api_name="/photo")
    assert found["error"] == "sex"


@pytest.mark.parametrize("odd", [None, 7, "x", {}, [None], [[]], [{"path": []}]])
def test_arguments_of_any_kind_are_answered_in_a_sentence(space, model, odd):
    offered = endpoints.Endpoints(Page(model, space[1]))
    for found in (
        offered.photo(odd, "female", odd, True),
        offered.photo(None, odd, True, True),
        offered.followup(odd, odd, True),
        offered.batch(None, odd, True),
        offered.batch(None, "female", odd),
    ):
        assert found["error"]
        assert found["message"]
    assert not any(photo["answer"] for photo in offered.batch(odd, "female", True)["photos"])


def test_a_malformed_call_spoils_no_other(space, send):
    clients = [Client(space[0], verbose=False, analytics_enabled=False) for _ in range(4)]
    jobs = []
    for number, caller in enumerate(clients):
        for data in ([], ["a", {}, [], 3], [1, 2, 3, 4, 5]):
            httpx.post(f"{space[0]}gradio_api/call/photo", json={"data": data})
        photo = send(f"{number}.jpg", number)
        jobs.append(caller.submit(photo, "female", True, True, api_name="/photo"))
    assert [job.result(timeout=60)["error"] for job in jobs] == [""] * len(jobs)
    assert left(space) == ([], 0)


def test_a_zip_gives_a_row_for_each_photo_and_the_csv(space, client, send, faces):
    sent = packed(**{"x/one.jpg": faces[0], "x/none.png": encoded(BLANK)})
    files = [send("all.zip", sent), send("=two.jpg", 1)]
    found = client.predict(files, "unknown", True, api_name="/batch")
    names = ["x/one.jpg", "x/none.png", "=two.jpg"]
    assert [row["photo"] for row in found["photos"]] == names
    assert [row["error"] for row in found["photos"]] == ["", "no_face", ""]
    rows = list(csv.DictReader(io.StringIO(found["csv"])))
    assert [row["photo"] for row in rows] == [*names[:2], "'=two.jpg"]  # no formula
    for row, photo in zip(rows, found["photos"], strict=True):
        if not photo["error"]:
            score = photo["probabilities"]["cushing"]
            assert float(row["prob_cushing"]) == pytest.approx(score, abs=1e-6)
    assert left(space) == ([], 0)


def test_an_archive_that_leads_out_is_refused(client, send):
    sent = packed(**{"../one.jpg": b""})
    found = client.predict([send("a.zip", sent)], "female", True, api_name="/batch")
    assert (found["error"], found["photos"]) == ("archive_path", [])


def test_dated_photos_give_visits_and_no_verdict_without_repeatability(client, send):
    files = [send(f"{n}.jpg", n) for n in range(3)]
    days = ["2024-05-01", "2024-01-31", "2024-05-01"]
    found = client.predict(files, days, True, api_name="/followup")
    (course,) = found["courses"]
    assert course["verdict"] == endpoints.UNKNOWN
    visits = [(visit["date"], visit["photos"]) for visit in course["visits"]]
    assert visits == [("2024-01-31", 1), ("2024-05-01", 2)]
    assert "change" not in course["visits"][1]


@pytest.mark.parametrize(
    "days", [["2024-01-01"], ["2024-01-01", "soon"], ["2024-01-01", "2024-01-01"]]
)
def test_dates_that_are_missing_wrong_or_all_the_same_are_refused(client, send, days):
    files = [send("a.jpg", 0), send("b.jpg", 1)]
    found = client.predict(files, days, True, api_name="/followup")
    assert (found["error"], found["courses"]) == ("dates", [])


def test_the_endpoints_are_typed_and_nothing_else_is_offered(client):
    offered = client.view_api(return_format="dict")["named_endpoints"]
    assert set(offered) == {"/photo", "/batch", "/followup", "/about"}
    kinds = {p["parameter_name"]: p["python_type"]["type"] for p in offered["/photo"]["parameters"]}
    assert kinds == {
        "photo_file": "filepath",
        "sex": "Literal['female', 'male', 'unknown']",
        "heatmap": "bool",
        "accept_notice": "bool",
    }
    assert "probabilities: dict(str, float)" in str(offered["/photo"]["returns"])


def test_about_tells_the_results_by_sex_and_where_the_threshold_is_from(client):
    found = client.predict(api_name="/about")
    assert {row["subgroup"] for row in found["results"]} == {"all", "female", "male"}
    assert {point["split"] for point in found["operating_points"]} == {"validation"}
    assert all(row["sample"] for row in found["results"])


def test_a_table_in_the_zip_states_sex_and_date_in_a_hospitals_own_words(client, send, faces):
    table = "文件名;性别;日期;姓名\n1.jpg;女;2024-02-01;x\nb/2.jpg;男;;y\n9.jpg;男;;z\n"
    files = {f"a/{'b/' * (n > 1)}{n}.jpg": faces[n] for n in range(3)}
    sent = packed(**files, **{"a/list.csv": table.encode("utf-8-sig")})
    found = client.predict([send("all.zip", sent)], "unknown", True, api_name="/batch")
    told = {row["photo"]: (row["sex"], row["date"]) for row in found["photos"]}
    assert told == {"a/0.jpg": ("unknown", ""), "a/1.jpg": ("female", "2024-02-01"),
                    "a/b/2.jpg": ("male", "")}  # fmt: skip
    assert list(csv.DictReader(io.StringIO(found["csv"])))[1]["date"] == "2024-02-01"


def test_csv_of_failures_has_as_many_columns_as_its_header(model):
    lines = list(
        csv.reader(io.StringIO(rows_to_csv(model.run, [Row("a", None, "no_face", "why")])))
    )
    assert len(lines[0]) == len(lines[1])
    assert lines[1][lines[0].index("error")] == "no_face"
    assert lines[1][lines[0].index("message")] == "why"


def test_requirements_of_the_space_are_those_of_the_package():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = declared["optional-dependencies"]
    wanted = declared["dependencies"] + extras["explain"] + extras["app"]
    listed = (ROOT / "spaces_app" / "requirements.txt").read_text().splitlines()
    assert sorted(line for line in listed if not line.startswith(("#", "--"))) == sorted(wanted)
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in listed  # 6.7 GB otherwise


def test_space_without_its_model_says_on_the_page_what_to_do(monkeypatch, tmp_path):
    def fail(run, **rest):
        raise UserError(f"{run.name} can't be had")

    pages = []
    for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED"):
        monkeypatch.setenv(name, "")  # put back after what main sets
    monkeypatch.setattr(app_module, "serve_app", fail)
    monkeypatch.setattr(app_module, "launch", lambda blocks, *given, **rest: pages.append(blocks))
    monkeypatch.setattr(app_module, "serve", lambda *given, **rest: None)
    monkeypatch.setenv("MODEL_ID", "me/model")
    app_module.main("", embedded=tmp_path)
    text = json.dumps(pages[0].get_config_file(), ensure_ascii=False)
    assert "me/model can't be had" in text
    assert "secret `HF_TOKEN`" in text
    assert texts.space_words("zh")["no_model"] in text


def test_without_model_id_the_embedded_model_is_served_as_drawn(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(app_module, "serve_app", lambda run, **rest: calls.append((run, rest)))
    monkeypatch.delenv("MODEL_ID", raising=False)
    with pytest.raises(SystemExit, match="MODEL_ID"):
        app_module.main("", embedded=tmp_path / "model")
    (tmp_path / "model").mkdir()
    app_module.main("", embedded=tmp_path / "model")
    monkeypatch.setenv("MODEL_ID", "me/model")
    app_module.main("", embedded=tmp_path / "model")
    assert [(run.name, rest["drawn"]) for run, rest in calls] == [
        (str(tmp_path / "model"), True),
        ("me/model", False),
    ]


def test_a_taken_port_and_a_missing_model_are_told(run, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is taken"):
            serve_app(Run(str(run)), host="127.0.0.1", port=port, tell=print)
    with pytest.raises(UserError, match="neither a run folder"):
        serve_app(Run(str(tmp_path / "none")), host="127.0.0.1", port=None, tell=print)


def test_the_command_passes_its_options_on(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(app_module, "serve_app", lambda *args, **rest: calls.append((args, rest)))
    options = ["--port", "7900", "--explain", str(tmp_path), "--per-minute", "9"]
    result = CliRunner().invoke(command, ["app", "me/x", "--revision", "v1", *options])
    assert result.exit_code == 0, result.output
    ((args, rest),) = calls
    assert args == (Run("me/x", "v1"),)
    assert (rest["port"], rest["host"], rest["per_minute"]) == (7900, "127.0.0.1", 9)
    assert (rest["explanation"], rest["followup"]) == (tmp_path, None)
