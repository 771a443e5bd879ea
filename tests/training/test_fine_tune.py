import dataclasses
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from hf_cushing.data.loading import load_faces
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json
from hf_cushing.models.adapt import head_linear
from hf_cushing.models.build import load_classifier
from hf_cushing.run import Run
from hf_cushing.schema import UserError
from hf_cushing.training.cli import parse
from hf_cushing.training.fine_tune import fine_tune
from tests.conftest import shared, train_options


def test_run_folder_is_complete_and_holds_no_pickle(run):
    files = {path.name for path in run.rglob("*") if path.is_file()}
    assert files >= {
        "model.safetensors",
        "config.json",
        "preprocessor_config.json",
        "manifest.json",
        "predictions.parquet",
        "metrics.json",
        "metrics.md",
        "roc.png",
        "README.md",
    }
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert any("tfevents" in name for name in files)
    assert not (run / "checkpoints").exists()


def test_every_validation_and_test_photo_is_scored_exactly_once(run, dataset):
    predictions = load_predictions(run)
    for split, photos in load_faces(str(dataset)).roles.items():
        scored = sorted(predictions.photo_id[predictions.split == split].tolist())
        assert scored == ([] if split == "train" else sorted(photos["photo_id"]))


def test_manifest_tells_how_to_repeat_the_run(run, dataset):
    manifest = Run(run).finished_manifest
    assert manifest["config"]["training"]["epochs"] == 2
    assert manifest["dataset_revision"] == load_faces(str(dataset)).revision
    assert manifest["environment"]["torch"] in torch.__version__
    assert manifest["run"]["processes"] == 1
    assert str(dataset.parent) not in (run / "manifest.json").read_text()
    tested = load_predictions(run).of_split("test").photo_id.tolist()
    assert set(manifest["seen_photo_ids"]).isdisjoint(tested)


def test_card_has_the_notice_and_the_figures_of_metrics_json(run):
    card = (run / "README.md").read_text()
    assert "Research use only" in card
    rows = read_json(run / "metrics.json")["subgroups"]
    for row in rows:
        value = row["values"]["accuracy"]["estimate"]
        assert value is None or f"{value:.3f}" in card


def test_same_seed_gives_the_same_weights_and_another_seed_others(run, dataset, tmp_path):
    weights = [load_file(run / "model.safetensors")]
    for seed in ("0", "5"):
        options = train_options(dataset, tmp_path / seed, "--epochs", "2", "--seed", seed)
        fine_tune(parse(options))
        weights.append(load_file(tmp_path / seed / "model.safetensors"))
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert not all(torch.equal(weights[0][k], weights[2][k]) for k in weights[0])


def test_each_epoch_has_its_own_order_and_its_own_augmentations(dataset, tmp_path):
    options = ("--finetune", "head", "--head", "linear-sgd", "--augment", "light", "--epochs", "2")
    trainer = trainer_of(parse(train_options(dataset, tmp_path / "run", *options)))
    photos, seen = trainer.train_dataset, []
    draw = photos.__class__.__getitem__

    def watched(self, index):
        if self is photos:
            seen.append((self.epoch, index))
        return draw(self, index)

    with mock.patch.object(photos.__class__, "__getitem__", watched):
        trainer.train()
    count = len(trainer.order)
    assert [epoch for epoch, _ in seen] == [0] * count + [1] * count
    orders = []
    for epoch in (0, 1):
        trainer.order.set_epoch(epoch)
        orders += trainer.order
    assert [index for _, index in seen] == orders


@pytest.mark.parametrize("head", ["probe", "linear-sgd"])
def test_head_leaves_the_backbone_untouched(dataset, tmp_path, head):
    more = ("--finetune", "head", "--head", head, "--epochs", "1", "--seed", "3")
    options = train_options(dataset, tmp_path / "run", *more, model="tiny-dinov2")
    config = parse(options)
    from transformers import set_seed

    from hf_cushing.models.build import build_classifier, load_classifier

    set_seed(config.training.seed)
    before = build_classifier(
        "tiny-dinov2", ["control", "cushing"], init="random"
    ).model.state_dict()
    fine_tune(config)
    after = load_classifier(str(tmp_path / "run")).model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_finished_run_is_not_overwritten(run, dataset):
    with pytest.raises(UserError, match="holds a finished run"):
        fine_tune(parse(train_options(dataset, run)))


def test_launcher_that_runs_fewer_processes_than_asked_is_refused(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"asked for 2 processes but 1 run.*--processes 2"):
        fine_tune(parse(train_options(dataset, tmp_path / "r")))


