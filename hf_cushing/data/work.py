"""The work folder of `prepare`: what identifies a piece of work, and whether it is done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from hf_cushing import __version__
from hf_cushing.data.account import Account
from hf_cushing.data.datasheet import Datasheet
from hf_cushing.data.intake import Intake
from hf_cushing.faces.align import CROP_SCALE
from hf_cushing.files import read_json, sha256_file, write_json
from hf_cushing.schema import UserError


def fingerprint_of(
    intakes: list[Intake], options: dict[str, Any], salt: str, datasheet: Datasheet
) -> str:
    """Hash of everything that the result depends on."""
    facts = {
        "version": __version__,
        "crop_scale": CROP_SCALE,
        "options": options,
        "salt": hashlib.sha256(salt.encode()).hexdigest(),
        "datasheet": dataclasses.asdict(datasheet),
        "tables": [sha256_file(intake.table) for intake in intakes],
        "unlisted": [intake.unlisted for intake in intakes],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for intake in intakes:
        for photo in intake.photos:
            digest.update(f"{photo.photo_id};".encode())
    return digest.hexdigest()


def finished(out: Path, fingerprint: str, overwrite: bool) -> Account | None:
    """Give the account of `out` if this very dataset is there; refuse to overwrite another."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / "intake.json").is_file():
        raise UserError(f"{out} exists and was not made by `prepare`; choose another --out")
    try:
        account = Account(**read_json(out / "intake.json"))
    except TypeError:
        account = None
    if account is not None and account.fingerprint == fingerprint:
        return account
    if not overwrite:
        raise UserError(
            f"{out} holds a dataset made from other photos, table or options, or by another "
            "version; choose another --out, or add --overwrite to replace it"
        )
    return None


def work_folder(out: Path, fingerprint: str) -> Path:
    """Folder for unfinished work; what an earlier, different run left there is dropped."""
    work = out.with_name(f".{out.name}.partial")
    plan = work / "plan.json"
    if work.exists() and not (plan.exists() and read_json(plan)["fingerprint"] == fingerprint):
        shutil.rmtree(work)
    write_json(plan, {"fingerprint": fingerprint})
    return work
