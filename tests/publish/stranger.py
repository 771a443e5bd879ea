"""What readers of a model with ``--align-on-hub`` do; run by itself, prints one JSON object.

First argument: ``without`` hf-cushing on the machine, or ``with`` it. Takes ``photo.jpg``.
"""

import base64
import importlib.util
import json
import sys
from pathlib import Path


def scores(entries):
    return {entry["label"]: entry["score"] for entry in entries}


def sentence(load):
    """The last line of the traceback that a user would see."""
    try:
        load()
    except Exception as error:
        return str(error).splitlines()[-1]


def main():
    from huggingface_hub import snapshot_download
    from transformers import AutoImageProcessor, pipeline

    def build(**options):
        return pipeline("image-classification", model="me/faces", device="cpu", **options)

    if sys.argv[1] == "without":
        sys.modules["hf_cushing"] = None
        trusts = [{}, {"trust_remote_code": False}]
        found = {
            "plain": [scores(build(**trust)("photo.jpg")) for trust in trusts],
            "imported": [name for name in sys.modules if "hf_cushing_alignment" in name],
            "trusted": sentence(lambda: build(trust_remote_code=True)),
        }
        print(json.dumps(found))
        return

    sys.modules["dlib"] = None
    found = {"without dlib": sentence(lambda: build(trust_remote_code=True))}
    del sys.modules["dlib"]

    import hf_cushing

    folder = snapshot_download("me/faces")
    spec = importlib.util.spec_from_file_location("handler", Path(folder) / "handler.py")
    handler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(handler)
    endpoint = handler.EndpointHandler(folder)
    content = Path("photo.jpg").read_bytes()
    text = base64.b64encode(content).decode()

    from PIL import Image

    decoded = Image.open("photo.jpg").convert("RGB")  # as the Endpoints' toolkit does
    processor = AutoImageProcessor.from_pretrained("me/faces", trust_remote_code=True)
    requests = [{"inputs": x} for x in (decoded, content, text, f"data:image/jpeg;base64,{text}")]
    found |= {
        "aligned": scores(build(trust_remote_code=True)("photo.jpg")),
        "own": scores(hf_cushing.pipeline("me/faces")("photo.jpg")),
        "processor": type(processor).__name__,
        "endpoint": [scores(endpoint(request)) for request in requests],
        "first": endpoint({"inputs": text, "parameters": {"top_k": 1, "on_several": "largest"}}),
        "refused": [
            sentence(lambda r=request: endpoint(r))
            for request in (
                {"inputs": "photo.jpg"},
                {"inputs": "http://127.0.0.1/photo.jpg"},
                {"inputs": text, "parameters": {"num_workers": 9}},
                {"inputs": Image.new("RGB", (300, 300), "grey")},
                {"text": "no inputs"},
            )
        ],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