def test_both_diseases_at_once_are_trained_and_reported(tmp_path):
    from hf_cushing.data.options import PrepareOptions
    from hf_cushing.data.prepare import prepare
    from hf_cushing.data.synthetic import CohortOptions, make_cohort

    cohort = CohortOptions(photos=36, diseases=("cushing", "acromegaly"), positive_share=0.6)
    make_cohort(tmp_path / "raw", tmp_path / "truth", cohort, num_proc=1)
    options = PrepareOptions(identity=False, folds=3)
    prepare(tmp_path / "raw", tmp_path / "dataset", options, num_proc=1)
    options = train_options(tmp_path / "dataset", tmp_path / "run", "--epochs", "1")
    report = fine_tune(parse(options))
    assert {row.label for row in report.subgroups} == {"cushing", "acromegaly", "macro"}
    assert Run(tmp_path / "run").finished_manifest["labels"] == ["control", "cushing", "acromegaly"]


def test_accumulated_steps_give_the_gradient_of_one_large_batch(dataset, tmp_path):
    weights, norms = [], []
    for size, steps in ((8, 1), (2, 4)):
        options = ("--batch_size", str(size), "--gradient_accumulation", str(steps))
        out = tmp_path / str(size)
        options = train_options(
            dataset, out, *options, "--epochs", "1", "--augment", "none", model="tiny-vit"
        )
        trainer = trainer_of(parse(options))
        trainer.train()
        norms.append(trainer.state.log_history[0]["grad_norm"])
        weights.append(trainer.model.state_dict())
    assert norms[1] == pytest.approx(norms[0], rel=1e-3)
    distance = [(weights[0][k] - weights[1][k]).abs().max().item() for k in weights[0]]
    assert max(distance) < 1e-4


def trainer_of(config):
    """The trainer of a run, set up as `fine_tune` does."""
    from transformers import set_seed

    from hf_cushing.models.adapt import adapt
    from hf_cushing.models.build import build_classifier
    from hf_cushing.training.descent import make_trainer

    set_seed(config.training.seed)
    data = load_faces(config.data.dataset)
    classifier = build_classifier(config.model.model, data.labels, init="random")
    model = adapt(classifier.model, config.model, patients=9, side=64)
    return make_trainer(config, data, classifier, model)


@pytest.mark.parametrize(
    "model", ["tiny-vit", pytest.param("tiny-dinov2", marks=pytest.mark.slow), "tiny-resnet"]
)
def test_best_epoch_is_the_one_that_is_saved(dataset, tmp_path, model):
    rates = ("--learning_rate", "0.01", "--head_learning_rate", "0.01", "--augment", "none")
    options = train_options(dataset, tmp_path / "run", *rates, "--epochs", "5", model=model)
    fine_tune(parse([*options, "--patience", "9"]))
    checked = load_predictions(tmp_path / "run").of_split("validation")
    expected = roc_auc_score(checked.label == "cushing", checked.score("cushing"))
    best = Run(tmp_path / "run").finished_manifest["run"]["best_auroc"]
    assert best == pytest.approx(expected, abs=1e-6)


def test_head_learned_on_features_equals_the_one_learned_on_photos(dataset, tmp_path):
    sgd = ("--finetune", "head", "--head", "linear-sgd", "--epochs", "3")
    options = train_options(dataset, tmp_path / "cached", *sgd, model="tiny-dinov2")
    config = parse(options)
    cached = trainer_of(config)
    cached.train()
    uncached_options = dataclasses.replace(config.training, output_dir=str(tmp_path / "uncached"))
    with mock.patch.object(type(config), "uses_features", False):
        uncached = trainer_of(dataclasses.replace(config, training=uncached_options))
        uncached.train()
    weights = [head_linear(trainer.model).weight.detach() for trainer in (cached, uncached)]
    assert torch.allclose(*weights, atol=1e-5)
    aurocs = [[e["eval_auroc"] for e in t.state.log_history if "eval_auroc" in e]
              for t in (cached, uncached)]  # fmt: skip
    assert aurocs[0] == pytest.approx(aurocs[1], abs=1e-6)


