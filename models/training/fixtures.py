"""Writes ../fixtures/serving.json: what the server must reproduce.

For each model a few made-up pictures, the tensor that `prepare.py` makes of them, and the scores
that ONNX Runtime gives for it. The pictures come from formulas below and belong to nobody; the
scores mean nothing medically.

A case holds
  pixels    uint8, row by row, RGB interleaved, base64
  fitted    sha256 of the uint8 picture after fitting, row by row, RGB interleaved
  prepared  float32 little-endian, NCHW order, N = 1: base64 if small, and always sha256 of the
            bytes, with values at a few flat indices to see where a difference starts
  scores    all outputs, in the order of the labels
  score     binary models: the probability of the positive class
  label     the answer, by the manifest's threshold or the largest score
Tensors must match exactly, scores within `tolerance`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import numpy as np

from common import onnx_scores
from prepare import fit_pixels, to_tensor

MODELS = Path(__file__).resolve().parent.parent
SEED = 7
TOLERANCE = 1e-5
LARGEST_INLINE = 28 * 28
PROBES = 12


def to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def blob(height: int, width: int, x: float, y: float, spread: float) -> np.ndarray:
    """A Gaussian hill of height 1; x, y and spread are parts of the picture's sides."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.exp(-(((columns / width - x) / spread) ** 2 + ((rows / height - y) / spread) ** 2))


def chest(noise: np.random.Generator, height: int, width: int, body: float, haze: float) -> np.ndarray:
    """Two dark lungs in a bright body, haze in one lung, a heart between them, and grain."""
    rows, columns = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    picture = body + 30 * rows
    for x in (0.28, 0.72):
        picture -= 130 * np.exp(-(((columns - x) / 0.18) ** 4) - ((rows - 0.45) / 0.3) ** 4)
    picture += haze * blob(height, width, 0.3, 0.6, 0.2) + 40 * blob(height, width, 0.55, 0.65, 0.15)
    return to_bytes(picture + noise.normal(0, 4, picture.shape))


PINK = (226, 178, 208)
VIOLET = (190, 150, 190)


def stain(noise: np.random.Generator, height: int, width: int, nuclei: int, ground: tuple[int, int, int]) -> np.ndarray:
    """A coloured ground with darker violet spots."""
    light = np.broadcast_to(np.array(ground, dtype=float), (height, width, 3)).copy()
    for x, y, spread in noise.uniform([0, 0, 0.02], [1, 1, 0.06], (nuclei, 3)):
        light -= blob(height, width, x, y, spread)[:, :, None] * np.array([60.0, 60.0, 40.0])
    return to_bytes(light + noise.normal(0, 5, light.shape))


