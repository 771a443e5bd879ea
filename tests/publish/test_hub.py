import logging
from dataclasses import replace

import pytest
from huggingface_hub import HfApi

from hf_cushing.publish.hub import upload
from hf_cushing.publish.options import SpaceOptions
from hf_cushing.publish.staged import Finding
from hf_cushing.schema import UsageError, UserError
from tests.publish.loopback_hub import BLIND_TOKEN, READ_TOKEN, WRITE_TOKEN
from tests.publish.loopback_repo import File
from tests.publish.stages import with_options
from tests.publish.uploads import TABLE, WEIGHTS, held, local


def test_files_are_exactly_those_of_the_folder_with_their_sizes(staged):
    sizes = {name: path.stat().st_size for name, path in staged.files.items()}
    assert sizes == {
        "README.md": 55,
        "figures/roc.svg": 6,
        "model.safetensors": len(WEIGHTS),
        "predictions.parquet": len(TABLE),
    }


def test_repo_is_made_private_and_filled_by_one_commit_with_a_tag(hub, api, staged):
    done = upload(staged, api=api)
    repo = hub.repo("me/x")
    assert held(hub) == local(staged)
    assert repo.private
    assert not repo.gated
    assert len(repo.commits) == 2  # the Hub's own and ours
    assert repo.tags == {"v1": repo.head} == {done.tag: done.commit}
    assert repo.files["model.safetensors"].lfs
    assert not repo.files["README.md"].lfs
    assert (done.url, done.files) == (f"{hub.url}/me/x", 4)


def test_collection_links_model_dataset_and_space(hub, api, staged):
    for kind, repo_id in (("model", "me/x"), ("dataset", "me/ds"), ("space", "me/app")):
        upload(replace(with_options(staged, repo_id=repo_id), kind=kind), api=api)
    upload(staged, api=api)
    (collection,) = hub.collections.values()
    items = [(item["type"], item["id"]) for item in collection["items"]]
    assert items == [("model", "me/x"), ("dataset", "me/ds"), ("space", "me/app")]
    assert collection["private"]
    assert "Research use only" in collection["description"]


def test_photographs_are_gated_before_they_are_sent_and_public_only_at_last(hub, api, staged):
    photos = replace(with_options(staged, repo_id="me/ds", public=True), kind="dataset", gated=True)
    done = upload(photos, api=api)
    repo = hub.repo("me/ds", "dataset")
    assert (repo.gated, repo.private) == ("manual", False)
    assert (done.gated, done.private) == (True, False)
    calls = [path.rsplit("/", 1)[-1] for method, path in hub.log if method in ("PUT", "POST")]
    steps = [name for name in calls if name in ("settings", "create")] + ["main"]
    assert steps == ["create", "settings", "settings", "main"]
    commit = next(n for n, (_, path) in enumerate(hub.log) if "/commit/main" in path)
    first, last = (n for n, (_, path) in enumerate(hub.log) if path.endswith("/settings"))
    assert first < commit < last


def test_public_repo_is_private_while_it_is_not_complete(hub, api, staged, waits):
    hub.fail("/commit/main", times=99)
    with pytest.raises(UserError, match="empty and private"):
        upload(with_options(staged, public=True), api=api)
    assert hub.repo("me/x").private


def test_photographs_do_not_go_into_a_repo_that_is_public_already(hub, api, staged):
    api.create_repo("me/x")
    before = dict(hub.repo("me/x").files)
    with pytest.raises(UserError, match="public already: pass --public, or make it private"):
        upload(staged, api=api)
    assert hub.repo("me/x").files == before


def test_public_space_with_photographs_is_refused(hub, api, staged):
    space = replace(with_options(staged, public=True), kind="space", gated=True)
    with pytest.raises(UserError, match="must stay private"):
        upload(space, api=api)
    assert not hub.repos


def test_findings_refuse_unless_overridden(hub, api, staged):
    unsafe = replace(staged, findings=(Finding("pickle", "model.pkl is a pickle", "remove it"),))
    with pytest.raises(UserError, match=r"pickle: model\.pkl is a pickle"):
        upload(unsafe, api=api)
    assert not hub.log
    assert upload(with_options(unsafe, override="so it is"), api=api).tag == "v1"


def test_running_again_changes_nothing(hub, api, staged):
    first = upload(staged, api=api)
    sent = hub.count("PUT", "^/lfs/")
    assert upload(staged, api=api) == first
    assert len(hub.repo("me/x").commits) == 2
    assert hub.count("PUT", "^/lfs/") == sent == 2
    assert hub.repo("me/x").tags.keys() == {"v1"}


