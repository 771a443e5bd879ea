"""Crops kept from one `prepare` to the next."""

import stat

import pytest

from hf_cushing.cli import main
from hf_cushing.data import cache, chunks
from hf_cushing.data.options import PrepareOptions
from hf_cushing.data.prepare import fill_cache, prepare
from hf_cushing.schema import UsageError
from tests.conftest import cohort_rows
from tests.data.test_prepare import contents

SMALL = PrepareOptions(folds=3, validation_size=0.25, test_size=0.25, identity=False)


@pytest.fixture
def counted(monkeypatch):
    """Names of the photos that are cropped."""
    names, crop = [], chunks.crop_photo

    def counting(root, name, view, **how):
        names.append(name)
        return crop(root, name, view, **how)

    monkeypatch.setattr(chunks, "crop_photo", counting)
    return names


def run(raw, out, **more):
    return prepare(raw, out, SMALL, num_proc=1, **more)


def entries(folder):
    return sorted(folder.rglob("*.face"))


def test_nothing_is_cropped_twice_and_the_bytes_are_the_same(make_clinic, tmp_path, counted):
    raw, folder = make_clinic(cohort_rows()), tmp_path / "cache"
    run(raw, tmp_path / "without")
    run(raw, tmp_path / "one", cache=folder)
    assert len(counted) == 24
    run(raw, tmp_path / "two", cache=folder)
    assert len(counted) == 24
    table = (raw / "metadata.csv").read_text()
    (raw / "metadata.csv").write_text(table.replace("000,female", "0a0,female"))
    (raw / "3.png").write_bytes((raw / "3.png").read_bytes() + b"\0")
    run(raw, tmp_path / "three", cache=folder)
    assert counted[24:] == ["3.png"]
    assert (
        contents(tmp_path / "without") == contents(tmp_path / "one") == contents(tmp_path / "two")
    )


def test_parts_done_apart_leave_nothing_to_compute(make_clinic, tmp_path, counted):
    raw, folder = make_clinic(cohort_rows()), tmp_path / "cache"
    done = [fill_cache(raw, SMALL, shard=(i, 3), cache=folder, num_proc=1) for i in (1, 2, 3)]
    assert done == [4, 4, 4]
    assert len(set(counted)) == len(counted) == 12
    run(raw, tmp_path / "one", cache=folder)
    assert len(counted) == 12
    run(raw, tmp_path / "without")
    assert contents(tmp_path / "one") == contents(tmp_path / "without")
    assert not list(folder.rglob("*.parquet"))


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b"])
def test_part_that_there_is_not_is_refused(make_clinic, tmp_path, shard, capsys, monkeypatch):
    raw = make_clinic(cohort_rows())
    options = ["prepare", str(raw), "--shard", shard, "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr("sys.argv", ["hf-cushing", *options])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "give part and number of parts" in capsys.readouterr().err


def test_half_written_entry_and_other_code_are_not_used(
    make_clinic, tmp_path, counted, monkeypatch
):
    raw, folder = make_clinic(cohort_rows()), tmp_path / "cache"
    run(raw, tmp_path / "one", cache=folder)
    some = entries(folder)[5]
    some.write_bytes(some.read_bytes()[:-1])
    run(raw, tmp_path / "two", cache=folder)
    assert len(counted) == 13
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    monkeypatch.setattr(cache, "code_version", lambda: "other")
    run(raw, tmp_path / "three", cache=folder)
    assert len(counted) == 25
    assert {path.relative_to(folder).parts[0] for path in entries(folder)} == {"other"}


def test_other_settings_have_entries_of_their_own(tmp_path):
    settings = ((256, True), (128, True), (256, False))
    names = [
        chunks.cache_entry(tmp_path, photo, view, *how)
        for photo in "ab"
        for view in ("frontal", "left")
        for how in settings
    ]
    assert len(set(names)) == 12
    assert names[0] == chunks.cache_entry(tmp_path, "a", "", 256, True)


def test_cache_is_private_says_what_it_holds_and_takes_no_other_folder(make_clinic, tmp_path):
    raw, folder = make_clinic(cohort_rows()), tmp_path / "cache"
    run(raw, tmp_path / "one", cache=folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "Photographs of faces" in (folder / cache.NOTE).read_text()
    with pytest.raises(UsageError, match="holds something else"):
        run(raw, tmp_path / "two", cache=tmp_path / "one")
    with pytest.raises(UsageError, match="lies inside"):
        run(raw, tmp_path / "two", cache=raw / "cache")


def test_fault_that_another_installation_may_not_have_is_not_kept(make_clinic, tmp_path, counted):
    raw, folder = make_clinic(cohort_rows(15)), tmp_path / "cache"
    (raw / "14.png").write_bytes(b"no picture")
    run(raw, tmp_path / "one", cache=folder)
    assert len(entries(folder)) == 14
    run(raw, tmp_path / "two", cache=folder)
    assert counted[15:] == ["14.png"]
