"""What a stranger does with the published repos; run by itself, prints one JSON object.

Takes a folder with ``photo.jpg``; everything else comes from the Hub that HF_ENDPOINT names.
"""

import json
import re
import socket
import sys
from pathlib import Path

connect = socket.socket.connect


def only_loopback(self, address):
    if isinstance(address, tuple) and address[0] != "127.0.0.1":
        raise AssertionError(f"asked for {address[0]}")
    return connect(self, address)


def main():
    socket.socket.connect = only_loopback

    import evaluate
    import pyarrow.parquet
    from datasets import load_dataset
    from huggingface_hub import hf_hub_download, snapshot_download
    from transformers import AutoImageProcessor, pipeline

    # The dataset, by name alone
    rows = load_dataset("me/photos", split="test")
    rows[0]["image"].save("aligned_crop.png")

    # The model, by name alone, and what it scored when it was published
    def score(**options):
        classify = pipeline("image-classification", model="me/faces", **options)
        return [{e["label"]: e["score"] for e in found} for found in classify(list(rows["image"]))]

    scores = score()
    pillow = AutoImageProcessor.from_pretrained("me/faces", backend="pil")  # as when it was scored
    recorded = pyarrow.parquet.read_table(hf_hub_download("me/faces", "predictions.parquet"))

    # The metric
    metric = evaluate.load("me/subgroup_f1")
    words = {name: rows.features[name].int2str for name in ("label", "sex")}
    by_sex = metric.compute(
        predictions=[max(found, key=found.get) for found in scores],
        references=[words["label"](label) for label in rows["label"]],
        groups=[words["sex"](sex) for sex in rows["sex"]],
        pos_label="cushing",
    )
    without_our_package = "hf_cushing" not in sys.modules

    # The Space, and the lines of the model's card as they stand there
    space = Path(snapshot_download("me/app", repo_type="space"))
    card = Path(hf_hub_download("me/faces", "README.md")).read_text()
    lines = [
        block for block in re.findall(r"```python\n(.*?)```", card, re.S) if "pipeline(" in block
    ]
    for block in lines:
        exec(block.replace("aligned_crop.jpg", "aligned_crop.png"))

    print(
        json.dumps(
            {
                "photo_id": list(rows["photo_id"]),
                "label": [words["label"](label) for label in rows["label"]],
                "scores": [found["cushing"] for found in scores],
                "exact": [found["cushing"] for found in score(image_processor=pillow)],
                "recorded": [row for row in recorded.to_pylist() if row["split"] == "test"],
                "sex": [words["sex"](sex) for sex in rows["sex"]],
                "f1": by_sex["f1"],
                "counts": {sex: found["n"] for sex, found in by_sex["by_group"].items()},
                "without_our_package": without_our_package,
                "blocks": len(lines),
                "space": {
                    path.relative_to(space).as_posix(): path.stat().st_size
                    for path in space.rglob("*")
                    if path.is_file()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
