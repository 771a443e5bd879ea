"""Short names: where the pretrained weights are, and the architecture offline; families' habits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_cushing.faces.identity import CHIP_MEAN, CHIP_STD
from hf_cushing.schema import UserError

if TYPE_CHECKING:
    from transformers import PretrainedConfig


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Family:
    """What the published checkpoints of an architecture were trained on.

    Attributes
    ----------
    mean, std : tuple of float
        Of the input's channels, 0..1: for a checkpoint that lacks its preprocessor file.
    fixed_side : bool
        The network takes its config's image size and no other.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    fixed_side: bool = False


FAMILIES: dict[str, Family] = {
    "beit": Family(HALF, HALF),
    "clip": Family(CLIP_MEAN, CLIP_STD, fixed_side=True),
    "convnext": Family(),
    "convnextv2": Family(),
    "deit": Family(fixed_side=True),
    "dinov2": Family(),
    "dinov2_with_registers": Family(),
    "hiera": Family(fixed_side=True),
    "pvt_v2": Family(),
    "regnet": Family(),
    "resnet": Family(),
    "siglip": Family(HALF, HALF, fixed_side=True),
    "swin": Family(),
    "swinv2": Family(),
    "vit": Family(HALF, HALF, fixed_side=True),
}
"""By transformers' `model_type`. The defaults of transformers' processor classes are no guide: for
Swin, ResNet and ConvNeXt they are 0.5, for DINOv2 CLIP's, and the checkpoints say otherwise."""

VISION_TOWERS = {"clip_vision_model": "clip", "siglip_vision_model": "siglip"}
"""Checkpoints of the image half alone, and the type that holds it in a classifier."""

_DINOV3 = (
    "transformers has no image classifier for its own DINOv3; give dinov3-s, dinov3-b or another "
    "timm/…dinov3… id, which are the same weights (needs `pip install 'hf-cushing[cnn]'`)"
)
UNFIT = {
    "dinov3_vit": _DINOV3,
    "dinov3_convnext": _DINOV3,
    "imagegpt": "ImageGPT takes colour clusters instead of pixels; choose another",
    "perceiver": "Perceiver has a decoder in place of a linear head; choose another",
    "shieldgemma2": "ShieldGemma answers in words and has no head to train; choose another",
    "siglip2": "SigLIP 2 NaFlex takes lists of patches in place of pixels; give siglip-b16, or a "
    "SigLIP 2 of a fixed size, such as google/siglip2-base-patch16-224",
}
"""Types that transformers calls image models, and why they can't work here."""


@dataclass(frozen=True)
class Backbone:
    """An entry of the table.

    Attributes
    ----------
    model_type : str
        The name of the architecture in transformers.
    hub_id : str or None
        Pretrained weights on the Hub; None for the `tiny-*` ones, which have none, and for
        `face-resnet`, whose weights are installed.
    revision : str or None
        Commit on the Hub, where the main branch has no safetensors.
    settings : dict
        What differs from the default config, so that random weights need no network.
    installed : bool
        The pretrained weights are part of the installation.
    side, field : int and float
        Input side in pixels, and the share of the crop's side, from its middle, that the network
        sees. DINOv2 was trained at 518 pixels last, but its positions interpolate, and 224 is what
        its authors evaluate with.
    free_side : int, optional
        Input side where training shows photos that aren't aligned (``--framing any``), if another;
        all of the picture is seen then.
    mean, std : tuple of float, optional
        Of the input's channels, 0..1, where no checkpoint says and the family's are not meant.
    origin : str
        Where weights come from, and under which licence, for cards that must say more than
        `hub_id`.
    """

    model_type: str
    hub_id: str | None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    installed: bool = False
    side: int = 224
    field: float = 1.0
    free_side: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    origin: str = ""
    revision: str | None = None

    @property
    def pretrained(self) -> bool:
        """Whether there are pretrained weights at all."""
        return self.installed or self.hub_id is not None

    def config(self) -> PretrainedConfig:
        """Build the architecture's config without the network."""
        from transformers import AutoConfig

        return AutoConfig.for_model(self.model_type, **self.settings)