def test_folds_and_seeds_of_one_backbone_share_one_pass(dataset, tmp_path, monkeypatch):
    from hf_cushing.models import features

    passes = []
    original = features.FeatureStore._compute
    monkeypatch.setattr(
        features.FeatureStore,
        "_compute",
        lambda self, *args: (passes.extend(map(len, args[3])), original(self, *args))[1],
    )
    folder = shared("models/face-dinov2-tiny")
    for fold, seed in ((0, 0), (1, 5)):
        more = ("--finetune", "head", "--fold", str(fold), "--seed", str(seed), "--views", "1")
        out = tmp_path / f"{fold}-{seed}"
        options = ["--dataset", str(dataset), "--output_dir", str(out), "--model", str(folder)]
        fine_tune(parse([*options, "--cpu", "--bootstrap", "100", "--repeatability", "0", *more]))
    photos = sum(len(rows) for rows in load_faces(str(dataset)).roles.values())
    assert 0 < sum(passes) <= 3 * photos  # as they are, the further view, the wide view
    assert len(list((tmp_path / ".features").iterdir())) == 3


def test_lp_ft_starts_from_the_fitted_head(dataset, tmp_path):
    tiny = (
        "--framing",
        "aligned",
        "--learning_rate",
        "1e-12",
        "--head_learning_rate",
        "1e-12",
        "--epochs",
        "1",
    )
    heads = []
    for method, more in (("head", ()), ("lp-ft", tiny)):
        out = tmp_path / method
        options = train_options(dataset, out, "--finetune", method, *more, model="tiny-dinov2")
        fine_tune(parse(options))
        heads.append(load_file(out / "model.safetensors")["classifier.weight"])
    assert torch.allclose(*heads, atol=1e-6)


def test_lora_run_is_an_ordinary_model_with_its_adapter_beside_it(dataset, tmp_path):
    from peft import PeftModel
    from transformers import set_seed

    from hf_cushing.models.build import build_classifier, load_classifier

    out = tmp_path / "run"
    more = ("--finetune", "lora", "--epochs", "2", "--learning_rate", "0.05")
    fine_tune(parse(train_options(dataset, out, *more, model="tiny-vit")))
    assert str(tmp_path) not in (out / "adapter" / "adapter_config.json").read_text()
    merged = load_classifier(str(out)).model
    set_seed(0)
    base = build_classifier("tiny-vit", ["control", "cushing"], init="random").model.eval()
    pixels = torch.randn(3, 3, 64, 64)
    assert not torch.allclose(base(pixels).logits, merged(pixels).logits, atol=1e-3)
    adapted = PeftModel.from_pretrained(base, out / "adapter").eval()
    assert torch.allclose(adapted(pixels).logits, merged(pixels).logits, atol=1e-5)


def test_loss_that_is_no_number_stops_with_the_photos(dataset, tmp_path):
    options = train_options(
        dataset, tmp_path / "r", "--learning_rate", "1e30", "--head_learning_rate", "1e30"
    )
    with pytest.raises(UserError, match=r"not a number in update \d+, at the photos [0-9a-f]{16}"):
        fine_tune(parse([*options, "--max_grad_norm", "1e9"]))


def test_full_memory_is_told_with_a_smaller_batch(dataset, tmp_path, monkeypatch):
    from hf_cushing.training.trainer import FaceTrainer

    def full(*args, **kwargs):
        return torch.empty(2**60)

    monkeypatch.setattr(FaceTrainer, "compute_loss", full)
    options = train_options(dataset, tmp_path / "r", "--batch_size", "12")
    with pytest.raises(UserError, match=r"--batch_size 6 --gradient_accumulation 2 \(the same"):
        fine_tune(parse(options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tracker", "wanbd"], "not known; choose from .*tensorboard"),
        (["--tracker", "wandb"], "isn't installed; run `pip install wandb`"),
        (["--finetune", "head", "--head_features", "cls"], "is for DINOv2, not for a resnet"),
        (["--gradient_checkpointing", "true"], "--gradient_checkpointing: ResNet.* can't"),
        (["--drop_path", "0.1"], "a resnet has none"),
        (["--finetune", "last_n", "--last_n", "9"], "this network has 4 blocks"),
    ],
)
def test_what_a_model_can_not_do_is_refused_before_training(dataset, tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        fine_tune(parse(train_options(dataset, tmp_path / "r", *options)))
    assert not (tmp_path / "r" / "checkpoints").exists()


def test_class_token_alone_leaves_the_patches_without_weight(dataset, tmp_path):
    more = ("--finetune", "head", "--head_features", "cls")
    fine_tune(parse(train_options(dataset, tmp_path / "r", *more, model="tiny-dinov2")))
    weight = load_file(tmp_path / "r" / "model.safetensors")["classifier.weight"]
    assert torch.count_nonzero(weight[:, 64:]) == 0 < torch.count_nonzero(weight[:, :64])


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("tiny-densenet", "--imbalance sample_class_sex --focal_gamma 2"),
        ("tiny-swin", "--label_smoothing 0.1 --layer_decay 0.7 --augment strong"),
        ("tiny-dinov2-reg", "--precision bf16 --gradient_checkpointing true"),
        ("tiny-vit", "--tracker none --finetune head --head linear-sgd --augment light"),
    ],
)
def test_options_of_training_work_together_in_each_family(dataset, tmp_path, model, options):
    more = ("--epochs", "1", *options.split())
    options = train_options(dataset, tmp_path / "r", *more, model=model)
    fine_tune(parse(options))
    assert np.isfinite(load_predictions(tmp_path / "r").probabilities).all()


