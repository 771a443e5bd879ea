"""What a run was made with."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

DATASETS_BARS_OFF = "HF_DATASETS_DISABLE_PROGRESS_BARS"

PACKAGES = (
    "hf-cushing",
    "torch",
    "torchvision",
    "transformers",
    "accelerate",
    "peft",
    "scikit-learn",
    "datasets",
    "huggingface-hub",
    "timm",
    "dlib-bin",
    "numpy",
    "pillow",
)


def environment() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers; `absent` if not installed."""
    versions = {"python": platform.python_version(), "platform": platform.system()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return versions


def devices() -> dict[str, str]:
    """What training would run on."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"cpu cores": str(os.cpu_count()), "accelerators": ", ".join(gpus) or "none"}


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Switch off the libraries' loading bars and notes for a while; the caller's settings return.

    Their errors still come as exceptions. Where datasets is first imported meanwhile, which takes a
    second and isn't done for this, its bars stay off.
    """
    from huggingface_hub.utils import logging as hub
    from transformers.utils import logging as transformers

    levels = [(library, library.get_verbosity()) for library in (hub, transformers)]
    loaded = [transformers, *filter(None, [sys.modules.get("datasets")])]
    with_bars = [library for library in loaded if library.is_progress_bar_enabled()]
    for library, _ in levels:
        library.set_verbosity_error()
    for library in with_bars:
        library.disable_progress_bar()
    before = os.environ.get(DATASETS_BARS_OFF)
    os.environ[DATASETS_BARS_OFF] = "1"  # read when datasets is imported
    try:
        yield
    finally:
        for library, level in levels:
            library.set_verbosity(level)
        for library in with_bars:
            library.enable_progress_bar()
        if before is None:
            del os.environ[DATASETS_BARS_OFF]
        else:
            os.environ[DATASETS_BARS_OFF] = before