def _vit(size: str, patch: int, hidden: int, layers: int, heads: int) -> Backbone:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads}
    sizes |= {"intermediate_size": 4 * hidden, "patch_size": patch}
    return Backbone("vit", f"google/vit-{size}-patch{patch}-224-in21k", sizes)


def _swin(size: str, embed: int, depths: list[int], heads: list[int]) -> Backbone:
    sizes = {"embed_dim": embed, "depths": depths, "num_heads": heads}
    return Backbone("swin", f"microsoft/swin-{size}-patch4-window7-224", sizes)


def _dinov2(size: str, hidden: int, layers: int, heads: int, registers: bool) -> Backbone:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads}
    sizes |= {"patch_size": 14, "image_size": 518}
    infix = "-with-registers" if registers else ""
    return Backbone("dinov2_with_registers" if registers else "dinov2",
                    f"facebook/dinov2{infix}-{size}", sizes)  # fmt: skip


def _resnet(name: str, hidden: list[int], depths: list[int], layer: str) -> Backbone:
    sizes = {"hidden_sizes": hidden, "depths": depths, "layer_type": layer}
    return Backbone("resnet", f"microsoft/{name}", sizes)


def _convnextv2(size: str, hidden: list[int], depths: list[int]) -> Backbone:
    sizes = {"hidden_sizes": hidden, "depths": depths}
    return Backbone("convnextv2", f"facebook/convnextv2-{size}-22k-224", sizes)


def _timm(architecture: str, weights: str | None = None, **options: Any) -> Backbone:
    """A network of timm, all of which in the table take ImageNet's mean."""
    arguments = options.pop("model_args", None)
    settings = {"architecture": architecture} | ({"model_args": arguments} if arguments else {})
    hub_id = f"timm/{architecture}.{weights}" if weights else None
    return Backbone(
        "timm_wrapper", hub_id, settings, mean=IMAGENET_MEAN, std=IMAGENET_STD, **options
    )


def _dinov3(size: str) -> Backbone:
    return _timm(
        f"vit_{size}_patch16_dinov3",
        "lvd1689m",
        side=256,
        origin="DINOv3 (Meta), whose own licence binds what is made of it: it must stay under that "
        "licence, and publications must name DINOv3",
    )


WIDE = [256, 512, 1024, 2048]

FACE_RESNET = Backbone(
    "resnet",
    None,
    {"embedding_size": 32, "hidden_sizes": [32, 96, 192, 384, 512], "depths": [3, 4, 3, 3, 1],
     "layer_type": "basic", "downsample_in_first_stage": False},
    installed=True,
    side=134,
    field=134 / 210,
    free_side=224,
    mean=tuple(value / 255 for value in CHIP_MEAN),
    std=(CHIP_STD / 255,) * 3,
    origin="dlib's face-recognition ResNet (davisking/dlib-models, `dlib_face_recognition_resnet_"
    "model_v1`: in the public domain, trained on about 3 million photographs of 7,485 persons)",
)  # fmt: skip
"""dlib's face-recognition network (`models/face_resnet.py`): its widths and what its shortcuts need
beside them; the mean that dlib subtracts. Side and field were chosen on development folds
(docs/choices.md)."""

FARL = Backbone(
    "clip",
    "Green-Sky/FaRL-Base-Patch16-LAIONFace20M-ep64",
    {"vision_config": {"patch_size": 16, "image_size": 224}},
    revision="01160d648e798f6522f7359e92c89165b7f92ae7",
    origin="FaRL (Zheng et al., CVPR 2022; MIT licence; trained on 20 million face photographs "
    "with captions, gathered from the web)",
)
"""FaRL as transformers' CLIP. The commit is that of the Hub's own bot, which added safetensors."""

TINY_TOWER = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
              "intermediate_size": 128, "patch_size": 8, "image_size": 64}  # fmt: skip