def test_next_version_has_its_tag_and_drops_files_that_are_gone(hub, api, staged):
    first = upload(staged, api=api)
    (staged.folder / "predictions.parquet").unlink()
    (staged.folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Better\n")
    second = upload(staged, api=api)
    repo = hub.repo("me/x")
    assert held(hub) == local(staged)
    assert repo.tags == {"v1": first.commit, "v2": second.commit}
    assert "predictions.parquet" in repo.commits[first.commit]


def test_files_of_somebody_else_are_not_replaced_unless_overridden(hub, api, staged):
    upload(staged, api=api)
    repo = hub.repo("me/x")
    before = repo.commit({**repo.files, "README.md": File(b"# Thesis"), "thesis.tex": File(b"x")})
    with pytest.raises(UserError, match="me/x holds 5 files, and its card lacks the tag 'hf-cush"):
        upload(staged, api=api)
    assert repo.head == before
    upload(with_options(staged, override="so it is"), api=api)
    assert held(hub) == local(staged)


def test_repo_with_a_card_alone_is_filled(hub, api, staged):
    api.create_repo("me/x", private=True)
    repo = hub.repo("me/x")
    repo.commit({**repo.files, "README.md": File(b"---\nlicense: mit\n---\n")})
    upload(staged, api=api)
    assert held(hub) == local(staged)


def test_tag_of_another_version_is_not_moved(hub, api, staged):
    upload(with_options(staged, tag="paper"), api=api)
    assert upload(with_options(staged, tag="paper"), api=api).tag == "paper"
    (staged.folder / "new.txt").write_text("new")
    with pytest.raises(UserError, match="tag 'paper' of me/x already names another version"):
        upload(with_options(staged, tag="paper"), api=api)
    assert "new.txt" not in held(hub)


def test_gitignore_of_an_older_version_drops_no_file(hub, api, staged):
    upload(staged, api=api)
    (staged.folder / ".gitignore").write_text("new.txt")
    upload(staged, api=api)
    (staged.folder / ".gitignore").unlink()
    (staged.folder / "new.txt").write_text("new")
    upload(staged, api=api)
    assert held(hub) == local(staged)


def test_damaged_file_on_the_hub_is_noticed(hub, api, staged):
    class Damaging(HfApi):
        def create_commit(self, *arguments, **options):
            done = super().create_commit(*arguments, **options)
            repo = hub.repo("me/x")
            repo.files["README.md"] = File(b"damaged")
            return done

    with pytest.raises(UserError, match=r"doesn't hold what was sent \(README\.md\)"):
        upload(staged, api=Damaging(endpoint=hub.url, token=WRITE_TOKEN))


def test_card_that_the_hub_refuses_stops_before_any_file_is_committed(hub, api, staged):
    (staged.folder / "README.md").write_text("---\nlicense: [1, 2]\n---\n")
    with pytest.raises(UserError, match='"license" must be a string'):
        upload(staged, api=api)
    assert held(hub) == {}


def test_without_a_token_nothing_is_asked_and_the_remedy_is_said(hub, staged, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match="run `hf auth login`, or set HF_TOKEN"):
        upload(staged, api=HfApi(endpoint=hub.url))
    assert not hub.log


@pytest.mark.parametrize(
    ("token", "words"), [(READ_TOKEN, "may only read"), ("hf_outdated", "doesn't accept the token")]
)
def test_useless_token_stops_before_anything_is_made(hub, staged, token, words):
    with pytest.raises(UserError, match=words):
        upload(staged, api=HfApi(endpoint=hub.url, token=token))
    assert not hub.repos


def test_unknown_owner_is_named(hub, api, staged):
    with pytest.raises(UserError, match="write access to 'nobody', or another --repo-id"):
        upload(with_options(staged, repo_id="nobody/x"), api=api)
    assert not hub.repos


def test_offline_mode_is_explained(hub, api, staged, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set: unset it"):
        upload(staged, api=api)


def test_token_is_in_no_log_and_no_error(hub, api, staged, waits, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    hub.fail("/commit/", times=2)
    upload(staged, api=api)
    hub.fail("/api/whoami-v2", method="GET", status=403)
    with pytest.raises(UserError) as caught:
        upload(staged, api=api)
    assert "trying again in 2 s" in caplog.text
    assert WRITE_TOKEN not in caplog.text + str(capfd.readouterr()) + str(caught.value)


def test_token_that_the_hub_sends_back_is_not_shown(hub, api, staged):
    hub.fail("/api/whoami-v2", method="GET", status=403, message=f"not with {WRITE_TOKEN}!")
    with pytest.raises(UserError, match="not with hf_…!"):
        upload(staged, api=api)


def test_empty_folder_is_refused(api, staged, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no file"):
        upload(replace(staged, folder=tmp_path / "empty"), api=api)


def space_with(staged, token):
    options = SpaceOptions(repo_id="me/app", model_id="me/faces", space_token=token, collection="")
    return replace(staged, kind="space", options=options)


def test_space_is_given_its_token_before_it_starts_and_says_it_nowhere(
    hub, api, staged, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    api.create_repo("me/faces", private=True)
    space = space_with(staged, READ_TOKEN)
    assert upload(space, api=api).secret
    repo = hub.repo("me/app", "space")
    assert repo.secrets == {"HF_TOKEN": READ_TOKEN}
    calls = [path for method, path in hub.log if method == "POST"]
    assert calls.index("/api/spaces/me/app/secrets") < calls.index("/api/spaces/me/app/commit/main")
    assert all(READ_TOKEN.encode() not in file.content for file in repo.files.values())
    assert READ_TOKEN not in repr(space) + caplog.text + str(capfd.readouterr())


@pytest.mark.parametrize(
    ("token", "words"),
    [(WRITE_TOKEN, "may write"), (BLIND_TOKEN, "may not read me/faces"), ("hf_old", "token")],
)
@pytest.mark.parametrize("gated", [False, True])
def test_token_that_a_space_should_not_have_stops_before_anything_is_made(
    hub, api, staged, token, words, gated
):
    api.create_repo("me/faces", private=not gated)
    if gated:
        api.update_repo_settings("me/faces", gated="manual")
    with pytest.raises(UserError, match=words) as caught:
        upload(space_with(staged, token), api=api)
    assert token not in str(caught.value)
    assert ("space", "me/app") not in hub.repos


def test_token_without_a_model_to_read_is_refused():
    with pytest.raises(UsageError, match="give --model-id"):
        SpaceOptions(repo_id="me/app", space_token=READ_TOKEN)
