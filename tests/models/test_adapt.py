import pytest
import torch
from torch import nn

from hf_cushing.config import ModelConfig
from hf_cushing.models.adapt import (
    adapt,
    adapter_targets,
    blocks,
    depth_of,
    describe,
    head_module,
    head_names,
    keep_frozen_in_eval,
)
from hf_cushing.models.build import build_classifier
from hf_cushing.schema import UserError
from tests.models.test_build import LABELS, TINY, picture


def method(finetune, **options):
    return ModelConfig(model="m", finetune=finetune, **options)


def learning(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", TINY)
def test_frozen_backbone_leaves_the_head_alone_to_learn(name):
    model = build_classifier(name, LABELS, init="random").model
    adapt(model, method("head"), patients=9, side=64)
    expected = sum(p.numel() for p in head_module(model).parameters())
    assert describe(model)["trainable"] == expected > 0


@pytest.mark.parametrize("name", TINY)
def test_full_training_reaches_every_trainable_parameter(name):
    built = build_classifier(name, LABELS, init="random")
    adapt(built.model, method("full"), patients=9, side=64)
    inputs = built.processor([picture(), picture((200, 256))], return_tensors="pt")
    built.model.train()(**inputs).logits.square().sum().backward()
    unreached = [n for n, p in built.model.named_parameters() if p.requires_grad and p.grad is None]
    assert not unreached


def test_frozen_batch_statistics_do_not_move_in_training():
    built = build_classifier("tiny-resnet", LABELS, init="random")
    adapt(built.model, method("head"), patients=9, side=64)
    before = {k: v.clone() for k, v in built.model.state_dict().items() if "running" in k}
    built.model.train()
    keep_frozen_in_eval(built.model)
    built.model(**built.processor(picture(), return_tensors="pt"))
    after = built.model.state_dict()
    assert before
    assert all(torch.equal(after[k], v) for k, v in before.items())


def test_training_everything_keeps_dropout_and_stochastic_depth():
    model = build_classifier("tiny-swin", LABELS, init="random", drop_path=0.1).model
    adapt(model, method("full"), patients=9, side=64)
    model.train()
    keep_frozen_in_eval(model)
    assert not [name for name, module in model.named_modules() if not module.training]


def test_frozen_backbone_has_no_dropout():
    model = build_classifier("tiny-swin", LABELS, init="random", drop_path=0.1).model
    adapt(model, method("head"), patients=9, side=64)
    model.train()
    keep_frozen_in_eval(model)
    assert not [name for name, module in model.swin.named_modules() if module.training]
    assert model.classifier.training


@pytest.mark.parametrize(
    ("name", "count"),
    [("tiny-vit", 3), ("tiny-swin", 4), ("tiny-dinov2", 3), ("tiny-resnet", 4),
     ("tiny-densenet", 4)],
)  # fmt: skip
def test_blocks_are_found_in_the_module_tree(name, count):
    assert len(blocks(build_classifier(name, LABELS, init="random").model)) == count


@pytest.mark.parametrize("name", TINY)
def test_depth_counts_from_the_head(name):
    model = build_classifier(name, LABELS, init="random").model
    depths, names = depth_of(model), blocks(model)
    assert set(depths) == {n for n, _ in model.named_parameters()} - head_names(model)
    assert {depths[n] for n in depths if n.startswith(names[-1] + ".")} == {0}
    assert {depths[n] for n in depths if n.startswith(names[0] + ".")} == {len(names) - 1}
    assert next(iter(depths.values())) == len(names)
    assert list(depths.values()) == sorted(depths.values(), reverse=True)


@pytest.mark.parametrize("name", TINY)
def test_last_n_trains_the_last_blocks_and_the_head(name):
    model = build_classifier(name, LABELS, init="random").model
    adapt(model, method("last_n", last_n=1), patients=9, side=64)
    first, last = blocks(model)[0], blocks(model)[-1]
    names = learning(model)
    assert head_names(model) < names
    assert not [n for n in names if n.startswith(first + ".")]
    inside = {n for n, _ in model.named_parameters() if n.startswith(last + ".")}
    assert inside <= names


def test_more_blocks_than_there_are_is_refused():
    model = build_classifier("tiny-vit", LABELS, init="random").model
    with pytest.raises(UserError, match="has 3 blocks; give 1 to 3"):
        adapt(model, method("last_n", last_n=4), patients=9, side=64)


class Shapeless(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.classifier = nn.Linear(4, 2)


def test_network_without_blocks_is_refused_with_the_way_out():
    with pytest.raises(UserError, match="--finetune full without --layer_decay"):
        adapt(Shapeless(), method("last_n"), patients=9, side=64)
    with pytest.raises(UserError, match="has a layer that could take an adapter"):
        adapt(Shapeless(), method("lora"), patients=9, side=64)


def test_adapters_go_to_queries_and_values_or_to_convolutions():
    for name in ("tiny-vit", "tiny-swin", "tiny-dinov2"):
        targets = adapter_targets(build_classifier(name, LABELS, init="random").model)
        assert {t.rsplit(".", 1)[1] for t in targets} == {"q_proj", "v_proj"}
    for name in ("tiny-resnet", "tiny-densenet"):
        model = build_classifier(name, LABELS, init="random").model
        assert all(isinstance(model.get_submodule(t), nn.Conv2d) for t in adapter_targets(model))


@pytest.mark.parametrize(("patients", "rank"), [(299, 8), (300, 16)])
def test_rank_follows_the_number_of_patients(patients, rank):
    model = build_classifier("tiny-vit", LABELS, init="random").model
    assert adapt(model, method("lora"), patients=patients, side=64).peft_config["default"].r == rank


@pytest.mark.parametrize("name", TINY)
def test_merged_adapters_and_reloaded_ones_answer_like_the_trained_model(name, tmp_path):
    from peft import PeftModel

    torch.manual_seed(0)
    built = build_classifier(name, LABELS, init="random")
    base = {k: v.clone() for k, v in built.model.state_dict().items()}
    model = adapt(built.model, method("lora", lora_rank=4), patients=9, side=64)
    inputs = built.processor([picture(), picture((200, 256))], return_tensors="pt")
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.02)
    model.train()
    for _ in range(3):
        model(**inputs).logits.square().sum().backward()
        optimizer.step()
    trained = model.eval()(**inputs).logits
    model.save_pretrained(tmp_path)
    merged = model.merge_and_unload()
    assert torch.allclose(merged.eval()(**inputs).logits, trained, atol=1e-5)
    fresh = build_classifier(name, LABELS, init="random").model
    fresh.load_state_dict(base)
    assert not torch.allclose(fresh.eval()(**inputs).logits, trained, atol=1e-3)
    again = PeftModel.from_pretrained(fresh, tmp_path).eval()
    assert torch.allclose(again(**inputs).logits, trained, atol=1e-5)


def test_stochastic_depth_is_off_unless_asked_for():
    assert build_classifier("tiny-swin", LABELS, init="random").model.config.drop_path_rate == 0
    with pytest.raises(UserError, match=r"a vit has none; leave the option out"):
        build_classifier("tiny-vit", LABELS, init="random", drop_path=0.1)


def other(kind, **settings):
    """A tiny network of a family that isn't in the table."""
    from transformers import AutoConfig, AutoModelForImageClassification

    config = AutoConfig.for_model(kind, num_labels=3, **settings)
    return AutoModelForImageClassification.from_config(config)


def test_weights_that_take_no_part_are_frozen():
    model = build_classifier("tiny-dinov2", LABELS, init="random").model
    model.dinov2.unused = nn.Linear(2, 2)
    adapt(model, method("full"), patients=9, side=56)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"dinov2.embeddings.mask_token", "dinov2.unused.weight", "dinov2.unused.bias"}
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("convnext", {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 2, 1]}),
        ("beit", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                  "intermediate_size": 64, "image_size": 64, "patch_size": 16}),
        ("regnet", {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 2, 1],
                    "groups_width": 8}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("finetune", ["head", "last_n", "lora", "full"])
def test_other_families_of_the_hub_adapt_too(kind, settings, finetune):
    model = adapt(other(kind, **settings), method(finetune, last_n=1) if finetune == "last_n"
                  else method(finetune), patients=9, side=64)  # fmt: skip
    model.train()(pixel_values=torch.randn(2, 3, 64, 64)).logits.sum().backward()
    unreached = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert learning(model)
    assert not unreached


def test_convolutions_that_standardise_their_weights_take_no_adapter():
    model = other("bit", embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1],
                  num_groups=4)  # fmt: skip
    with pytest.raises(UserError, match="could take an adapter; choose --finetune last_n or full"):
        adapt(model, method("lora"), patients=9, side=64)


def test_network_whose_head_has_another_name_is_refused():
    with pytest.raises(UserError, match="keeps its head under a name of its own"):
        head_module(nn.Sequential(nn.Linear(2, 2)))