def test_rate_falls_with_the_distance_from_the_head(dataset, tmp_path):
    options = train_options(dataset, tmp_path / "r", "--layer_decay", "0.5", model="tiny-vit")
    trainer = trainer_of(parse([*options, "--learning_rate", "0.8"]))
    rates = {id(p): group["lr"] for group in trainer.create_optimizer().param_groups
             for p in group["params"]}  # fmt: skip
    found = {n: rates[id(p)] for n, p in trainer.model.named_parameters()}
    assert found["classifier.weight"] == 3e-3
    assert found["vit.layernorm.weight"] == found["vit.layers.2.mlp.fc1.weight"] == 0.8
    assert found["vit.layers.0.mlp.fc1.weight"] == 0.2
    assert found["vit.embeddings.cls_token"] == 0.1


def test_losses_are_those_of_their_formulas():
    from hf_cushing.training.trainer import photo_losses

    logits = torch.tensor([[2.0, -1.0], [0.3, 0.1]])
    labels = torch.tensor([0, 1])
    shares = torch.softmax(logits, 1)[[0, 1], labels].numpy()
    plain = photo_losses(logits, labels, label_smoothing=0, focal_gamma=0).numpy()
    assert np.allclose(plain, -np.log(shares))
    focal = photo_losses(logits, labels, label_smoothing=0, focal_gamma=2).numpy()
    assert np.allclose(focal, -((1 - shares) ** 2) * np.log(shares))
    every = -np.log(torch.softmax(logits, 1).numpy()).mean(1)
    smooth = photo_losses(logits, labels, label_smoothing=0.1, focal_gamma=0).numpy()
    assert np.allclose(smooth, 0.9 * plain + 0.1 * every)


def test_worse_sex_decides_between_epochs_that_tie():
    from hf_cushing.training.selection import validation_metrics

    labels = np.array([0, 1, 0, 1, 0, 1])
    sexes = np.array(["female"] * 4 + ["male"] * 2)
    even = np.array([0.1, 0.9, 0.6, 0.5, 0.2, 0.8])
    uneven = np.array([0.1, 0.9, 0.2, 0.8, 0.6, 0.5])
    found = [validation_metrics(np.stack([-s, s], 1), labels, sexes) for s in (even, uneven)]
    assert found[0]["auroc"] == pytest.approx(found[1]["auroc"])
    assert (found[0]["auroc_male"], found[1]["auroc_male"]) == (1, 0)
    assert found[0]["selection"] > found[1]["selection"]


@pytest.mark.parametrize(
    "options",
    [
        ("--finetune", "lora", "--mitigation", "dfr"),
        ("--finetune", "head", "--mitigation", "group_dro"),
        ("--finetune", "head", "--head", "linear-sgd", "--mitigation", "group_dro"),
        ("--finetune", "head", "--mitigation", "sex_thresholds"),
    ],
)
def test_mitigated_run_is_an_ordinary_run_folder(dataset, tmp_path, options, monkeypatch):
    monkeypatch.setattr("hf_cushing.training.robust.SMALLEST", 1)  # a third of few patients
    monkeypatch.setattr("hf_cushing.training.robust.FEWER_C_VALUES", (0.01, 1.0))
    out = tmp_path / "run"
    more = ("--epochs", "1") if "lora" in options or "linear-sgd" in options else ()
    fine_tune(parse(train_options(dataset, out, *options, *more, model="tiny-vit")))
    points = read_json(out / "metrics.json")["operating_points"]
    sexes = {point["sex"] for point in points}
    assert sexes == ({"all", "female", "male"} if "sex_thresholds" in options else {"all"})
    if "dfr" in options:
        facts = Run(out).finished_manifest
        held = facts["run"]["dfr"]["photos"]
        assert 0 < held < len(facts["seen_photo_ids"])
        base = load_classifier(str(out)).model
        adapter = load_file(out / "adapter" / "adapter_model.safetensors")
        assert torch.equal(adapter["base_model.model.classifier.weight"], base.classifier.weight)
