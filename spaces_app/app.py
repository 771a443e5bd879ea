"""Starts the Space; the setting `MODEL_ID` names another model than the one written here."""

from pathlib import Path

from hf_cushing.app.app import main

MODEL_ID = ""

main(MODEL_ID, embedded=Path(__file__).parent / "model")