BACKBONES: dict[str, Backbone] = {
    "face-resnet": FACE_RESNET,
    "vit-b16": _vit("base", 16, 768, 12, 12),
    "vit-b32": _vit("base", 32, 768, 12, 12),
    "vit-l16": _vit("large", 16, 1024, 24, 16),
    "swin-t": _swin("tiny", 96, [2, 2, 6, 2], [3, 6, 12, 24]),
    "swin-s": _swin("small", 96, [2, 2, 18, 2], [3, 6, 12, 24]),
    "swin-b": _swin("base", 128, [2, 2, 18, 2], [4, 8, 16, 32]),
    "dinov2-s": _dinov2("small", 384, 12, 6, registers=False),
    "dinov2-b": _dinov2("base", 768, 12, 12, registers=False),
    "dinov2-l": _dinov2("large", 1024, 24, 16, registers=False),
    "dinov2-s-reg": _dinov2("small", 384, 12, 6, registers=True),
    "dinov2-b-reg": _dinov2("base", 768, 12, 12, registers=True),
    "dinov2-l-reg": _dinov2("large", 1024, 24, 16, registers=True),
    "resnet18": _resnet("resnet-18", [64, 128, 256, 512], [2, 2, 2, 2], "basic"),
    "resnet50": _resnet("resnet-50", WIDE, [3, 4, 6, 3], "bottleneck"),
    "resnet101": _resnet("resnet-101", WIDE, [3, 4, 23, 3], "bottleneck"),
    "densenet121": _timm("densenet121", "ra_in1k"),
    "densenet169": _timm("densenet169", "tv_in1k"),
    "farl-b16": FARL,
    "dinov3-s": _dinov3("small"),
    "dinov3-b": _dinov3("base"),
    "convnextv2-t": _convnextv2("tiny", [96, 192, 384, 768], [3, 3, 9, 3]),
    "convnextv2-b": _convnextv2("base", [128, 256, 512, 1024], [3, 3, 27, 3]),
    "siglip-b16": Backbone("siglip", "google/siglip-base-patch16-224",
        {"vision_config": {"patch_size": 16, "image_size": 224}}),
    "tiny-vit": Backbone("vit", None, {"hidden_size": 64, "num_hidden_layers": 3,
        "num_attention_heads": 4, "intermediate_size": 128, "patch_size": 8, "image_size": 64},
        side=64),
    "tiny-swin": Backbone("swin", None, {"embed_dim": 24, "depths": [1, 1, 2],
        "num_heads": [2, 4, 8],
        "window_size": 4, "patch_size": 2, "image_size": 64}, side=64),
    "tiny-dinov2": Backbone("dinov2", None, {"hidden_size": 64, "num_hidden_layers": 3,
        "num_attention_heads": 4, "patch_size": 7, "image_size": 56}, side=56),
    "tiny-dinov2-reg": Backbone("dinov2_with_registers", None, {"hidden_size": 64,
        "num_hidden_layers": 3, "num_attention_heads": 4, "patch_size": 7, "image_size": 56},
        side=56),
    "tiny-resnet": Backbone("resnet", None, {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 96],
        "depths": [1, 1, 1, 1], "layer_type": "basic"}, side=96),
    "tiny-densenet": _timm("densenet121", side=96,
        model_args={"growth_rate": 8, "block_config": [2, 2, 4, 2]}),
    "tiny-clip": Backbone("clip", None, {"vision_config": TINY_TOWER}, side=64),
    "tiny-siglip": Backbone("siglip", None, {"vision_config": TINY_TOWER}, side=64),
    "tiny-dinov3": _timm("vit_small_patch16_dinov3", side=64, model_args={"embed_dim": 48,
        "depth": 3, "num_heads": 3, "patch_size": 8, "init_values": 1.0}),
    "tiny-convnextv2": Backbone("convnextv2", None, {"hidden_sizes": [16, 32, 48, 64],
        "depths": [1, 1, 2, 1]}, side=64),
}  # fmt: skip


def unknown_model(name: str) -> UserError:
    """Build the error for a name that is neither in the table, nor a folder, nor a Hub id."""
    import difflib

    near = difflib.get_close_matches(name, BACKBONES, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return UserError(
        f"--model {name} is neither a short name, nor a folder, nor a Hub id (OWNER/NAME); "
        f"{hint}short names: {', '.join(BACKBONES)}"
    )
