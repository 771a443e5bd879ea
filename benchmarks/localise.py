"""Do heatmaps find what the disease changed, on drawn faces where that is known?

    python benchmarks/localise.py --work runs/localise [--models tiny-vit …] [--photos 400]

Draws a cohort, trains each model on it, and compares every heatmap of the test photos with the
disease with the drawer's mask: AUROC of the mask's pixels, how often the hottest pixel lies in
it, and both for the same network with random weights, beside chance. Then it hides regions: are
those that the drawer changed the ones that count? Finished runs and explanations are not repeated.
Further options go to train.py.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cushing.data.loading import load_faces
from hf_cushing.data.synthetic import CohortOptions, make_cohort
from hf_cushing.explain.cohort import explain_cohort, load_cohort
from hf_cushing.explain.faithfulness import randomised
from hf_cushing.explain.hiding import HOW
from hf_cushing.explain.options import ExplainOptions
from hf_cushing.faces.align import crop_face
from hf_cushing.faces.landmarks import find_face
from hf_cushing.faces.photo import open_photo
from hf_cushing.faces.regions import GROUPS, REGIONS, region_labels
from hf_cushing.files import read_json
from hf_cushing.heatmaps.methods import explain_many, methods_for
from hf_cushing.models.build import load_classifier
from hf_cushing.run import Run
from hf_cushing.stats.hidden_regions import hidden_table
from hf_cushing.stats.region_agreement import mask_agreement

ROOT = Path(__file__).parents[1]
MODELS = ["tiny-vit", "tiny-swin", "tiny-resnet", "tiny-densenet"]
LABEL = "cushing"
COMMON = ["--finetune", "full", "--layer_decay", "1", "--augment", "light", "--cpu"]
RECIPES = {
    "cnn": ["--init", "random", "--epochs", "40", "--patience", "40", "--learning_rate", "1e-3"],
    "random": ["--init", "random", "--epochs", "80", "--patience", "80", "--learning_rate", "3e-4"],
    "face-resnet": ["--finetune", "lp-ft", "--epochs", "12"],
    "pretrained": ["--epochs", "30", "--learning_rate", "1e-4"],
}
"""Random weights need more than the gentle default for pretrained ones."""


def recipe(name: str) -> list[str]:
    """Options of train.py for a model."""
    if not name.startswith("tiny-"):
        return RECIPES.get(name, RECIPES["pretrained"])
    return RECIPES["cnn" if name in ("tiny-resnet", "tiny-densenet") else "random"]


def quiet(title: str, total: int) -> Callable[[int], None]:
    """No bars: the tables go to stdout."""
    return lambda count: None


def call(*command: str) -> None:
    """Run a command of ours; its output is kept only if it fails."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])


def make_dataset(work: Path, photos: int) -> Path:
    """Draw and prepare, unless it is done; the truth lies beside."""
    dataset = work / "dataset"
    if not dataset.exists():
        make_cohort(
            work / "raw",
            work / "truth",
            CohortOptions(photos=photos, severity=(0.95, 0.95), seed=11),
        )
        call("-m", "hf_cushing.cli", "prepare", str(work / "raw"), "--out", str(dataset), "--allow")
    return dataset


def crop_masks(work: Path, dataset: Path, side: int) -> dict[str, np.ndarray]:
    """The drawer's masks of the test photos with the disease, in pixels of the crop."""
    kept = work / "masks.npz"
    if not kept.exists():
        rows = read_json(dataset / "intake.json")["rows"]
        files = {r["columns"]["photo_id"]: r["file_name"] for r in rows if r["status"] == "kept"}
        photos = load_faces(str(dataset)).roles["test"]
        found = {}
        for name in photos["photo_id"][:]:
            face = find_face(open_photo(work / "raw" / files[name]))
            with Image.open(work / "truth" / "masks" / f"{name}.png") as image:
                mask = image.convert("RGB")
            found[name] = np.asarray(crop_face(mask, face, side).image)
        np.savez_compressed(kept, **{name: mask[..., 0] > 127 for name, mask in found.items()})
    with np.load(kept) as masks:
        return {name: masks[name] for name in masks if masks[name].any()}


