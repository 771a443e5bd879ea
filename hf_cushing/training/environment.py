"""What a run was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

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
    import os

    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"cpu cores": str(os.cpu_count()), "accelerators": ", ".join(gpus) or "none"}


def quiet_libraries() -> None:
    """Switch off the libraries' loading bars and notes; their errors still come as exceptions."""
    import os
    import sys

    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    hub_logging.set_verbosity_error()
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    if "datasets" in sys.modules:  # it has read that already; it takes a second to import
        sys.modules["datasets"].disable_progress_bars()
