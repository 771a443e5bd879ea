"""What the tests of uploading share: a small model's folder, and what a repo holds."""

from hf_cushing.publish.options import PublishOptions
from hf_cushing.publish.staged import Staged

WEIGHTS, TABLE = b"\0weights" * 999, b"PAR1\0table"


def small_model(folder):
    """Two small files, and two that go as large ones."""
    (folder / "figures").mkdir(parents=True)
    (folder / "README.md").write_text(
        "---\nlicense: apache-2.0\ntags: [hf-cushing]\n---\n# Model\n"
    )
    (folder / "figures" / "roc.svg").write_text("<svg/>")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "predictions.parquet").write_bytes(TABLE)
    options = PublishOptions(repo_id="me/x", collection="Faces")
    return Staged(kind="model", folder=folder, source=folder, options=options)


def held(hub, repo_id="me/x", kind="model"):
    """Content of a repo's files, without the Hub's own."""
    files = hub.repo(repo_id, kind).files.items()
    return {path: file.content for path, file in files if path != ".gitattributes"}


def local(staged):
    return {name: path.read_bytes() for name, path in staged.files.items()}
