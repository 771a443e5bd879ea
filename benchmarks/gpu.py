"""One GPU: how fast it learns by precision and loader processes, and whether it answers as a CPU.

    python benchmarks/gpu.py speed --dataset DATASET [--models dinov2-b vit-b32 face-resnet]
    python benchmarks/gpu.py agreement --dataset DATASET --work DIR

speed      full fine-tuning with random weights, as `hf-cushing train` sets it up: training photos
           a second over whole epochs, starting the loader included; beside them a bare loop over
           one batch that lies in the GPU's memory, which is what the network itself can do. Each
           is divided by the first way, fp32 with no loader processes. Peak memory of the GPU.
agreement  one fold of face-resnet on the CPU and on the GPU, by several --finetune; on the GPU a
           second time; and killed in an update and resumed. AUROC, the largest difference of a
           probability from the CPU's, and whether the bytes are those of the first GPU run.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import TrainerCallback

from hf_cushing.config import RunConfig
from hf_cushing.data.loading import FaceData, load_faces
from hf_cushing.evaluation.predictions import load_predictions
from hf_cushing.files import read_json
from hf_cushing.models.adapt import adapt
from hf_cushing.models.build import build_classifier
from hf_cushing.training.descent import make_trainer

ROOT = Path(__file__).parents[1]
WAYS = (("fp32", 0), ("fp32", 4), ("fp32", 12), ("bf16", 0), ("bf16", 12), ("fp16", 12))
FINETUNES = (("head",), ("lp-ft", "--epochs", "3"), ("lora", "--epochs", "3"))
FILES = ("model.safetensors", "metrics.json", "predictions.parquet")


class Epochs(TrainerCallback):
    """Notes when each epoch ends; neither evaluates nor saves."""

    def __init__(self):
        self.times = []

    def on_epoch_end(self, args, state, control, **kwargs) -> None:
        """Wait for the GPU and note the time."""
        torch.cuda.synchronize()
        self.times.append(time.perf_counter())
        control.should_evaluate = control.should_save = False


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "agreement"])
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--models", nargs="+", default=["dinov2-b", "vit-b32", "face-resnet"])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--photos", type=int, default=0, help="repeat the training photos to that")
    parser.add_argument("--ways", nargs="+", help="as fp32:0 bf16:12")
    parser.add_argument("--finetune", nargs="+", help="of the agreement, as head lora")
    parser.add_argument("--work", type=Path, default=Path("build/gpu"))
    options = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, {os.cpu_count()} processor cores, torch "
          f"{torch.__version__}")  # fmt: skip
    speed(options) if options.what == "speed" else agreement(options)


def speed(options: argparse.Namespace) -> None:
    """Print photos a second of every model and way."""
    data = load_faces(options.dataset, fold=0)
    train = data.roles["train"]  # shown several times an epoch, as a larger dataset would be
    more = train.select(np.resize(np.arange(len(train)), max(len(train), options.photos)))
    data = replace(data, roles=data.roles | {"train": more})
    ways = [(way.split(":")[0], int(way.split(":")[1])) for way in options.ways or ()] or WAYS
    print("| model | precision | loader processes | photos/s | times | bare | GiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for model in options.models:
        first = None
        for precision, workers in ways:
            torch.cuda.reset_peak_memory_stats()
            rate, bare = trained(options, data, model, precision, workers)
            first = first or rate
            peak = torch.cuda.max_memory_allocated() / 2**30
            print(f"| {model} | {precision} | {workers} | {rate:.0f} | {rate / first:.1f} | "
                  f"{bare:.0f} | {peak:.1f} |", flush=True)  # fmt: skip


def trained(
    options: argparse.Namespace, data: FaceData, model: str, precision: str, workers: int
) -> tuple[float, float]:
    """Photos a second of our trainer (after its first epoch) and of a bare loop."""
    with tempfile.TemporaryDirectory() as work:
        config = RunConfig.of(
            {"dataset": options.dataset, "fold": 0, "model": model, "init": "random",
             "tracker": "none", "precision": precision, "num_workers": workers,
             "epochs": options.epochs, "batch_size": options.batch, "output_dir": f"{work}/run"}
        )  # fmt: skip
        built = build_classifier(model, data.labels, init="random")
        side = built.processor.crop_size["height"]
        network = adapt(built.model, config.model, patients=300, side=side)
        trainer = make_trainer(config, data, built, network)
        trainer.args.load_best_model_at_end = False
        clock = Epochs()
        trainer.add_callback(clock)
        trainer.train()
    seconds = float(np.median(np.diff(clock.times)))
    photos = -(-len(data.roles["train"]) // options.batch) * options.batch
    return photos / seconds, bare_rate(built.model, side, precision, options.batch)


def bare_rate(model: torch.nn.Module, side: int, precision: str, batch: int) -> float:
    """Photos a second of forward, backward and AdamW on one batch in the GPU's memory."""
    model.cuda().train()
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    pixels = torch.randn(batch, 3, side, side, device="cuda")
    labels = torch.arange(batch, device="cuda") % 2
    for step in range(30):
        if step == 10:
            torch.cuda.synchronize()
            started = time.perf_counter()
        with torch.autocast("cuda", kind, enabled=kind is not None):
            logits = model(pixel_values=pixels).logits
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.cuda.synchronize()
    return 20 * batch / (time.perf_counter() - started)


