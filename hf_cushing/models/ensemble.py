"""The mean of several models as one network, where they share a frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import load_classifier
from hf_cushing.models.features import backbone_hash
from hf_cushing.schema import UserError


def average_heads(runs: Sequence[str | Path], out: Path) -> None:
    """Save a model whose logits are the means of those of `runs`.

    The mean of linear heads on one backbone is a linear head: the ensemble costs what a single
    model costs, and the plain pipeline loads it.

    Parameters
    ----------
    runs : sequence of path
        Run folders of one backbone and the same labels.
    out : Path
        Folder to fill with the model and its processor.

    Raises
    ------
    UserError
        The backbones differ.
    """
    first = load_classifier(str(runs[0]))
    backbone, labels = backbone_hash(first.model), first.model.config.id2label
    weights, biases = [], []
    for run in runs:
        member = load_classifier(str(run)).model
        if backbone_hash(member) != backbone or member.config.id2label != labels:
            raise UserError(
                f"{Path(run).name} has a backbone or labels of its own, so the mean of these "
                f"{len(runs)} models is no single network: it would cost {len(runs)} times the "
                "memory and time. Choose an arm whose backbone stays frozen (--finetune head)"
            )
        linear = head_linear(member)
        weights.append(linear.weight.detach().double())
        biases.append(linear.bias.detach().double())
    own = head_linear(first.model)
    with torch.no_grad():
        own.weight.copy_(torch.stack(weights).mean(0))
        own.bias.copy_(torch.stack(biases).mean(0))
    first.model.save_pretrained(out)
    first.processor.save_pretrained(out)
