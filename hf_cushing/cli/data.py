"""Commands that make and check datasets."""

from __future__ import annotations

import csv
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hf_cushing.cli.command import command, parameter
from hf_cushing.cli.common import AsJson, print_json, progress_bars, say
from hf_cushing.data.options import ControlsOptions, PrepareOptions
from hf_cushing.schema import UsageError, counted

SHOWN_PERSONS = 10
"""Persons under several ids that the terminal names."""

Allow = Annotated[bool, typer.Option("--allow", help="Exit 0 in spite of leakage.")]
Processes = Annotated[int | None, typer.Option(help="Processes; all cores by default.")]


@command(quiet=False)
def prepare(
    raw: Annotated[Path, typer.Argument(help="Clinic folder: photos and their table.")],
    options: PrepareOptions,
    controls: ControlsOptions,
    out: Annotated[Path | None, typer.Option(help="Dataset folder to make.")] = None,
    propose: Annotated[
        bool,
        typer.Option("--propose", help="Only write clinic.yaml: how the table seems to be meant."),
    ] = False,
    datasheet: Annotated[
        Path | None, typer.Option(help="YAML with consent, licence, … for the card.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="pairs.csv in which a person wrote same or different.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Keeps crops for the next call (photographs!); by default beside OUT."),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no crops.")] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Only fill --cache with part I of N, as on each of several machines; prepare "
            "without it then takes all from there.",
        ),
    ] = None,
    allow: Allow = False,
    num_proc: Processes = None,
    overwrite: Annotated[bool, typer.Option(help="Replace another dataset in --out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a clinic folder into an aligned, split, audited dataset for load_dataset."""
    from hf_cushing.data.audit_report import read_audit
    from hf_cushing.data.cache import NAME
    from hf_cushing.data.datasheet import read_datasheet
    from hf_cushing.data.persons import read_decisions
    from hf_cushing.data.prepare import prepare as run

    if propose:
        _propose(raw, overwrite=overwrite)
        return
    if out is None and not shard:
        raise UsageError("give --out DIR, the dataset folder to make (or --propose)")
    options = replace(
        options,
        controls=controls if controls.folder else None,
        datasheet=read_datasheet(datasheet),
        decisions=read_decisions(decisions),
    )
    if no_cache and cache:
        raise UsageError("--no-cache and --cache contradict each other; give one of them")
    if shard:
        _fill_cache(raw, options, shard, cache, num_proc)
        return
    kept = None if no_cache else cache or out.parent / NAME
    with progress_bars(kept=out.parent / f".{out.name}.partial") as progress:
        report = run(
            raw, out, options, num_proc=num_proc, overwrite=overwrite, cache=kept,
            progress=progress,
        )  # fmt: skip
    _say_intake(report, out)
    if kept is not None:
        say(f"crops are kept in {kept} (photographs: keep it private, delete it when done)")
    found = read_audit(out)
    if as_json:
        print_json({
            "out": str(out), "kept": len(report.kept), "rows": len(report.rows),
            "rejected": report.rejected, "merged": report.merged, "leaks": found["leaks"],
            "contradictions": found.get("contradictions", 0), "warnings": found["warnings"],
        })  # fmt: skip
    found["warnings"] = [text for text in found["warnings"] if text not in report.warnings]
    _say_audit(found, out, allow=allow, again="--overwrite, without --no-merge-identities")
    dataset = shlex.quote(str(out))
    say(f"next: hf-cushing train --dataset {dataset} --finetune head --fold all --output_dir RUN")


def _fill_cache(
    raw: Path, options: PrepareOptions, shard: str, cache: Path | None, num_proc: int | None
) -> None:
    from hf_cushing.data.prepare import fill_cache

    number, _, count = shard.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {shard}: give part and number of parts, as in 1/8 to 8/8")
    if cache is None:
        raise UsageError("--shard fills a cache that all machines see: give --cache DIR")
    part = (int(number), int(count))
    with progress_bars(kept=cache) as progress:
        done = fill_cache(
            raw, options, shard=part, cache=cache, num_proc=num_proc, progress=progress
        )
    say(f"part {shard}: {done} photos are in {cache} (photographs: keep it private)")


@command(quiet=False)
def audit(
    source: Annotated[Path, typer.Argument(help="Prepared dataset, or clinic folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Report folder; by default the prepared dataset itself.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Another dataset: whoever is in both counts as leakage."),
    ] = None,
    identity: parameter(PrepareOptions, "identity") = True,
    thumbnails: parameter(PrepareOptions, "thumbnails") = True,
    allow: Allow = False,
    num_proc: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Find leakage, shortcuts and bad photos; exit 1 if a person may cross a split."""
    from hf_cushing.data.audit_report import audit as run

    if out is None and not (source / "data").is_dir():
        raise UsageError("give --out DIR: the report is not written into the clinic folder")
    if out is None and against is not None:
        raise UsageError("give --out DIR: the dataset's own report says nothing of --against")
    out = out or source
    with progress_bars() as progress:
        found = run(
            source, out, against=against, identity=identity, thumbnails=thumbnails,
            num_proc=num_proc, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(found)
    _say_audit(found, out, allow=allow, again="`hf-cushing prepare`, which puts such ids together")


@command(quiet=False)
def photos(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder made by `hf-cushing prepare`.")],
    as_json: AsJson = False,
) -> None:
    """Which file is which photo_id, as CSV on stdout: for readers' and visits' tables.

    Names files of the clinic: keep it there.
    """
    from hf_cushing.data.intake_report import kept_photos

    rows = kept_photos(dataset)
    if as_json:
        print_json(rows)
        return
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


@command(quiet=False)
def controls(
    source: Annotated[Path, typer.Argument(help="Folder of the collection, as it lies on disk.")],
    layout: Annotated[
        Literal["lfw", "utkface", "fairface", "celeba"], typer.Option(help="Which collection.")
    ],
    out: Annotated[Path, typer.Option(help="Clinic folder of controls to make.")],
    sex_table: Annotated[
        Path | None, typer.Option(help="For lfw: lines of `name sex` or `name,sex`.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many, drawn at random.")] = None,
    min_age: Annotated[float, typer.Option(help="Years; who is younger is left out.")] = 18.0,
    seed: Annotated[int, typer.Option(help="Of --limit.")] = 0,
) -> None:
    """Turn a public face collection into controls for `prepare --controls`.

    lfw: Name/Name_0001.jpg. utkface: age_gender_race_date.jpg, at any depth. fairface:
    fairface_label_*.csv beside train/ and val/. celeba: list_attr_celeba.txt or .csv, images in
    img_align_celeba/, identity_CelebA.txt if there. Nothing is downloaded.
    """
    from hf_cushing.data.public import build_controls

    count, left_out = build_controls(
        source, out, layout=layout, sex_table=sex_table, limit=limit, min_age=min_age, seed=seed
    )
    reasons = ", ".join(f"{reason} {number}" for reason, number in sorted(left_out.items()))
    say(f"{count} photos in {out}; left out: {reasons or 'none'}")


def _propose(raw: Path, *, overwrite: bool) -> None:
    """Write and show clinic.yaml, and say how to go on."""
    from hf_cushing.data.clinic_file import CLINIC_FILE, OPEN
    from hf_cushing.data.propose import propose

    text = propose(raw, overwrite=overwrite)
    print(text, end="")
    rest = sum(line.partition("  #")[0].endswith((OPEN, f'{OPEN}"')) for line in text.splitlines())
    first = f"confirm {rest} lines marked {OPEN}" if rest else "check it"
    then = f"hf-cushing prepare {shlex.quote(str(raw))} --out DATASET --folds 5"
    say(f"written to {raw / CLINIC_FILE}; {first}, then: {then}")


def _say_intake(report: Any, out: Path) -> None:
    """Say what became of the rows and files."""
    from hf_cushing.data.crops import explain_rejections
    from hf_cushing.data.intake import row_name

    kept, total = len(report.kept), len(report.rows)
    rejected = ", ".join(f"{name} {count}" for name, count in sorted(report.rejected.items()))
    say(f"{kept} of {total} photos kept; rejected: {rejected or 'none'}")
    for line in explain_rejections(
        (row_name(row["row"], row["public"]), row["reason"], row["message"])
        for row in report.rows
        if row["reason"]
    ):
        say(f"  {line}")
    for loss in report.losses if report.rejected else []:
        share = f"{loss['rejected']} of {loss['photos']}"
        say(f"  rejected of {loss['label']}, {loss['group'] or 'no ' + loss['by']}: {share}")
    say(f"files in no row: {len(report.unlisted)}; report: {out / 'intake.md'}")
    for note in report.notes:
        say(f"note: {note}")
    if report.merged:
        say(
            f"warning: {counted(len(report.merged), 'person')} under several patient ids; each was "
            f"put into one split and fold. Look at {out / 'pairs.html'}; --decisions takes them "
            "apart"
        )
    for person in report.merged[:SHOWN_PERSONS]:
        ids, rows = " + ".join(person["patient_ids"]), ", ".join(person["rows"])
        say(f"  {ids} (rows {rows})")
    if len(report.merged) > SHOWN_PERSONS:
        say(f"  … and {len(report.merged) - SHOWN_PERSONS} more in intake.md")
    for warning in report.warnings:
        say(f"warning: {warning}")
    if report.dropped_columns:
        dropped = ", ".join(report.dropped_columns)
        say(f"columns not carried over (--keep-column NAME keeps one): {dropped}")


def _say_audit(found: dict[str, Any], out: Path, *, allow: bool, again: str) -> None:
    """Say what the audit found, photos by photo_id only; leakage is an error."""
    from hf_cushing.data.audit_report import check_audit, findings_of

    for warning in found["warnings"]:
        say(f"audit: {warning}")
    leaks, wrong = (findings_of(found, name) for name in ("leak", "contradicts"))
    for word, findings in (("leak", leaks), ("contradiction", wrong)):
        for finding in findings[:10]:
            say(f"audit: {word}: photos {' and '.join(finding['photo_ids'])}: {finding['text']}")
    say(f"audit: {len(leaks)} leaks; report: {out / 'audit.html'}")
    if not allow:
        check_audit(found, out, again=again)
