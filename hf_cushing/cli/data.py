"""Commands that make and check datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hf_cushing.cli.common import AsJson, app, print_json, progress_bars, say
from hf_cushing.schema import UsageError, UserError


@app.command()
def prepare(
    raw: Annotated[Path, typer.Argument(help="Clinic folder: photos and metadata.csv.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    labels: Annotated[str, typer.Option(help="Labels that may occur, with commas.")] = "",
    folds: Annotated[int, typer.Option(help="Cross-validation folds.")] = 5,
    repeats: Annotated[int, typer.Option(help="How often the folds are dealt anew.")] = 1,
    validation_size: Annotated[float, typer.Option(help="Share of the photos.")] = 0.15,
    test_size: Annotated[float, typer.Option(help="Share of the photos.")] = 0.2,
    external_site: Annotated[
        str, typer.Option(help="Sites, with commas, whose patients are the test split.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of splits and folds.")] = 0,
    crop_size: Annotated[int, typer.Option(help="Side of the crops in pixels.")] = 256,
    on_bad_photo: Annotated[
        str, typer.Option(help="reject (and account for it) or fail.")
    ] = "reject",
    identity: Annotated[
        bool, typer.Option(help="Compare faces (biometric data; not stored).")
    ] = True,
    merge_identities: Annotated[
        bool, typer.Option(help="Keep ids that seem to be one person together.")
    ] = False,
    keep_column: Annotated[
        list[str] | None, typer.Option(help="Carry this column of the table over; repeatable.")
    ] = None,
    hash_ids: Annotated[
        str,
        typer.Option(
            envvar="HF_CUSHING_SALT",
            metavar="SALT",
            show_envvar=True,
            help="Replace patient ids by hashes keyed with this secret.",
        ),
    ] = "",
    controls: Annotated[
        Path | None, typer.Option(help="Folder of public controls to add to train.")
    ] = None,
    match: Annotated[str, typer.Option(help="Match controls by sex, age or sex,age.")] = "",
    ratio: Annotated[float, typer.Option(help="Public controls for each patient.")] = 1.0,
    controls_split: Annotated[
        str, typer.Option(help="train, or all (like the clinic's own).")
    ] = "train",
    datasheet: Annotated[
        Path | None, typer.Option(help="YAML with consent, licence, … for the card.")
    ] = None,
    thumbnails: Annotated[bool, typer.Option(help="Show faces in audit.html.")] = True,
    allow: Annotated[bool, typer.Option("--allow", help="Exit 0 in spite of leakage.")] = False,
    num_proc: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace another dataset in --out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a clinic folder into an aligned, split, audited dataset for load_dataset."""
    from hf_cushing.data.audit_report import read_audit
    from hf_cushing.data.datasheet import read_datasheet
    from hf_cushing.data.options import ControlsOptions, PrepareOptions
    from hf_cushing.data.prepare import prepare as run

    options = PrepareOptions(
        labels=_words(labels),
        folds=folds,
        repeats=repeats,
        validation_size=validation_size,
        test_size=test_size,
        external_sites=_words(external_site),
        seed=seed,
        crop_size=crop_size,
        on_bad_photo=on_bad_photo,
        identity=identity,
        merge_identities=merge_identities,
        keep_columns=tuple(keep_column or ()),
        salt=hash_ids,
        controls=controls
        and ControlsOptions(
            folder=controls, match=_words(match), ratio=ratio, splits=controls_split
        ),
        thumbnails=thumbnails,
        datasheet=read_datasheet(datasheet),
    )
    try:
        with progress_bars() as progress:
            account = run(
                raw, out, options, num_proc=num_proc, overwrite=overwrite, progress=progress
            )
    except KeyboardInterrupt:
        say(f"stopped: run it again to go on; crops are in {out.parent}/.{out.name}.partial")
        raise
    kept, total = len(account.kept), len(account.rows)
    rejected = ", ".join(f"{name} {count}" for name, count in sorted(account.rejected.items()))
    say(f"{kept} of {total} photos kept; rejected: {rejected or 'none'}")
    say(f"files in no row: {len(account.unlisted)}; account: {out / 'intake.md'}")
    for note in account.notes:
        say(f"note: {note}")
    if account.merged:
        say(f"{len(account.merged)} persons under several ids were put together")
    for warning in account.warnings:
        say(f"warning: {warning}")
    if account.dropped_columns:
        dropped = ", ".join(account.dropped_columns)
        say(f"columns not carried over (--keep-column NAME keeps one): {dropped}")
    found = read_audit(out)
    if as_json:
        result = {"out": str(out), "kept": kept, "rows": total, "leaks": found["leaks"]}
        print_json(result | {"rejected": dict(account.rejected), "warnings": found["warnings"]})
    _tell_audit(found, out, allow=allow, again="--overwrite --merge-identities")


@app.command()
def audit(
    source: Annotated[Path, typer.Argument(help="Prepared dataset, or clinic folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Report folder; by default the prepared dataset itself.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Another dataset: whoever is in both counts as leakage."),
    ] = None,
    identity: Annotated[
        bool, typer.Option(help="Compare faces (biometric data; not stored).")
    ] = True,
    thumbnails: Annotated[bool, typer.Option(help="Show faces in audit.html.")] = True,
    allow: Annotated[bool, typer.Option("--allow", help="Exit 0 in spite of leakage.")] = False,
    num_proc: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find leakage, shortcuts and bad photos; exit 1 if a person may cross a split."""
    from hf_cushing.data.audit_run import audit as run

    if out is None and not (source / "data").is_dir():
        raise UsageError("give --out DIR: the report is not written into the clinic folder")
    if out is None and against is not None:
        raise UsageError("give --out DIR: the dataset's own report says nothing of --against")
    out = out or source
    with progress_bars() as progress:
        found = run(
            source,
            out,
            against=against,
            identity=identity,
            thumbnails=thumbnails,
            num_proc=num_proc,
            progress=progress,
        )
    if as_json:
        print_json(found)
    _tell_audit(found, out, allow=allow, again="--merge-identities")


@app.command()
def photos(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder made by `hf-cushing prepare`.")],
    as_json: AsJson = False,
) -> None:
    """Which file is which photo_id, as CSV on stdout: for readers' and visits' tables.

    Names files of the clinic: keep it there.
    """
    import csv
    import sys

    from hf_cushing.data.account import kept_photos

    rows = kept_photos(dataset)
    if as_json:
        print_json(rows)
        return
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _tell_audit(found: dict[str, Any], out: Path, *, allow: bool, again: str) -> None:
    """Say what the audit found, photos by photo_id only; leakage is an error."""
    for warning in found["warnings"]:
        say(f"audit: {warning}")
    leaks = [finding for finding in found["findings"] if finding["leak"]]
    for finding in leaks[:10]:
        say(f"audit: leak: photos {' and '.join(finding['photo_ids'])}: {finding['text']}")
    say(f"audit: {len(leaks)} leaks; report: {out / 'audit.html'}")
    if leaks and not allow:
        raise UserError(
            f"a person may be on both sides of a split ({len(leaks)} pairs). Look at "
            f"{out / 'audit.html'}; then correct the table, or prepare with {again}, "
            "or, if they are different people, add --allow"
        )
