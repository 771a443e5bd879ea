"""How the Space bears many visitors, and whether batching or other number formats pay.

    python benchmarks/serving.py RUN --photos FOLDER [--clients 20] [--requests 200]
    python benchmarks/serving.py RUN --photos FOLDER --precision [--models vit-b32 resnet50 …]

The first form serves RUN in a process of its own and sends photos from many clients at once, with
calls that wait handled together and one by one, side by side: failures, seconds a request (upload,
waiting and answer), the server's memory before and after, and the files it leaves. The second
compares the network alone: a batch of 8 against 8 single photos, and bfloat16 and int8 against
float32, with the largest change of a probability. Clients share the machine with the server.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROUNDS = 3
FACES = ("no_face", "several_faces", "too_small", "cut_off")
"""Answers of their own."""

FORMATS = (".jpg", ".jpeg", ".png")


def main() -> None:
    """Print both comparisons, or serve (the part that runs in a process of its own)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--photos", type=Path, help="folder of photographs with one face each")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--heatmap", action="store_true", help="ask for heatmaps, too")
    parser.add_argument("--precision", action="store_true")
    parser.add_argument("--models", nargs="*", default=["vit-b32", "resnet50"])
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=7899)
    options = parser.parse_args()
    if options.serve:
        serve(options.run, options.serve, options.port)
    elif options.precision:
        compare_formats(options.models, options.photos)
    else:
        for together in (8, 1):
            load(options, together)


def serve(run: str, together: int, port: int) -> None:
    """Serve until killed; `together` calls at most are handled at once."""
    from hf_cushing.app import app
    from hf_cushing.predict import answer
    from hf_cushing.run import Run

    answer.AT_ONCE = together
    app.serve_app(Run(run), host="127.0.0.1", port=port, tell=print_line, per_minute=10**6)


def print_line(text: str) -> None:
    """Tell the parent process."""
    print(text, flush=True)


def load(options: argparse.Namespace, together: int) -> None:
    """Send all requests and print what came of them."""
    import psutil

    photos = sorted(p for p in options.photos.rglob("*") if p.suffix.lower() in FORMATS)
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, __file__, options.run, "--serve", str(together)]
        environment = os.environ | {"TMPDIR": scratch}
        server = subprocess.Popen(
            [*command, "--port", str(options.port)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        try:
            server.stdout.readline()
            memory = psutil.Process(server.pid).memory_info
            send(options, photos, min(options.requests, 2 * options.clients))  # fills caches
            before = memory().rss
            started = time.perf_counter()
            seconds, failures = send(options, photos, options.requests)
            whole = time.perf_counter() - started
            left = [p for p in Path(scratch).rglob("*") if p.is_file() and "uploads" not in p.name]
            p50, p95 = np.percentile(seconds, [50, 95]) if seconds else (np.nan, np.nan)
            print(
                f"up to {together} calls together: {len(seconds)} answers, {failures} failures, "
                f"{options.clients} clients; p50 {p50:.2f} s, p95 {p95:.2f} s, "
                f"{len(seconds) / whole:.1f}/s; memory {before / 2**20:.0f} -> "
                f"{memory().rss / 2**20:.0f} MiB; files left {len(left)}",
                flush=True,
            )
        finally:
            server.kill()
            server.wait()


def send(
    options: argparse.Namespace, photos: Sequence[Path], requests: int
) -> tuple[list[float], int]:
    """Seconds of each answered request, and how many were not answered."""
    from gradio_client import Client, handle_file

    address = f"http://127.0.0.1:{options.port}/"
    shares = np.array_split(np.arange(requests), options.clients)

    def visit(numbers: np.ndarray) -> list[float]:
        client = Client(address, verbose=False, analytics_enabled=False)
        found = []
        for number in numbers:
            photo = handle_file(str(photos[number % len(photos)]))
            started = time.perf_counter()
            try:
                result = client.predict(photo, "unknown", options.heatmap, True, api_name="/photo")
                answered = result["error"] in ("", *FACES)
            except Exception as error:  # whatever it is, it counts as a failure
                print(f"failed: {type(error).__name__}: {error}", file=sys.stderr)
                answered = False
            found.append(time.perf_counter() - started if answered else np.nan)
        return found

    with ThreadPoolExecutor(options.clients) as pool:
        seconds = [second for part in pool.map(visit, shares) for second in part]
    good = [second for second in seconds if not np.isnan(second)]
    return good, len(seconds) - len(good)


def compare_formats(models: Sequence[str], photos: Path | None) -> None:
    """Time the network on 8 photos in each way, in turn, and compare the probabilities."""
    import torch

    from hf_cushing.models.build import build_classifier

    for name in models:
        torch.manual_seed(0)
        classifier = build_classifier(name, ["control", "cushing"], init="random")
        model = classifier.model.eval()
        side = classifier.processor.crop_size["height"]
        pixels = torch.randn(8, 3, side, side)
        with warnings.catch_warnings(action="ignore"):  # torch moves its quantisation elsewhere
            quantised = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear})

        def half(pixels: torch.Tensor, model: torch.nn.Module = model) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return model(pixel_values=pixels).logits

        ways: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
            "one by one": lambda x, m=model: torch.cat(
                [m(pixel_values=x[n : n + 1]).logits for n in range(len(x))]
            ),
            "together": lambda x, m=model: m(pixel_values=x).logits,
            "together, bfloat16": half,
            "together, int8": lambda x, m=quantised: m(pixel_values=x).logits,
        }
        best = {way: np.inf for way in ways}
        answers = {}
        with torch.inference_mode():
            for _ in range(ROUNDS):
                for way, function in ways.items():
                    started = time.perf_counter()
                    answers[way] = function(pixels).double().softmax(1)[:, 1]
                    best[way] = min(best[way], time.perf_counter() - started)
        for way, seconds in best.items():
            apart = float((answers[way] - answers["one by one"]).abs().max())
            print(
                f"{name}, {way}: {1000 * seconds / 8:.0f} ms a photo, "
                f"{best['one by one'] / seconds:.2f} times as fast; probabilities differ by "
                f"up to {apart:.1g}",
                flush=True,
            )


if __name__ == "__main__":
    main()
