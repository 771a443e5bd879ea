"""How the Space bears many visitors, and whether batching or other number formats pay.

    python benchmarks/serving.py RUN --photos FOLDER [--clients 20] [--requests 200]
    python benchmarks/serving.py RUN --photos FOLDER --beside [--clients 1] [--requests 30]
    python benchmarks/serving.py RUN --photos FOLDER --precision [--models vit-b32 resnet50 …]

The first form serves RUN in a process of its own and sends photos from many clients at once, with
calls that wait handled together and one by one, side by side: failures, seconds a request (upload,
waiting and answer), the server's memory before and after, and the files it leaves. The second does
so while another client sends what is made to cost much, again and again: archives of zeros, photos
of 59 megapixels, archives of very many entries; it tells the seconds of a visitor and of one such
call, and the most memory. The third compares the network alone: a batch of 8 against 8 single
photos, and bfloat16 and int8 against float32, with the largest change of a probability. Clients
share the machine with the server.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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
    parser.add_argument("--beside", action="store_true", help="beside costly uploads")
    parser.add_argument("--precision", action="store_true")
    parser.add_argument("--models", nargs="*", default=["vit-b32", "resnet50"])
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=7899)
    options = parser.parse_args()
    if options.serve:
        serve(options.run, options.serve, options.port)
    elif options.beside:
        load_beside(options)
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


@contextmanager
def served(options: argparse.Namespace, together: int) -> Iterator[tuple[Any, Path]]:
    """The server's process, after some requests that fill caches, and its temporary folder."""
    import psutil

    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, __file__, options.run, "--serve", str(together)]
        environment = os.environ | {"TMPDIR": scratch}
        server = subprocess.Popen(
            [*command, "--port", str(options.port)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        try:
            server.stdout.readline()
            send(options, photos_of(options), min(options.requests, 2 * options.clients))
            yield psutil.Process(server.pid), Path(scratch)
        finally:
            server.kill()
            server.wait()


def photos_of(options: argparse.Namespace) -> list[Path]:
    """The photos to send."""
    return sorted(p for p in options.photos.rglob("*") if p.suffix.lower() in FORMATS)


def load(options: argparse.Namespace, together: int) -> None:
    """Send all requests and print what came of them."""
    with served(options, together) as (server, scratch):
        before = server.memory_info().rss
        started = time.perf_counter()
        seconds, failures = send(options, photos_of(options), options.requests)
        whole = time.perf_counter() - started
        left = [p for p in scratch.rglob("*") if p.is_file() and p.name != "lock"]
        print(
            f"up to {together} calls together: {len(seconds)} answers, {failures} failures, "
            f"{options.clients} clients; {quantiles(seconds)}, "
            f"{len(seconds) / whole:.1f}/s; memory {before / 2**20:.0f} -> "
            f"{server.memory_info().rss / 2**20:.0f} MiB; files left {len(left)}",
            flush=True,
        )


def quantiles(seconds: Sequence[float]) -> str:
    """Median and 95th percentile, in words."""
    p50, p95 = np.percentile(seconds, [50, 95]) if seconds else (np.nan, np.nan)
    return f"p50 {p50:.2f} s, p95 {p95:.2f} s"


def load_beside(options: argparse.Namespace) -> None:
    """Send requests alone, then beside each of `attacks`, and print what came of them."""
    with tempfile.TemporaryDirectory() as folder, served(options, 8) as (server, _):
        for name, files in {"alone": [], **attacks(Path(folder))}.items():
            over, costs, peak = threading.Event(), [], [0]
            others = [
                threading.Thread(target=attack, args=(options, files, over, costs)),
                threading.Thread(target=watch, args=(server, over, peak)),
            ][0 if files else 1 :]
            for other in others:
                other.start()
            seconds, failures = send(options, photos_of(options), options.requests)
            over.set()
            for other in others:
                other.join()
            cost = f"; a call took {np.median(costs):.1f} s" if costs else ""
            load = os.getloadavg()[0]
            print(
                f"beside {name}: {len(seconds)} answers, {failures} failures; {quantiles(seconds)}"
                f"; at most {peak[0] / 2**20:.0f} MiB{cost}; load of the machine {load:.0f}",
                flush=True,
            )


def attacks(folder: Path) -> dict[str, list[Path]]:
    """Files that cost much more than they weigh."""
    from PIL import Image

    def pack(name: str, entries: int, size: int) -> Path:
        path = folder / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for number in range(entries):
                archive.writestr(zipfile.ZipInfo(f"{number:x}.jpg"), bytes(size),
                                 zipfile.ZIP_DEFLATED if size else None)  # fmt: skip
        return path

    grey, colour = folder / "grey.png", folder / "colour.png"
    Image.fromarray(np.full((7690, 7690), 9000, np.uint16)).save(grey)
    Image.new("RGB", (7690, 7690), "tan").save(colour)
    return {
        "five archives of zeros": [pack(f"{n}.zip", 20, 24_999_999) for n in range(5)],
        "an archive of zeros": [pack("one.zip", 20, 24_999_999)],
        "59 megapixels, 16 bits": [grey],
        "59 megapixels in colour": [colour],
        "300,000 entries": [pack("many.zip", 300_000, 0)],
    }


def attack(
    options: argparse.Namespace, files: Sequence[Path], over: threading.Event, costs: list[float]
) -> None:
    """Send files again and again; note the seconds of each call."""
    from gradio_client import Client, handle_file

    client = Client(address_of(options), verbose=False, analytics_enabled=False)
    while not over.is_set():
        started = time.perf_counter()
        with suppress(Exception):  # whatever it is, the next one follows
            client.predict([handle_file(str(p)) for p in files], "unknown", True, api_name="/batch")
        costs.append(time.perf_counter() - started)


def watch(server: Any, over: threading.Event, peak: list[int]) -> None:
    """Note the most memory of the server."""
    while not over.wait(0.05):
        peak[0] = max(peak[0], server.memory_info().rss)


def address_of(options: argparse.Namespace) -> str:
    """Where the server is."""
    return f"http://127.0.0.1:{options.port}/"


def send(
    options: argparse.Namespace, photos: Sequence[Path], requests: int
) -> tuple[list[float], int]:
    """Seconds of each answered request, and how many were not answered."""
    from gradio_client import Client, handle_file

    address = address_of(options)
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
