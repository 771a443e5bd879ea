"""What a probe should see: class token, class token and patches, four blocks, more views.

    python benchmarks/heads.py --dataset build/moon --work build/heads

On ../shared/data/lfw_moonface (prepared) with the DINOv2 backbone of ../shared/models: AUROC over
the pairs within a fold, mean of 5 folds × 3 seeds of the inner folds, all chosen as
`--finetune head` chooses them. `last 4 blocks` is measured here only: no head of transformers has a
place for it, so a model with it would need code of its own to be loaded.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from datasets import concatenate_datasets
from moon import MODEL
from sklearn.metrics import roc_auc_score
from transformers import default_data_collator

from hf_cushing.data.loading import FacePhotos, load_faces
from hf_cushing.models.build import build_classifier
from hf_cushing.models.features import FeatureStore
from hf_cushing.training.head import weights_of
from hf_cushing.training.probe import ProbeData, fit_probe


@torch.no_grad()
def last_blocks(classifier, photos, count: int = 4) -> np.ndarray:
    """Class tokens of the last blocks and the last one's mean patch, each normed."""
    network, parts = classifier.model.eval().dinov2, []
    loader = torch.utils.data.DataLoader(
        FacePhotos(photos, classifier.processor), 32, collate_fn=default_data_collator
    )
    for batch in loader:
        states = network(batch["pixel_values"], output_hidden_states=True).hidden_states[-count:]
        normed = [network.layernorm(state) for state in states]
        tokens = [state[:, 0] for state in normed] + [normed[-1][:, 1:].mean(1)]
        parts.append(torch.cat(tokens, 1).numpy())
    return np.concatenate(parts)


def cross_validate(views: list[np.ndarray], photos, imbalance: str) -> tuple[float, float]:
    """Mean and standard deviation over seeds of the mean AUROC of five folds."""
    labels, sexes = np.array(photos["label"]), np.array(photos["sex"])
    fold, patients = np.array(photos["fold"]), np.array(photos["patient_id"])
    found = []
    for seed in range(3):
        values = []
        for k in range(5):
            fit = np.flatnonzero((fold != k) & (fold != (k + 1) % 5))
            test, count = fold == k, len(views)
            probe = fit_probe(
                ProbeData(
                    features=np.concatenate([view[fit] for view in views]),
                    labels=np.tile(labels[fit], count),
                    weights=np.tile(weights_of(photos.select(fit), imbalance) / count, count),
                    strata=np.tile(3 * labels[fit] + sexes[fit], count),
                    groups=np.tile(patients[fit], count),
                ),
                seed=seed,
            )
            logits = views[0][test] @ probe.weight.T + probe.bias
            values.append(roc_auc_score(labels[test], logits[:, 1] - logits[:, 0]))
        found.append(np.mean(values))
    return float(np.mean(found)), float(np.std(found))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    data = load_faces(options.dataset, fold=0)
    photos = concatenate_datasets(list(data.roles.values()))
    torch.manual_seed(0)
    classifier = build_classifier(str(MODEL), data.labels)
    store = FeatureStore(classifier, options.work, cpu=True)
    views = [store.features(photos, view=view) for view in range(5)]
    width = classifier.model.config.hidden_size
    cases = {
        "class token and mean patch (own)": (views[:1], "class_sex"),
        "class token (cls)": ([views[0][:, :width]], "class_sex"),
        "last 4 blocks": ([last_blocks(classifier, photos)], "class_sex"),
        "own, 1 view more": (views[:2], "class_sex"),
        "own, 4 views more": (views, "class_sex"),
        "own, weights by class": (views[:1], "class"),
        "own, no weights": (views[:1], "none"),
    }
    print("| the probe sees | AUROC | spread over seeds |\n| --- | --- | --- |")
    for name, (seen, imbalance) in cases.items():
        mean, spread = cross_validate(seen, photos, imbalance)
        print(f"| {name} | {mean:.3f} | {spread:.3f} |", flush=True)


if __name__ == "__main__":
    main()
