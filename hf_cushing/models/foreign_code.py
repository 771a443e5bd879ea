"""Code that a model's files ask for: found by name and refused, never run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hf_cushing.schema import UserError

ALIGNMENT = {"AutoImageProcessor": "hf_cushing_alignment.AlignedImageProcessor"}
"""The `auto_map` of a model published with ``--align-on-hub``. It is for transformers with
``trust_remote_code=True``; here faces are aligned anyway, and it isn't used."""

CODE_SETTINGS = ("auto_map", "custom_pipelines")
KERNEL_SETTINGS = ("attn_implementation", "experts_implementation")
BUILT_IN = (None, "eager", "sdpa", "flex_attention", "grouped_mm", "batched_mm")
"""Implementations that come with transformers; another may be fetched from the Hub as code."""


def asked_code(content: Any) -> Iterator[str]:
    """Settings of a config, at any depth, by which transformers would run further code.

    >>> list(asked_code({"vision_config": {"_attn_implementation": "somebody/kernel"}}))
    ['_attn_implementation somebody/kernel']
    """
    if isinstance(content, list):
        for item in content:
            yield from asked_code(item)
    if not isinstance(content, dict):
        return
    for name, value in content.items():
        plain = name.strip("_").removesuffix("_internal")
        if name in CODE_SETTINGS:
            yield name
        elif plain in KERNEL_SETTINGS:
            values = value.values() if isinstance(value, dict) else [value]
            yield from (f"{name} {one}" for one in values if one not in BUILT_IN)
        else:
            yield from asked_code(value)


def refuse_foreign_code(source: str, revision: str | None = None) -> None:
    """Refuse a model whose files ask for code, before anything of it is loaded.

    Parameters
    ----------
    source : str
        Folder or Hub id.
    revision : str, optional

    Raises
    ------
    UserError
        Names the file and the setting.
    OSError
        There is no ``config.json``.
    """
    from transformers import ImageProcessingMixin, PreTrainedConfig

    config, _ = PreTrainedConfig.get_config_dict(source, revision=revision)
    processor: dict[str, Any] = {}
    with suppress(OSError):  # timm's models have none
        processor, _ = ImageProcessingMixin.get_image_processor_dict(source, revision=revision)
    if processor.get("auto_map") == ALIGNMENT:
        del processor["auto_map"]
    for file, content in {"config.json": config, "preprocessor_config.json": processor}.items():
        for setting in asked_code(content):
            raise UserError(
                f"{source}: its {file} asks for code of its own ({setting}), and no model's code "
                "is run here; take that out of the file, or choose another model"
            )
