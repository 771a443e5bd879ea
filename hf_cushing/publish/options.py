"""The options of `publish`, checked before any work."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass
from difflib import get_close_matches
from pathlib import Path

from hf_cushing.config.option import option
from hf_cushing.schema import UsageError

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
COLLECTION = "Face models made with hf-cushing"
"""One collection links all that an owner publishes, unless another title is given."""

LICENSES = {
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m",
    "bigscience-bloom-rail-1.0", "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0",
    "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0",
    "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
    "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0",
    "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "agpl-3.0", "gfdl", "gpl", "gpl-2.0",
    "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "isc", "lppl-1.3c", "ms-pl", "mpl-2.0",
    "odc-by", "odbl", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense",
    "zlib", "pddl", "lgpl-lr", "deepfloyd-if-license", "llama2", "gemma", "unknown", "other",
}  # fmt: skip
"""The ids that the Hub's documentation lists."""

REPO, FACTS = "Repo on the Hub", "What the card says"


@dataclass(frozen=True, kw_only=True)
class PublishOptions:
    """Where something goes, and how the repo is to be.

    Raises
    ------
    UsageError
        An id of a repo or of a licence that is none, or an empty reason.
    """

    repo_id: str = option(MISSING, "OWNER/NAME on the Hub.")
    public: bool = option(False, "Let everybody see it; private otherwise.", group=REPO)
    license: str = option(
        "", "Such as cc-by-nc-4.0; goes into the card. The gate wants one.", group=FACTS
    )
    override: str | None = option(
        None,
        "Publish in spite of the gate, and over files that aren't ours; the card says why.",
        group=REPO,
        metavar="REASON",
    )
    tag: str | None = option(None, "Name of this version; otherwise v1, v2, …", group=REPO)
    collection: str = option(
        COLLECTION, "Title of your collection that links the repos; '' for none.", group=REPO
    )

    def __post_init__(self):
        check_repo_id(self.repo_id)
        if self.license and self.license not in LICENSES:
            near = get_close_matches(self.license.lower(), LICENSES, n=3) or ["cc-by-nc-4.0"]
            raise UsageError(
                f"--license {self.license}: the Hub has no such id; give {' or '.join(near)}, or "
                "'other'"
            )
        if self.override is not None and not self.override.strip():
            raise UsageError("--override needs a reason; it is written into the card")


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(PublishOptions):
    """What a dataset is published with, see `PublishOptions`."""

    context: bool = option(
        False,
        "Publish the wide views too; clothes, rooms and passers-by identify more than a face.",
        group=REPO,
    )


@dataclass(frozen=True, kw_only=True)
class ModelOptions(PublishOptions):
    """What a model is published with, see `PublishOptions`."""

    dataset: Path | None = option(
        None,
        "Dataset folder of the run: the model must score it again, and the card says whose it is.",
        group=FACTS,
    )
    dataset_id: str = option(
        "", "That dataset on the Hub; by default where the run had it from.", group=FACTS
    )
    base_model: str = option(
        "", "Hub id of the pretrained model, where the run had it from a folder.", group=FACTS
    )
    code_url: str = option(
        "",
        "Address of the git repository of hf-cushing, for the card's install line; by default "
        "where it was installed from.",
        group=FACTS,
    )
    explain: Path | None = option(
        None, "Folder of `hf-cushing explain`: where the model looks.", group=FACTS
    )
    followup: Path | None = option(
        None, "Folder of `hf-cushing followup`: which change over time is real.", group=FACTS
    )
    predictions: bool = option(
        True, "Send the scores of each test and validation photo, which name nobody.", group=REPO
    )
    ungated: bool = option(
        False,
        "Let whoever sees the repo have a model that learned from people, without asking you.",
        group=REPO,
    )
    align_on_hub: bool = option(
        False,
        "Add code that aligns faces on the Hub, for trust_remote_code=True and Inference "
        "Endpoints; without either it isn't run.",
        group=REPO,
    )

    def __post_init__(self):
        super().__post_init__()
        for repo_id in filter(None, (self.dataset_id, self.base_model)):
            check_repo_id(repo_id)


@dataclass(frozen=True, kw_only=True)
class SpaceOptions(PublishOptions):
    """What a Space is published with, see `PublishOptions`.

    A Space's own model doesn't pass the gate, so it must have been trained on drawn faces.

    Raises
    ------
    UsageError
        Also a token without a model to read.
    """

    model_id: str | None = option(
        None,
        "OWNER/NAME of the published model; without it the run goes into the Space, if it was "
        "trained on drawn faces.",
    )
    space_token: str = option(
        "",
        "Token that may read a private or gated model and nothing else: becomes the Space's "
        "secret HF_TOKEN. Better given as HF_SPACE_TOKEN: the command line is kept in a history.",
        repr=False,
        metavar="TOKEN",
        envvar="HF_SPACE_TOKEN",
        group=REPO,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.model_id is not None:
            check_repo_id(self.model_id)
        elif self.space_token:
            raise UsageError("--space-token is for a Space that reads a model: give --model-id")


def check_repo_id(repo_id: str) -> None:
    """Refuse what can't be the id of a repo."""
    if not REPO_ID.fullmatch(repo_id):
        raise UsageError(f"'{repo_id}' is no repo id; give OWNER/NAME")
