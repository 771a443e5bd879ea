"""Which weights learn: the head, the last blocks, low-rank adapters, or everything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from hf_cushing.config import ModelConfig
from hf_cushing.schema import UsageError, UserError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

BLOCK_NAME = re.compile(r"(Layer|Block|Bottleneck)$")
ATTENTION_NAMES = ("q_proj", "v_proj", "query", "value", "qkv", "q", "v")
BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)
FEW_PATIENTS = 300
"""Below this the adapters' rank is 8 instead of 16."""


def head_module(model: nn.Module) -> nn.Module:
    """The classification head: what is new when a model is adapted to our labels.

    Raises
    ------
    UserError
        The network keeps it elsewhere than transformers' and timm's do.
    """
    if hasattr(model, "classifier"):
        return model.classifier
    if hasattr(model, "timm_model"):
        return model.timm_model.get_classifier()
    raise UserError(
        f"{type(model).__name__} keeps its head under a name of its own, so it can't be told from "
        "the backbone; choose another --model"
    )


def head_linear(model: nn.Module) -> nn.Linear:
    """The linear layer that gives the logits.

    Raises
    ------
    UsageError
        The head has none with a bias, or several.
    """
    layers = [layer for layer in head_module(model).modules() if isinstance(layer, nn.Linear)]
    if len(layers) != 1 or layers[0].bias is None:
        raise UsageError(
            f"the head of this {type(model).__name__} is no single linear layer with a bias, so it "
            "can neither be fitted on features nor calibrated; give --calibration none, and a "
            "--finetune other than head and lp-ft"
        )
    return layers[0]


def head_names(model: nn.Module) -> set[str]:
    """Names of the head's parameters."""
    head = {id(parameter) for parameter in head_module(model).parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in head}


def adapt(model: PreTrainedModel, config: ModelConfig, *, patients: int, side: int) -> nn.Module:
    """Leave trainable what `config.finetune` says; a model with adapters comes back wrapped.

    Weights that don't take part in the answer, such as DINOv2's mask token, are frozen always:
    they get no gradient, which distributed training refuses.

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place.
    config : ModelConfig
    patients : int
        In training: it decides the default rank of adapters.
    side : int
        Of the input, pixels.

    Raises
    ------
    UserError
        A network whose blocks can't be told, or with fewer blocks than asked for.
    """
    if config.finetune == "lora":
        model = _add_adapters(model, config, patients)
    elif config.finetune in ("head", "last_n"):
        learn = head_names(model)
        if config.finetune == "last_n":
            learn |= _last_names(model, config.last_n)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in learn)
    _freeze_unreached(model, side)
    return model


def _freeze_unreached(model: nn.Module, side: int) -> None:
    """Freeze what gets no gradient from the answer to one grey image."""
    was_training = model.training
    device = next(model.parameters()).device
    try:
        with torch.enable_grad():
            model.eval()(
                pixel_values=torch.zeros(1, 3, side, side, device=device)
            ).logits.sum().backward()
    except AttributeError as error:
        raise UserError(
            f"this network can't be adapted ({error}); choose --finetune last_n or full"
        ) from error
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.requires_grad_(False)
        parameter.grad = None
    model.train(was_training)


def blocks(model: nn.Module) -> list[str]:
    """Names of the network's blocks, first to last: what its depth is counted in.

    They are the outermost modules whose class is called a layer or block and comes more than
    once: transformer layers, residual blocks, dense blocks.
    """
    candidates = list(_outermost(model, ""))
    often = Counter(kind for _, kind in candidates)
    return [name for name, kind in candidates if often[kind] > 1]


def _outermost(module: nn.Module, prefix: str) -> Iterator[tuple[str, str]]:
    for name, child in module.named_children():
        kind, path = type(child).__name__, f"{prefix}{name}"
        if BLOCK_NAME.search(kind) and any(True for _ in child.parameters()):
            yield path, kind
        else:
            yield from _outermost(child, path + ".")


