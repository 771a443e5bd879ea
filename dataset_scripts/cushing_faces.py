"""The prepared photographs as a `datasets` builder; it lies in `hf_cushing.data.builder`."""

from hf_cushing.data.builder import CushingFaces, CushingFacesConfig

__all__ = ["CushingFaces", "CushingFacesConfig"]
