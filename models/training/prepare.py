"""Prepares a decoded 8-bit picture for a model, as its `model.json` says.

The reference for the server, which does the same in TypeScript: `fixtures.py` records what this
file makes of a few pictures and what the model then says.

Pictures are uint8, (height, width) for grey or (height, width, 3) for RGB. Resampling is Pillow's,
on 8-bit samples, and only then are the pixels divided: results are exact, not merely close.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from digit_frame import frame_digit

RESAMPLE = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def fit_pixels(pixels: np.ndarray, spec: dict) -> np.ndarray:
    """uint8 picture of any size -> uint8 picture of the model's size."""
    size = (spec["width"], spec["height"])
    fit = spec["fit"]
    if fit == "digit":
        return frame_digit(pixels)
    if fit == "crop":
        pixels = centre_square(pixels)
    elif fit != "stretch":
        raise ValueError(f"fit {fit!r} is not used by the models here")
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(size, RESAMPLE[spec["resample"]]))


def centre_square(pixels: np.ndarray) -> np.ndarray:
    """The largest centred square; an odd remainder leaves the extra row or column at the end."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def to_tensor(pixels: np.ndarray, spec: dict) -> np.ndarray:
    """uint8 picture of the model's size -> float32 (channels, height, width)."""
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    mean = np.asarray(spec["mean"], dtype=np.float32)[:, None, None]
    std = np.asarray(spec["std"], dtype=np.float32)[:, None, None]
    return (planes.astype(np.float32) / np.float32(spec["divideBy"]) - mean) / std


def prepare(pixels: np.ndarray, spec: dict) -> np.ndarray:
    return to_tensor(fit_pixels(pixels, spec), spec)
