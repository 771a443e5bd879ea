"""Full fine-tuning: photos a second against a bare loop and against an example's loader.

    python benchmarks/full.py --dataset build/moon --model dinov2-s [--batch 16] [--steps 12]

bare     forward, loss, backward, AdamW on one batch of tensors that lies in memory
example  decodes, cuts (RandomResizedCrop), mirrors in the loader; the same loop
ours     `FaceTrainer` as train.py sets it up, with light augmentation

Random weights; same batch, threads, photos; the three take turns, several rounds. Seconds a
step are medians of steps; prints ratios.
"""

import argparse
import tempfile
import time

import numpy as np
import torch
from frozen import ExamplePhotos
from torchvision import transforms
from transformers import TrainerCallback

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import load_faces
from hf_cushing.models.adapt import adapt
from hf_cushing.models.build import build_classifier
from hf_cushing.training.descent import make_trainer


class Steps(TrainerCallback):
    """Notes when each update ends, and stops after a number of them."""

    def __init__(self, count: int):
        self.count, self.times = count, []

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())
        if len(self.times) > self.count:
            control.should_training_stop = True
            control.should_evaluate = control.should_save = False

    def on_epoch_end(self, args, state, control, **kwargs) -> None:
        """Neither evaluate nor save."""
        control.should_evaluate = control.should_save = False


def ours(config: RunConfig, data, steps: int) -> list[float]:
    """Seconds of each update of our trainer."""
    classifier = build_classifier(config.model.model, data.labels, init="random")
    model = adapt(
        classifier.model, config.model, patients=300, side=classifier.processor.crop_size["height"]
    )
    trainer = make_trainer(config, data, classifier, model)
    trainer.args.load_best_model_at_end = False
    clock = Steps(steps)
    trainer.add_callback(clock)
    trainer.train()
    return np.diff(clock.times).tolist()


def loop(model, batches, steps: int) -> list[float]:
    """Seconds of each update of a bare loop."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)
    times = []
    for pixels, labels in batches:
        torch.nn.functional.cross_entropy(model(pixel_values=pixels).logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter())
        if len(times) > steps:
            break
    return np.diff(times).tolist()


def example_batches(data, processor, batch: int) -> torch.utils.data.DataLoader:
    """The example's loader."""
    side = processor.crop_size["height"]
    change = transforms.Compose(
        [
            transforms.RandomResizedCrop(side),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(processor.image_mean, processor.image_std),
        ]
    )
    return torch.utils.data.DataLoader(
        ExamplePhotos(data.roles["train"], change), batch_size=batch, shuffle=True, drop_last=True
    )


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--model", default="dinov2-s")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    data = load_faces(options.dataset, fold=0)
    seconds: dict[str, list[float]] = {"bare": [], "example": [], "ours": []}
    for _ in range(options.rounds):
        built = build_classifier(options.model, data.labels, init="random")
        built.model.train()
        side = built.processor.crop_size["height"]
        one = (torch.randn(options.batch, 3, side, side), torch.arange(options.batch) % 2)
        seconds["bare"] += loop(built.model, iter([one] * 1000), options.steps)
        batches = iter(example_batches(data, built.processor, options.batch))
        seconds["example"] += loop(built.model, batches, options.steps)
        del built
        with tempfile.TemporaryDirectory() as work:
            values = {"dataset": options.dataset, "fold": 0, "model": options.model}
            values |= {"init": "random", "cpu": True, "tracker": "none"}
            values |= {"output_dir": f"{work}/run", "batch_size": options.batch}
            config = RunConfig.of(values)
            seconds["ours"] += ours(config, data, options.steps)
    middle = {name: float(np.median(values)) for name, values in seconds.items()}
    print(f"{options.model}, batch {options.batch}, {torch.get_num_threads()} threads")
    for name, value in middle.items():
        print(
            f"{name}: {options.batch / value:.2f} photos/s ({len(seconds[name])} updates); ours is "
            f"{value / middle['ours']:.3f} times as fast"
        )


if __name__ == "__main__":
    main()
