"""The settings of a saved model that its classes know; whatever else stands there plays no part."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any

PROCESSOR_SETTINGS = {
    "crop_size", "do_center_crop", "do_convert_rgb", "do_normalize", "do_rescale", "do_resize",
    "height", "image_mean", "image_processor_type", "image_std", "resample", "rescale_factor",
    "shortest_edge", "size", "width",
}  # fmt: skip
"""What `models.preprocessing.square_processor` saves."""

OWN_SETTINGS = {"average_mirrored"}
FREE = ("model_args", "pretrained_cfg")
"""Of timm's wrapper: these hold whatever the network's own function takes."""

ADAPTER_SETTINGS = {"auto_mapping", "base_model_class", "parent_library"}


def known_settings(file: str, content: dict[str, Any]) -> dict[str, Any]:
    """What of a saved model's JSON file is a setting of its class, at any depth.

    Parameters
    ----------
    file : str
        ``config.json``, ``preprocessor_config.json`` or ``adapter_config.json``.
    content : dict
        A config's `model_type` must be one of transformers' own.
    """
    if file == "preprocessor_config.json":
        return only(content, PROCESSOR_SETTINGS)
    if file == "adapter_config.json":
        from peft import LoraConfig

        return only(content, {item.name for item in fields(LoraConfig)} | ADAPTER_SETTINGS)
    from transformers import CONFIG_MAPPING

    words = content.get("id2label", {})
    labels = {number for number in words if number.isdecimal()} | set(words.values())
    default = CONFIG_MAPPING[content["model_type"]]().to_dict()
    return only(content, _names(default) | labels | OWN_SETTINGS, free=FREE)


def only(content: Any, names: Collection[str], *, free: Collection[str] = ()) -> Any:
    """JSON without the entries whose name isn't among `names`; all that is below `free` stays.

    >>> only({"size": [{"width": 3, "ward": 7}], "author": "Jane"}, {"size", "width"})
    {'size': [{'width': 3}]}
    """
    if isinstance(content, list):
        return [only(item, names, free=free) for item in content]
    if not isinstance(content, dict):
        return content
    known = {name: value for name, value in content.items() if name in names or name in free}
    return {n: v if n in free else only(v, names, free=free) for n, v in known.items()}


def _names(content: Any) -> set[str]:
    if not isinstance(content, dict):
        return set()
    return set(content).union(*map(_names, content.values()))
