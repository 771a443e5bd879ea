"""How long commands take to start, beside Python itself and beside what they can't do without.

    python benchmarks/startup.py [RUN PHOTO] [--rounds 5]

Seconds (of a clock, and of processor time) of the help, and with a run and a photo of `predict`,
taken in turns in one run; each is divided by that of Python alone, or of importing torch and
transformers, which `predict` needs.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

OURS = (sys.executable, "-m", "hf_cushing.cli")
ALONE, LIBRARIES = "python -c pass", "import torch, transformers' images"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?")
    parser.add_argument("photo", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    commands = {
        ALONE: (sys.executable, "-c", "pass"),
        "hf-cushing --help": (*OURS, "--help"),
        "hf-cushing train --help": (*OURS, "train", "--help"),
    }
    if given.photo:
        libraries = "import torch, transformers.image_processing_utils, transformers.modeling_utils"
        commands[LIBRARIES] = (sys.executable, "-c", libraries)
        commands["hf-cushing predict"] = (*OURS, "predict", given.run, given.photo, "--cpu")
    times = {name: [] for name in commands}
    for _ in range(given.rounds):
        for name, command in commands.items():
            times[name].append(seconds(command))
    print("| command | s | s of processor | times Python alone | times the libraries |")
    print("| --- | ---: | ---: | ---: | ---: |")
    middle = {
        name: [statistics.median(column) for column in zip(*values, strict=True)]
        for name, values in times.items()
    }
    for name, (wall, cpu) in middle.items():
        ratios = [f"{cpu / middle[base][1]:.1f}" if base in middle else "" for base in
                  (ALONE, LIBRARIES)]  # fmt: skip
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {' | '.join(ratios)} |")


def seconds(command: tuple[str, ...]) -> tuple[float, float]:
    """Of a clock, and of the processor (all cores together)."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