def localise(run: Path, dataset: Path, masks: dict[str, np.ndarray], most: int) -> None:
    """Print a line for each method."""
    classifier = load_classifier(str(run))
    other = randomised(classifier, 0)
    photos = load_faces(str(dataset)).roles["test"]
    rows = [n for n, name in enumerate(photos["photo_id"][:]) if name in masks][:most]
    chosen = photos.select(rows)
    truth = [masks[name] for name in chosen["photo_id"][:]]
    crops = [image.convert("RGB") for image in chosen["image"][:]]
    chance = np.mean([mask.mean() for mask in truth])
    for method in methods_for(classifier.model):
        cells = []
        for network in (classifier, other):
            maps = explain_many(network, crops, method, label=LABEL)
            heats = [np.clip(heatmap.values, 0, None) for heatmap in maps]  # what speaks for it
            found = [mask_agreement(heat, mask) for heat, mask in zip(heats, truth, strict=True)]
            # an empty map points nowhere
            hits = [f.hit * bool(heat.any()) for f, heat in zip(found, heats, strict=True)]
            cells += [f"{np.nanmean([f.auroc for f in found]):.2f}", f"{np.mean(hits):.2f}"]
        real, control = cells[:2], cells[2:]
        print(
            f"| {run.name} | {method} | {real[0]} | {control[0]} | 0.50 | {real[1]} | "
            f"{control[1]} | {chance:.2f} |",
            flush=True,
        )


def rank_regions(run: Path, dataset: Path, masks: dict[str, np.ndarray], how: str) -> None:
    """Print how the hidden regions rank against how much of them the drawer changed."""
    options = ExplainOptions(methods=("occlusion",), how=how, faithful_photos=1, cpu=True)
    cohort = load_cohort(Run(str(run)), str(dataset), options)
    found = explain_cohort(cohort, run / "explained", options, quiet)
    rows = hidden_table(
        found.absent, found.only, found.log_odds, truth=found.truth, patients=found.patients,
        sexes=found.sexes, names=list(GROUPS), draws=200,
    )  # fmt: skip
    effect = {r.region: r.estimate for r in rows if (r.measure, r.group) == ("separation", "all")}
    whole = next(r for r in rows if r.measure == "auroc" and r.group == "all")
    changed = changed_share(found, masks)
    names = list(GROUPS)
    order = sorted(names, key=lambda name: -effect[name])
    altered = sorted(names, key=lambda name: -changed[name])
    agreement = np.corrcoef(*(
        np.argsort(np.argsort([of[name] for name in names])) for of in (effect, changed)
    ))[0, 1]  # fmt: skip
    print(
        f"| {run.name} | {how} | {whole.estimate:.2f} | {', '.join(order[:4])} | "
        f"{', '.join(altered[:4])} | {agreement:.2f} |",
        flush=True,
    )


def changed_share(found, masks: dict[str, np.ndarray]) -> dict[str, float]:
    """Share of each region that the drawer changed, mean over the photos with the disease."""
    shares = []
    for name, points in zip(found.photos["photo_id"][:], found.landmarks, strict=True):
        if name in masks:
            labels = region_labels(points, found.side)
            inside = [np.isin(labels, [REGIONS.index(r) for r in group])
                      for group in GROUPS.values()]  # fmt: skip
            shares.append([masks[name][part].mean() for part in inside])
    return dict(zip(GROUPS, np.mean(shares, axis=0).tolist(), strict=True))


def main() -> None:
    """Draw, train, explain, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--explained", type=int, default=24, help="photos for the heatmaps")
    options, more = parser.parse_known_args()
    dataset = make_dataset(options.work, options.photos)
    photos = load_faces(str(dataset)).roles["test"]
    masks = crop_masks(options.work, dataset, photos[0]["image"].size[0])
    runs = [options.work / Path(name).name for name in options.models]
    for name, run in zip(options.models, runs, strict=True):
        if not (run / "manifest.json").exists():
            call("train.py", "--dataset", str(dataset), "--model", name, "--output_dir", str(run),
                 *COMMON, *recipe(name), *more)  # fmt: skip
    columns = ["AUROC", "random weights", "chance", "pointing", "random weights", "chance"]
    print(f"| model | method | {' | '.join(columns)} |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for run in runs:
        localise(run, dataset, masks, options.explained)
    print("\n| model | hidden by | AUROC | counts most | changed most | rank correlation |")
    print("| --- | --- | ---: | --- | --- | ---: |")
    for run in runs:
        for how in HOW:
            rank_regions(run, dataset, masks, how)


if __name__ == "__main__":
    main()
