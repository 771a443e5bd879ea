import json

import pytest

from hf_cushing.schema import UserError
from hf_cushing.training.checkpoints import (
    check_same_plan,
    epochs_if_over,
    find_checkpoint,
    is_whole,
    keep_only,
    newest_whole,
    seal,
)


def make(run, step, best=None, aurocs=(0.5,)):
    folder = run / "checkpoints" / f"checkpoint-{step}"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights" * step)
    (folder / "sub" / "optimizer.pt").write_bytes(b"moments")
    log = [{"eval_selection": value} for value in aurocs]
    state = {"best_global_step": best or step, "epoch": float(len(aurocs)), "log_history": log}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    seal(folder)
    return folder


def test_newest_whole_checkpoint_is_taken_by_number_not_by_name(tmp_path):
    for step in (9, 100, 20):
        make(tmp_path, step)
    assert newest_whole(tmp_path / "checkpoints").name == "checkpoint-100"


@pytest.mark.parametrize(
    "name", ["model.safetensors", "sub/optimizer.pt", "trainer_state.json", "whole.json"]
)
@pytest.mark.parametrize("fault", ["cut", "changed", "gone"])
def test_damaged_checkpoint_is_skipped(tmp_path, name, fault):
    first, second = make(tmp_path, 3), make(tmp_path, 6)
    path = second / name
    content = path.read_bytes()
    if fault == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-3] if fault == "cut" else content[:-2] + b"??")
    assert not is_whole(second)
    assert newest_whole(tmp_path / "checkpoints") == first


def test_checkpoint_without_its_seal_or_without_its_best_one_is_skipped(tmp_path):
    first, second = make(tmp_path, 3), make(tmp_path, 6)
    (second / "whole.json").unlink()
    assert newest_whole(tmp_path / "checkpoints") == first
    make(tmp_path, 9, best=7)
    assert newest_whole(tmp_path / "checkpoints") == first


def test_others_are_dropped(tmp_path):
    for step in (3, 6, 9):
        make(tmp_path, step)
    keep_only(tmp_path / "checkpoints", {3, 9})
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "checkpoint-3",
        "checkpoint-9",
    ]


def test_run_that_stopped_early_is_not_trained_further(tmp_path):
    over = make(tmp_path, 3, aurocs=(0.6, 0.5, 0.6))
    assert epochs_if_over(over, epochs=30, patience=2) == 3
    assert epochs_if_over(over, epochs=30, patience=3) == 30
    assert epochs_if_over(None, epochs=30, patience=2) == 30


def test_unfinished_run_is_taken_up_only_on_request_and_with_its_own_settings(tmp_path):
    assert find_checkpoint(tmp_path, resume=True) is None
    checkpoint = make(tmp_path, 3)
    with pytest.raises(UserError, match="unfinished run; add --resume"):
        find_checkpoint(tmp_path, resume=False)
    assert find_checkpoint(tmp_path, resume=True) == checkpoint
    plan = {"config": {"training": {"seed": 1}}, "dataset_revision": "a"}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    check_same_plan(tmp_path, plan)
    with pytest.raises(UserError, match=r"\(--seed was 1, is 2\)"):
        check_same_plan(tmp_path, plan | {"config": {"training": {"seed": 2}}})
    (tmp_path / "plan.json").write_text(json.dumps(plan | {"processes": 1}))
    with pytest.raises(UserError, match=r"\(1 processes then, 2 now\)"):
        check_same_plan(tmp_path, plan | {"processes": 2})
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UserError, match="photos or processes; resume"):
        check_same_plan(tmp_path, plan | {"dataset_revision": "b"})