def strokes(height: int, width: int, points: list[tuple[float, float]], thick: float) -> np.ndarray:
    """A pen line through points (x, y in pixels): 1 on the line, falling to 0 over one pixel."""
    rows, columns = np.mgrid[0:height, 0:width].astype(float)
    nearest = np.full((height, width), np.inf)
    for (ax, ay), (bx, by) in zip(points, points[1:]):
        along = ((columns - ax) * (bx - ax) + (rows - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
        along = np.clip(along, 0, 1)
        nearest = np.minimum(nearest, np.hypot(columns - ax - along * (bx - ax), rows - ay - along * (by - ay)))
    return np.clip(thick / 2 + 0.5 - nearest, 0, 1)


def ring(x: float, y: float, across: float, down: float, turns: float = 1.0) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * np.pi * turns, 40)
    return [(x + across * np.sin(a), y - down * np.cos(a)) for a in angles]


def digit_pictures(noise: np.random.Generator) -> dict[str, np.ndarray]:
    seven = strokes(150, 200, [(60, 30), (140, 32), (95, 125)], 11)
    two = strokes(64, 48, [(12, 20), (18, 11), (28, 11), (34, 19), (30, 30), (11, 52), (37, 51)], 5)
    eight = np.maximum(strokes(90, 90, ring(30, 26, 13, 14), 6), strokes(90, 90, ring(30, 56, 16, 16), 6))
    return {
        "a dark seven on bright grainy paper, 200x150": to_bytes(235 - 200 * seven + noise.normal(0, 4, seven.shape)),
        "a bright zero on black, 28x28": to_bytes(255 * strokes(28, 28, ring(14, 14, 6, 8.5), 3)),
        "a dim two on black, 48x64": to_bytes(140 * two),
        "a dark eight off the centre of grey paper, 90x90": to_bytes(190 - 150 * eight),
        "a thin one at the left edge, 41x120": to_bytes(255 * strokes(120, 41, [(1, 4), (3, 115)], 2)),
        "nothing on white paper, 30x20": np.full((20, 30), 255, dtype=np.uint8),
    }


def chest_pictures(noise: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "clear lungs, 64x80": chest(noise, 80, 64, body=200, haze=0),
        "a hazy lung, 80x64": chest(noise, 64, 80, body=160, haze=90),
        "a little haze, square, 97x97": chest(noise, 97, 97, body=185, haze=30),
        "clear lungs, already 28x28": chest(noise, 28, 28, body=200, haze=0),
        "smaller than the model, 19x22": chest(noise, 22, 19, body=150, haze=60),
        "noise, 61x50": to_bytes(noise.uniform(0, 255, (50, 61))),
    }


def stain_pictures(noise: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "few nuclei on pink, 50x50": stain(noise, 50, 50, 4, PINK),
        "many nuclei on pink, 50x50": stain(noise, 50, 50, 30, PINK),
        "many nuclei on violet, 50x50": stain(noise, 50, 50, 60, VIOLET),
        "an oblong patch, 61x47": stain(noise, 47, 61, 40, VIOLET),
        "a larger patch, 150x120": stain(noise, 120, 150, 8, PINK),
        "noise, 33x33": to_bytes(noise.uniform(0, 255, (33, 33, 3))),
    }


def case(name: str, pixels: np.ndarray, manifest: dict) -> dict:
    fitted = fit_pixels(pixels, manifest["input"])
    tensor = np.ascontiguousarray(to_tensor(fitted, manifest["input"])[None], dtype="<f4")
    scores = onnx_scores(MODELS / manifest["name"] / manifest["weights"]["file"], tensor)[0]
    output = manifest["output"]
    prepared = {"shape": list(tensor.shape), "sha256": hashlib.sha256(tensor.tobytes()).hexdigest()}
    if tensor.size <= LARGEST_INLINE:
        prepared["base64"] = base64.b64encode(tensor.tobytes()).decode()
    at = np.linspace(0, tensor.size - 1, PROBES).astype(int)
    prepared["probes"] = [{"index": int(i), "value": float(tensor.reshape(-1)[i])} for i in at]
    answer = {"scores": [float(score) for score in scores]}
    if output["kind"] == "binary":
        positive = output["labels"].index(output["positive"])
        answer["score"] = float(scores[positive])
        answer["label"] = output["labels"][positive if scores[positive] >= output["threshold"] else 1 - positive]
    else:
        answer["label"] = output["labels"][int(scores.argmax())]
    return {
        "name": name,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "channels": "grey" if pixels.ndim == 2 else "rgb",
        "pixels": base64.b64encode(pixels.tobytes()).decode(),
        "fitted": {"sha256": hashlib.sha256(np.ascontiguousarray(fitted).tobytes()).hexdigest()},
        "prepared": prepared,
        **answer,
    }


def main() -> None:
    noise = np.random.default_rng(SEED)
    pictures = {"digits": digit_pictures(noise), "pneumonia": chest_pictures(noise), "breast": stain_pictures(noise)}
    models = []
    for model, by_name in pictures.items():
        manifest = json.loads((MODELS / model / "model.json").read_text())
        cases = [case(name, pixels, manifest) for name, pixels in by_name.items()]
        models.append({"model": model, "version": manifest["version"], "weights": manifest["weights"]["sha256"], "cases": cases})
        for one in cases:
            print(model, one["name"], "->", one["label"], [round(score, 3) for score in one["scores"]])
    written = {"writtenBy": "models/training/fixtures.py", "tolerance": TOLERANCE, "models": models}
    (MODELS / "fixtures").mkdir(exist_ok=True)
    (MODELS / "fixtures" / "serving.json").write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
