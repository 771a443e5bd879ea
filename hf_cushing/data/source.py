"""Where a dataset lies."""

from __future__ import annotations

from pathlib import Path

from hf_cushing.schema import UserError


def local_folder(source: str) -> Path | None:
    """The folder that ``--dataset`` names; None for what may be a Hub id.

    Raises
    ------
    UserError
        Neither the one nor the other.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        if (folder / "dataset" / "data").is_dir():
            raise UserError(f"--dataset {source}: did you mean {folder / 'dataset'}?")
        if not (folder / "data").is_dir():
            raise UserError(
                f"--dataset {source} is not a prepared dataset; run "
                f"`hf-cushing prepare {source} --out DIR` and give DIR"
            )
        return folder
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise UserError(f"--dataset {source}: no such folder; make it with `hf-cushing prepare`")
    return None
