"""Starts the Space; the setting `MODEL_ID` names another model than the one written here."""

import os
import sys
import tempfile
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036  what a Space runs, unless told
    raise SystemExit(
        "hf-cushing needs Python 3.11 or newer: write `python_version: '3.11'` into the Space's "
        "README.md"
    )

if not os.access(Path.home(), os.W_OK):  # else the model could not be fetched
    os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="hf-home-"))

from hf_cushing.app.app import main

MODEL_ID = ""

main(MODEL_ID, embedded=Path(__file__).parent / "model")
