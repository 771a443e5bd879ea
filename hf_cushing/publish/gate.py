"""The gate: reasons not to publish a folder, each with the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hf_cushing.publish import rules_files, rules_model, rules_photos, rules_words
from hf_cushing.publish.staged import Finding, Staged

KINDS = ("model", "dataset", "space")


@dataclass(frozen=True)
class Rule:
    """A rule: which repos it is for, what finds faults, and what to do about them."""

    name: str
    kinds: tuple[str, ...]
    faults: Callable[[Staged], Iterator[str]]
    remedy: str


RULES = (
    Rule("licence", KINDS, rules_files.licence, "give --license, such as cc-by-nc-4.0"),
    Rule("notice", KINDS, rules_files.notice, "put the research notice back into README.md"),
    Rule("patient in two splits", ("model",), rules_model.crossing,
         "correct the table, then prepare and train again"),
    Rule("patient in two splits", ("dataset",), rules_photos.crossing,
         "look at audit.html; prepare again, without --no-merge-identities, or correct the table"),
    Rule("counts", ("model",), rules_model.counts,
         "run training again, so that metrics.json and predictions.parquet fit each other"),
    Rule("threshold", ("model",), rules_model.threshold,
         "choose the threshold on validation: train again, or `hf-cushing evaluate`"),
    Rule("weights", ("model",), rules_model.weights,
         "publish the run as training left it; its figures belong to its weights"),
    Rule("image metadata", KINDS, rules_photos.image_metadata,
         "make the images again with `hf-cushing prepare`, which removes EXIF and file names"),
    Rule("columns", ("dataset",), rules_photos.columns,
         "prepare again, without --keep-column; publish wide views with --context only"),
    Rule("free text", ("dataset",), rules_photos.free_text,
         "prepare again: --number-visits for dates of visits, --map for other text"),
    Rule("free text", ("model",), rules_model.free_text,
         "stage the run again; only scores, classes, sex and numbers may go"),
    Rule("free text", ("model",), rules_words.model_words,
         "rename the run's, model's or dataset's folder, or train again: nothing else may stand "
         "in these files"),
    Rule("free text", ("model",), rules_words.weights_say_nothing,
         "save the weights again, without metadata"),
    Rule("patient ids", ("dataset",), rules_photos.patient_ids,
         "prepare again with --hash-ids SALT, and keep the salt at the clinic"),
    Rule("datasheet", ("dataset",), rules_photos.datasheet,
         "prepare again with --datasheet FILE (the form is configs/datasheet.yaml)"),
    Rule("consent", ("model",), rules_photos.consent,
         "leave the repo private, or give --dataset, prepared with --datasheet FILE"),
    Rule("public photographs", KINDS, rules_photos.public_photographs,
         "leave the repo private; whoever may see faces is let in one by one"),
    Rule("ungated photographs", KINDS, rules_photos.ungated_photographs,
         "leave the repo gated, so that nobody has the faces without saying who they are"),
    Rule("pickle", KINDS, rules_files.pickles, "keep weights as safetensors and tables as Parquet"),
    Rule("remote code", ("model", "dataset"), rules_files.remote_code,
         "publish a plain model: no code and no auto_map; --align-on-hub adds ours"),
    Rule("traces of this machine", KINDS, rules_files.traces,
         "take paths, user and host names and tokens out of the run's files"),
    Rule("app", ("space",), rules_files.app, "install hf-cushing again: a part of it is missing"),
    Rule("dataset id", ("model",), rules_model.dataset_id,
         "publish the dataset first, check --dataset-id and the token"),
    Rule("reproduces", ("model",), rules_model.reproduces,
         "give --dataset with the dataset of the run, and publish the run as training left it"),
)  # fmt: skip


def check(staged: Staged) -> tuple[Finding, ...]:
    """All reasons not to publish, in the order of the rules; none: it is safe by these rules."""
    return tuple(
        Finding(rule.name, message, rule.remedy)
        for rule in RULES
        if staged.kind in rule.kinds
        for message in rule.faults(staged)
    )