def depth_of(model: nn.Module) -> dict[str, int]:
    """For each parameter of the backbone, how many blocks lie between it and the head.

    0 for the last block and what follows it; what lies before the first block is one deeper
    than the first block.

    Raises
    ------
    UserError
        The network's blocks can't be told.
    """
    names = blocks(model)
    if not names:
        raise UserError(
            f"the blocks of this {type(model).__name__} can't be told from its modules; choose "
            "--finetune full without --layer_decay, or --finetune head"
        )
    depths, current = {}, len(names)
    head = head_names(model)
    for name, _ in model.named_parameters():
        inside = [k for k, block in enumerate(names) if name.startswith(block + ".")]
        current = len(names) - 1 - inside[0] if inside else current
        if name not in head:
            depths[name] = current
    return depths


def _last_names(model: nn.Module, count: int) -> set[str]:
    depths = depth_of(model)
    number = len(blocks(model))
    if count > number:
        raise UserError(
            f"--last_n {count}: this network has {number} blocks; give 1 to {number}, "
            "or --finetune full"
        )
    return {name for name, depth in depths.items() if depth < count}


def _add_adapters(model: PreTrainedModel, config: ModelConfig, patients: int) -> PeftModel:
    """Wrap the model; its head and batch statistics learn and are saved with the adapters."""
    from peft import LoraConfig, get_peft_model

    rank = config.lora_rank or (8 if patients < FEW_PATIENTS else 16)
    head = head_module(model)
    whole = [name for name, module in model.named_modules() if module is head]
    whole += [name for name, module in model.named_modules() if isinstance(module, BATCH_NORMS)]
    options = LoraConfig(
        r=rank,
        lora_alpha=config.lora_alpha or rank,
        lora_dropout=config.lora_dropout,
        target_modules=adapter_targets(model),
        modules_to_save=whole,
    )
    return get_peft_model(model, options)


def adapter_targets(model: nn.Module) -> list[str]:
    """Names of the modules that get an adapter, found in the module tree.

    Queries and values of attention; in a convolutional network all plain, ungrouped convolutions
    of its blocks; elsewhere all linear layers of the blocks. Subclasses, such as convolutions that
    standardise their weights, are left out: merged adapters would mean something else in them.

    Raises
    ------
    UserError
        There is none of these.
    """
    inside = tuple(f"{name}." for name in blocks(model))
    modules = [(n, m) for n, m in model.named_modules() if n.startswith(inside)]
    linear = [name for name, module in modules if type(module) is nn.Linear]
    attention = [name for name in linear if name.rsplit(".", 1)[-1] in ATTENTION_NAMES]
    convolutions = [n for n, m in modules if type(m) is nn.Conv2d and m.groups == 1]
    if not (attention or convolutions or linear):
        raise UserError(
            f"no block of this {type(model).__name__} has a layer that could take an adapter; "
            "choose --finetune last_n or full"
        )
    return attention or convolutions or linear


def keep_frozen_in_eval(module: nn.Module, *, batch_norms: bool = False) -> None:
    """Put what learns nothing into evaluation mode: no dropout, fixed batch statistics.

    A module without parameters, such as a dropout layer, goes with the module that holds it. With
    `batch_norms` all batch norms keep their statistics, though gain and shift may learn.
    """
    for child in module.children():
        parameters = list(child.parameters())
        learns = any(parameter.requires_grad for parameter in parameters)
        if (parameters and not learns) or (batch_norms and isinstance(child, BATCH_NORMS)):
            child.eval()
        else:
            keep_frozen_in_eval(child, batch_norms=batch_norms)


def describe(model: nn.Module) -> dict[str, int | str]:
    """Family and numbers of parameters, for the manifest."""
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    return {
        "model_type": model.config.model_type,
        "parameters": sum(size for size, _ in sizes),
        "trainable": sum(size for size, trained in sizes if trained),
    }
