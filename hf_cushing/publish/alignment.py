"""The only code that a published model may carry: it aligns the face on the reader's machine.

An image processor for ``trust_remote_code=True``, and a handler for Inference Endpoints. Both are
thin callers of hf-cushing, and are known by their SHA-256.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from hf_cushing.files import sha256_file, write_json
from hf_cushing.models.foreign_code import ALIGNMENT

SOURCE = Path(__file__).parent / "hub_code"
CODE = {
    "handler.py": "4845f244e4a77772fe1f844ed46c1f5f74f055baa29d53b879e8873891179f38",
    "hf_cushing_alignment.py": "fd8e05e393c210bc258cc63e11830b3c4ccfdb8bf2cda24a59f60bf485f6ed87",
    "requirements.txt": "df7103fba98fccef7233854af0e2acf383b1c3ca44e808c7f28c4856dbc861f8",
}
"""Names and digests of the files; a change to one must be meant, and is made here, too."""

PROCESSOR, NO_VIDEO = "preprocessor_config.json", "video_preprocessor_config.json"


def add_alignment(folder: Path) -> None:
    """Let a staged model align by itself where its reader trusts remote code.

    transformers' `pipeline` also looks for a processor of videos, and would take our `auto_map`
    for one and ask on standard input: an empty config of its own keeps it from that.
    """
    for name in CODE:
        shutil.copyfile(SOURCE / name, folder / name)
    processor = json.loads((folder / PROCESSOR).read_text(encoding="utf-8"))
    write_json(folder / PROCESSOR, processor | {"auto_map": ALIGNMENT})
    write_json(folder / NO_VIDEO, {})


def is_own_code(name: str, path: Path) -> bool:
    """Whether this is, byte for byte, a file of ours under its own name."""
    return name in CODE and sha256_file(path) == CODE[name]
