"""The four steps as functions: `prepare`, `train`, `evaluate`, `predict`.

Each calls what its command calls, with the command's options as keywords (``--no-identity`` is
``identity=False``, ``--allow`` is ``allow=True``), so both give the same files. They raise
`UserError` where a command would exit with 1 or 2, and print nothing.

Examples
--------
>>> import tempfile
>>> from pathlib import Path
>>> import hf_cushing
>>> from hf_cushing.data.synthetic import CohortOptions, make_cohort
>>> work = Path(tempfile.mkdtemp())
>>> make_cohort(work / "clinic", work / "truth", CohortOptions(photos=40))  # drawn

>>> intake = hf_cushing.prepare(work / "clinic", work / "dataset", identity=False, num_proc=1)
>>> len(intake.kept)
40
>>> quick = {"finetune": "head", "bootstrap": 200, "repeatability": 0}
>>> run = hf_cushing.train(work / "dataset", work / "run", cpu=True, **quick)
>>> run.labels
('control', 'cushing')
>>> report = hf_cushing.evaluate(run, work / "report", draws=200, shuffles=200)
>>> [row.subgroup for row in report.subgroups if row.unit == "patient"]
['all', 'female', 'male']
>>> photo = min((work / "clinic" / "images").iterdir())
>>> row = hf_cushing.predict(run, photo, sex="female", cpu=True)[0]
>>> row.answer.label in ("control", "cushing", "uncertain")
True
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_cushing.data.intake_report import IntakeReport
    from hf_cushing.evaluation.record import Report
    from hf_cushing.predict.batch import Row
    from hf_cushing.run import Run


def prepare(
    raw: str | Path,
    out: str | Path,
    *,
    num_proc: int | None = None,
    overwrite: bool = False,
    allow: bool = False,
    cache: str | Path | None = None,
    **options: Any,
) -> IntakeReport:
    """Turn a clinic folder into an aligned, split, audited dataset, as `hf-cushing prepare`.

    Parameters
    ----------
    raw : str or Path
        Clinic folder: photos and their table.
    out : str or Path
        Dataset folder to make.
    num_proc : int, optional
        Processes; all cores by default. A script must then call this under
        ``if __name__ == "__main__":``, since the processes import it.
    overwrite : bool
        Replace another dataset in `out`.
    allow : bool
        Go on although the audit found that a person may be on both sides of a split.
    cache : str or Path, optional
        Folder that keeps crops for the next call: photographs!
    **options
        Fields of `hf_cushing.data.options.PrepareOptions`.

    Returns
    -------
    IntakeReport
        What became of every row and file; ``intake.md`` and ``audit.html`` in `out` show it.

    Raises
    ------
    UserError
        A fault of the table or the photos, or leakage that the audit found.
    UsageError
        An unknown option, or a value that it can't take.
    """
    from hf_cushing.data.audit_report import check_audit, read_audit
    from hf_cushing.data.options import PrepareOptions
    from hf_cushing.data.prepare import prepare as run

    report = run(
        Path(raw), Path(out), _record(PrepareOptions, options), num_proc=num_proc,
        overwrite=overwrite, cache=Path(cache) if cache else None,
    )  # fmt: skip
    if not allow:
        check_audit(read_audit(Path(out)), Path(out), again="--overwrite")
    return report


def train(dataset: str | Path, output_dir: str | Path, **options: Any) -> Run:
    """Fine-tune a model on a prepared dataset, as `hf-cushing train`, in this process.

    Parameters
    ----------
    dataset : str or Path
        Dataset folder or Hub id.
    output_dir : str or Path
        Run folder to make.
    **options
        As `hf-cushing train --help` lists them: ``finetune="head"``, ``fold="all"``, ….

    Returns
    -------
    Run
        The run; with ``fold="all"`` the report of all folds together.

    Raises
    ------
    UserError
        A fault of the dataset, the model or the folder.
    UsageError
        An unknown option, a value that it can't take, or options that don't go together.
    """
    from hf_cushing.config import DEFAULTS, RunConfig
    from hf_cushing.run import Run
    from hf_cushing.training.cli import train as run

    _check_names(options, DEFAULTS)
    config = RunConfig.of({"dataset": str(dataset), "output_dir": str(output_dir)} | options)
    return Run(str(run(config)[1]))


def evaluate(
    runs: str | Path | Run | Sequence[str | Path | Run],
    out: str | Path | None = None,
    *,
    dataset: str | None = None,
    against: Sequence[str | Path | Run] = (),
    cpu: bool = False,
    **options: Any,
) -> Report:
    """Metrics for all, women and men, with intervals, as `hf-cushing evaluate`.

    Parameters
    ----------
    runs : str, Path, Run, or a sequence of these
        Run folder or Hub id; several folds are pooled.
    out : str or Path, optional
        Report folder to make; without it nothing is written.
    dataset : str, optional
        Dataset to score; without it the recorded predictions are taken.
    against : sequence
        Runs of another model on the same photos.
    cpu : bool
        Do not use an accelerator.
    **options
        Fields of `hf_cushing.evaluation.options.EvaluationOptions`.

    Raises
    ------
    UserError
        Also if a photo to be scored was trained on.
    UsageError
    """
    from hf_cushing.evaluation.command import evaluate_into
    from hf_cushing.evaluation.options import EvaluationOptions
    from hf_cushing.training.environment import quiet_libraries

    several = isinstance(runs, Sequence) and not isinstance(runs, str)
    with quiet_libraries():
        return evaluate_into(
            Path(out) if out else None,
            [_run(run) for run in (runs if several else [runs])],
            _record(EvaluationOptions, options),
            dataset=dataset, against=[_run(run) for run in against], cpu=cpu,
        )  # fmt: skip


def predict(
    run: str | Path | Run,
    photos: str | Path | Sequence[str | Path],
    *,
    sex: str = "unknown",
    **options: Any,
) -> list[Row]:
    """Find the face in each photo and answer for it, as `hf-cushing predict`. Research use only.

    Parameters
    ----------
    run : str, Path or Run
    photos : str, Path, or a sequence of these
        Photographs, folders of them, or tables with ``file_name`` and ``sex``.
    sex : str
        Of those whose sex no table states: ``female``, ``male``, ``unknown``.
    **options
        As `hf_cushing.Predictor` takes them: `on_several`, `prevalence`, `cpu`.

    Returns
    -------
    list of Row
        Its ``answer`` (label or ``uncertain``, probabilities, thresholds, warnings), or None and
        the ``message`` that says why there is none.

    Raises
    ------
    UserError
        No such run, a folder without photos, a faulty table.
    """
    from hf_cushing.predict.answer import Predictor
    from hf_cushing.predict.batch import photo_sources, rows_of
    from hf_cushing.training.environment import quiet_libraries

    paths = [photos] if isinstance(photos, (str, Path)) else photos
    sources = photo_sources([Path(path) for path in paths], sex)
    with quiet_libraries():
        return list(rows_of(Predictor(_run(run), **options), sources))


def _run(name: str | Path | Run) -> Run:
    from hf_cushing.run import Run

    return name if isinstance(name, Run) else Run(str(name))


def _record(kind: type, options: dict[str, Any]) -> Any:
    """A command's options as its dataclass."""
    from dataclasses import fields

    _check_names(options, [item.name for item in fields(kind)])
    return kind(**options)


def _check_names(options: dict[str, Any], known: Any) -> None:
    from hf_cushing.config import name_problems
    from hf_cushing.schema import UsageError

    if problems := name_problems(options, known):
        raise UsageError("; ".join(problems))
