"""What the tests of uploading share: a small model's folder, and what a repo holds."""

from functools import partial

from hf_cushing.publish import hub as publishing
from hf_cushing.publish.hub import planned_files
from hf_cushing.publish.staging import Staged

WEIGHTS, TABLE = b"\0weights" * 999, b"PAR1\0table"

upload = partial(publishing.upload, collection="Faces")


def small_model(folder):
    """Two small files, and two that go as large ones."""
    (folder / "figures").mkdir(parents=True)
    (folder / "README.md").write_text(
        "---\nlicense: apache-2.0\ntags: [hf-cushing]\n---\n# Model\n"
    )
    (folder / "figures" / "roc.svg").write_text("<svg/>")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "predictions.parquet").write_bytes(TABLE)
    return Staged(
        kind="model", repo_id="me/x", folder=folder, private=True, gated=False, findings=()
    )


def held(hub, repo_id="me/x", kind="model"):
    """Content of a repo's files, without the Hub's own."""
    files = hub.repo(repo_id, kind).files.items()
    return {path: file.content for path, file in files if path != ".gitattributes"}


def local(staged):
    return {name: (staged.folder / name).read_bytes() for name in planned_files(staged.folder)}
