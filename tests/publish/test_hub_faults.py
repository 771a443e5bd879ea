"""Under every fault of the Hub an upload ends complete, or leaves the repo as it was."""

from dataclasses import replace

import pytest
from huggingface_hub import HfApi

from hf_cushing.files import sha256_file
from hf_cushing.publish.hub import upload
from hf_cushing.publish.retries import Retries
from hf_cushing.schema import UserError
from tests.publish.loopback_hub import WRITE_TOKEN
from tests.publish.loopback_repo import File
from tests.publish.stages import with_options
from tests.publish.uploads import WEIGHTS, held, local

STEPS = {
    "whoami": ("GET", "/api/whoami-v2"),
    "look": ("GET", "/api/models/me/x$"),
    "list": ("GET", "/tree/"),
    "create": ("POST", "/api/repos/create"),
    "card": ("POST", "/api/validate-yaml"),
    "modes": ("POST", "/preupload/"),
    "batch": ("POST", "/objects/batch"),
    "blob": ("PUT", "^/lfs/"),
    "commit": ("POST", "/commit/"),
    "tag": ("POST", "/tag/"),
    "collection": ("POST", "/api/collections$"),
    "item": ("POST", "/items$"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "how",
    [{"status": 500}, {"status": 429}, {"how": "drop"}, {"how": "lose"}],
    ids=lambda how: str(next(iter(how.values()))),
)
def test_upload_ends_complete_after_a_passing_fault(hub, api, staged, waits, step, how):
    method, path = STEPS[step]
    hub.fail(path, method=method, times=1 if "lose" in how.values() else 2, **how)
    done = upload(staged, api=api)
    assert held(hub) == local(staged)
    assert hub.repo("me/x").tags == {"v1": done.commit}
    assert len(hub.repo("me/x").commits) == 2
    assert [len(c["items"]) for c in hub.collections.values()] == [1]
    assert waits
    assert hub.faults[0].times == 0


def test_slow_hub_is_waited_for(hub, api, staged):
    for method, path in STEPS.values():
        hub.fail(path, method=method, how="slow", seconds=0.05)
    upload(staged, api=api)
    assert held(hub) == local(staged)


def test_retry_after_of_the_hub_is_kept(hub, api, staged, waits):
    hub.fail("/api/repos/create", status=429, retry_after=17)
    upload(staged, api=api)
    assert waits == [17]


def test_waits_double_up_to_the_longest(hub, api, staged, waits):
    hub.fail("/commit/", status=502, times=4)
    upload(staged, api=api, retries=Retries(first_wait=2, longest_wait=10))
    assert waits == [2, 4, 8, 10]


LASTING = {
    "500": ({"status": 500}, "The Hub fails: run again later"),
    "429": ({"status": 429}, "wait some minutes, then run again"),
    "drop": ({"how": "drop"}, "check the network, then run again"),
    "401": ({"status": 401}, "make a new one with write access"),
    "403": ({"status": 403}, "use one with write access to 'me'"),
    "404": ({"status": 404}, "check --repo-id"),
    "409": ({"status": 409}, "Somebody else changed the repo"),
    "412": ({"status": 412}, "Somebody else changed the repo"),
    "413": ({"status": 413}, "too large"),
    "402": ({"status": 402}, "paid plan"),
    "quota": (
        {"status": 403, "message": "Private repository storage limit reached"},
        "storage is full",
    ),
}


@pytest.mark.parametrize("step", ["modes", "batch", "blob", "commit"])
@pytest.mark.parametrize("fault", LASTING)
def test_lasting_fault_leaves_the_repo_as_it_was_and_says_what_to_do(
    hub, api, staged, waits, step, fault
):
    upload(staged, api=api)
    repo, before = hub.repo("me/x"), held(hub)
    (staged.folder / "model.safetensors").write_bytes(b"\0other weights")
    how, remedy = LASTING[fault]
    method, path = STEPS[step]
    hub.fail(path, method=method, times=999, **how)
    with pytest.raises(UserError) as caught:
        upload(staged, api=api)
    assert remedy in str(caught.value)
    assert "No file was changed in me/x." in str(caught.value)
    assert WRITE_TOKEN not in str(caught.value)
    assert held(hub) == before
    assert len(repo.commits) == 2
    hub.faults.clear()  # and then the same command goes through
    upload(staged, api=api)
    assert held(hub) == local(staged)


@pytest.mark.parametrize("step", ["collection", "item"])
@pytest.mark.parametrize("fault", ["500", "drop", "403"])
def test_failing_collection_is_a_warning_and_the_next_run_adds_it(
    hub, api, staged, waits, step, fault
):
    method, path = STEPS[step]
    hub.fail(path, method=method, times=999, **LASTING[fault][0])
    done = upload(staged, api=api)
    assert done.collection is None
    assert "the collection 'Faces' does not link me/x" in done.warning
    assert (held(hub), done.tag) == (local(staged), "v1")
    hub.faults.clear()
    assert upload(staged, api=api).warning == ""
    assert [len(c["items"]) for c in hub.collections.values()] == [1]


@pytest.mark.parametrize("step", ["tag"])
@pytest.mark.parametrize("fault", ["500", "drop", "403"])
def test_fault_after_the_commit_says_what_is_missing_and_the_next_run_adds_it(
    hub, api, staged, waits, step, fault
):
    method, path = STEPS[step]
    hub.fail(path, method=method, times=999, **LASTING[fault][0])
    with pytest.raises(UserError, match=r"All files are in me/x \(.*missing"):
        upload(staged, api=api)
    assert held(hub) == local(staged)
    hub.faults.clear()
    done = upload(staged, api=api)
    assert hub.repo("me/x").tags == {"v1": done.commit}
    assert [len(c["items"]) for c in hub.collections.values()] == [1]
    assert len(hub.repo("me/x").commits) == 2


@pytest.mark.parametrize("fault", ["500", "drop", "403"])
def test_photographs_are_not_sent_where_the_repo_cannot_be_gated(hub, api, staged, waits, fault):
    photos = replace(with_options(staged, public=True), kind="dataset", gated=True)
    hub.fail("/settings$", method="PUT", times=999, **LASTING[fault][0])
    with pytest.raises(UserError, match="it is empty and private"):
        upload(photos, api=api)
    assert held(hub, kind="dataset") == {}
    assert not hub.blobs
    hub.faults.clear()
    upload(photos, api=api)
    assert hub.repo("me/x", "dataset").gated == "manual"


def test_repo_that_cannot_be_opened_stays_private_and_the_next_run_opens_it(hub, api, staged):
    hub.fail("/settings$", method="PUT", status=403, times=999)
    with pytest.raises(UserError, match=r"All files are in me/x \(.*it is private still"):
        upload(with_options(staged, public=True), api=api)
    assert hub.repo("me/x").private
    hub.faults.clear()
    upload(with_options(staged, public=True), api=api)
    assert not hub.repo("me/x").private


def test_failed_first_commit_leaves_an_empty_private_repo_that_the_next_run_fills(
    hub, api, staged, waits
):
    hub.fail("/commit/", times=999)
    with pytest.raises(UserError, match="me/x was made; it is empty and private, and the next run"):
        upload(staged, api=api)
    assert held(hub) == {}
    sent = hub.count("PUT", "^/lfs/")
    hub.faults.clear()
    upload(staged, api=api)
    assert held(hub) == local(staged)
    assert hub.count("PUT", "^/lfs/") == sent == 2  # large files were not sent again


def test_interrupted_upload_sends_only_the_large_files_that_did_not_arrive(hub, api, staged, waits):
    table = staged.folder / "predictions.parquet"
    hub.fail(f"^/lfs/{sha256_file(table)}", method="PUT", status=403, times=999)
    with pytest.raises(UserError):
        upload(staged, api=api)
    hub.faults.clear()
    hub.log.clear()
    upload(staged, api=api)
    assert [path for method, path in hub.log if method == "PUT"] == [f"/lfs/{sha256_file(table)}"]


def test_commit_of_somebody_else_meanwhile_is_not_overwritten(hub, api, staged):
    upload(staged, api=api)
    repo = hub.repo("me/x")
    (staged.folder / "model.safetensors").write_bytes(b"\0other weights")
    meddling = MeddlingApi(hub, endpoint=hub.url, token=WRITE_TOKEN)
    with pytest.raises(UserError, match="Somebody else changed the repo meanwhile: look at its"):
        upload(staged, api=meddling)
    assert held(hub)["theirs.txt"] == b"theirs"
    assert held(hub)["model.safetensors"] == WEIGHTS
    assert len(repo.commits) == 3


class MeddlingApi(HfApi):
    """A colleague commits just before we do."""

    def __init__(self, hub, **options):
        super().__init__(**options)
        self.hub = hub

    def create_commit(self, *arguments, **options):
        repo = self.hub.repo("me/x")
        repo.commit(repo.files | {"theirs.txt": File(b"theirs")})
        return super().create_commit(*arguments, **options)
