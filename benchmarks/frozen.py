"""A frozen backbone: one pass and a fitted head, against an example's protocol.

    python benchmarks/frozen.py --dataset build/moon --model ../shared/models/face-dinov2-tiny

The other side does what transformers' image-classification example without Trainer does, written
afresh: each of 20 epochs decodes every photo, cuts a random part of it (RandomResizedCrop),
mirrors it, passes the frozen backbone, and evaluates on validation; batch, threads, weights and
photos are the same, and its head's learning rate is the better of two tried. Both then score the
test photos. Ours starts with an empty store. Prints seconds, their ratio, and AUROC.

`--runs` further folds and seeds: ours does all, the other side is timed on the first `--timed`
and the rest taken for as long. `--epochs 2 --init random` times a large backbone: then its
seconds are scaled to 20 epochs, and the AUROC says nothing.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torchvision import transforms

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData, load_faces
from hf_cushing.models.adapt import adapt, head_linear
from hf_cushing.models.build import Classifier, build_classifier
from hf_cushing.training.head import fit_head
from hf_cushing.training.run_folder import feature_store

EPOCHS, BATCH = 20, 32


def config_of(options: argparse.Namespace, work: str, fold: int, seed: int) -> RunConfig:
    """Settings of one of our runs."""
    values = {"dataset": options.dataset, "model": options.model, "init": options.init}
    values |= {"finetune": "head", "fold": fold, "seed": seed, "cpu": True}
    return RunConfig.of(values | {"output_dir": f"{work}/run"})


def fresh(config: RunConfig, labels: list[str]) -> Classifier:
    """The network with a new head; where weights are random, the same backbone for every seed,
    as a pretrained one would be."""
    torch.manual_seed(0)
    built = build_classifier(config.model.model, labels, init=config.model.init)
    adapt(built.model, config.model, patients=300, side=built.processor.crop_size["height"])
    return built


def ours(config: RunConfig, data: FaceData, classifier: Classifier) -> float:
    """Pass, fit, score; AUROC on the test photos."""
    fit_head(config, data, classifier)
    store = feature_store(config, classifier)
    store.logits(data.roles["validation"])
    return auroc(store.logits(data.roles["test"]), data)


def auroc(logits: np.ndarray, data: FaceData) -> float:
    """Of the test photos."""
    return roc_auc_score(np.array(data.roles["test"]["label"]), logits[:, 1] - logits[:, 0])


class ExamplePhotos(torch.utils.data.Dataset):
    """Photos as the example feeds them."""

    def __init__(self, photos, transform):
        self.photos, self.transform = photos, transform

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        row = self.photos[index]
        return self.transform(row["image"].convert("RGB")), row["label"]


def example(data: FaceData, classifier: Classifier, *, epochs: int, rate: float) -> float:
    """The example's protocol; AUROC on the test photos."""
    processor, model = classifier.processor, classifier.model
    side = processor.crop_size["height"]
    end = [
        transforms.ToTensor(),
        transforms.Normalize(processor.image_mean, processor.image_std),
    ]
    vary = [transforms.RandomResizedCrop(side), transforms.RandomHorizontalFlip()]
    plain = [transforms.Resize(side), transforms.CenterCrop(side)]
    loaders = {
        role: torch.utils.data.DataLoader(
            ExamplePhotos(
                data.roles[role], transforms.Compose([*(vary if shuffle else plain), *end])
            ),
            batch_size=BATCH,
            shuffle=shuffle,
        )
        for role, shuffle in (("train", True), ("validation", False), ("test", False))
    }
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(
        optimizer, 1.0, 0.0, total_iters=epochs * len(loaders["train"])
    )
    for _ in range(epochs):
        model.train()
        for pixels, labels in loaders["train"]:
            logits = model(pixel_values=pixels).logits
            torch.nn.functional.cross_entropy(logits, labels).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        model.eval()
        answers(model, loaders["validation"])
    return auroc(answers(model, loaders["test"]), data)


@torch.no_grad()
def answers(model, loader) -> np.ndarray:
    """Logits of all photos of a loader."""
    return torch.cat([model(pixel_values=pixels).logits for pixels, _ in loader]).numpy()


def warm_up(options: argparse.Namespace) -> None:
    """Import and run everything once on a few photos, so that neither side pays for it."""
    data = load_faces(options.dataset, fold=0)
    few = {role: rows.shuffle(seed=0).select(range(48)) for role, rows in data.roles.items()}
    small = FaceData(few, data.labels, data.revision, data.folds)
    with tempfile.TemporaryDirectory() as work:
        config = config_of(options, work, 0, 0)
        ours(config, small, fresh(config, data.labels))
    example(small, fresh(config, data.labels), epochs=1, rate=1e-3)


def timed(work, *arguments, **options) -> tuple[float, float]:
    """Seconds, and what came out."""
    started = time.perf_counter()
    result = work(*arguments, **options)
    return time.perf_counter() - started, result


def main() -> None:
    """Measure both sides in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--init", default="pretrained")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-3, 1e-2])
    parser.add_argument("--runs", type=int, nargs=2, default=[5, 3], help="folds and seeds")
    parser.add_argument("--timed", type=int, default=1)
    options = parser.parse_args()
    warm_up(options)
    cases = [(f, s) for s in range(options.runs[1]) for f in range(options.runs[0])]
    folds = {f: load_faces(options.dataset, fold=f) for f in range(options.runs[0])}
    spent, found, slow, other = [], [], [], []
    with tempfile.TemporaryDirectory() as work:
        for fold, seed in cases:
            config, data = config_of(options, work, fold, seed), folds[fold]
            classifier = fresh(config, data.labels)
            seconds, value = timed(ours, config, data, classifier)
            spent.append(seconds)
            found.append(value)
    for fold, seed in cases[: options.timed]:
        data = folds[fold]
        tries = []
        for rate in options.rates:
            classifier = fresh(config_of(options, work, fold, seed), data.labels)
            tries.append(timed(example, data, classifier, epochs=options.epochs, rate=rate))
        scale = EPOCHS / options.epochs
        slow.append(scale * sum(seconds for seconds, _ in tries) / len(tries))
        other.append(max(value for _, value in tries))
    width = head_linear(classifier.model).in_features
    print(f"{Path(options.model).name}: {width} features, {torch.get_num_threads()} threads")
    first = slow[0] / spent[0]
    print(f"one run: example {slow[0]:.1f} s, ours {spent[0]:.2f} s, {first:.1f} times as fast")
    mean = np.mean(found[: options.timed])
    print(f"AUROC of the {options.timed} timed: example {np.mean(other):.3f}, ours {mean:.3f}")
    whole, total = sum(spent), np.mean(slow) * len(cases)
    print(
        f"{len(cases)} runs: example {total:.0f} s ({options.timed} measured), ours {whole:.1f} s, "
        f"{total / whole:.0f} times as fast; AUROC of all of ours {np.mean(found):.3f}"
    )


if __name__ == "__main__":
    main()