def agreement(options: argparse.Namespace) -> None:
    """Print how near the GPU's runs are to the CPU's and to each other."""
    print("| finetune | where | s | AUROC all / women / men | from the CPU's | from the first's |")
    print("| --- | --- | ---: | --- | ---: | --- |")
    for finetune in FINETUNES:
        if finetune[0] not in (options.finetune or finetune):
            continue
        runs = {}
        for where, moment, more in (
            ("CPU", "never", ["--cpu"]), ("GPU", "never", []), ("GPU, again", "never", []),
            ("GPU, bf16", "never", ["--precision", "bf16", "--num_workers", "8"]),
            ("GPU, resumed", "in an update", []),
        ):  # fmt: skip
            if finetune == ("head",) and where == "GPU, resumed":
                continue
            folder = options.work / finetune[0] / where.replace(", ", "-") / "run"
            command = ["--dataset", options.dataset, "--fold", "0", "--finetune", *finetune, *more]
            command += ["--features_dir", f"{folder}.features", "--output_dir", str(folder)]
            command += ["--repeatability", "0", "--bootstrap", "100"]
            started = time.perf_counter()
            if moment != "never" and train(moment, command) != -signal.SIGKILL:
                sys.exit(f"{where}: was not killed")
            if train("never", [*command, "--resume"]):
                sys.exit(f"{where}: failed")
            runs[where] = folder
            describe(finetune[0], where, runs, time.perf_counter() - started)


def train(moment: str, command: list[str]) -> int:
    """Train, killed at a moment; exit status."""
    script = str(ROOT / "tests" / "training" / "kill_at.py")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [sys.executable, script, moment, "20", *command],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    if done.returncode > 0:
        print(done.stderr[-3000:])
    return done.returncode


def describe(finetune: str, where: str, runs: dict[str, Path], seconds: float) -> None:
    """Print a row."""
    run, first = runs[where], runs.get("GPU")
    own, cpu = (load_predictions(folder).probabilities for folder in (run, runs["CPU"]))
    rows = read_json(run / "metrics.json")["subgroups"]
    aurocs = " / ".join(
        f"{row['values']['auroc']['estimate']:.4f}" for row in rows if row["unit"] == "photo"
    )
    same = ""
    if where not in ("CPU", "GPU"):
        equal = [(run / name).read_bytes() == (first / name).read_bytes() for name in FILES]
        same = "identical bytes" if all(equal) else "other bytes"
    apart = np.abs(own - cpu).max()
    print(f"| {finetune} | {where} | {seconds:.0f} | {aurocs} | {apart:.1e} | {same} |", flush=True)


if __name__ == "__main__":
    main()
