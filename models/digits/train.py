"""Trains the digit classifier and writes model.onnx, the figures in model.json and in README.md."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))

import common  # noqa: E402
import figures  # noqa: E402
from digit_frame import frame_digit  # noqa: E402

SPLIT_SEED = 0  # the split never changes with --seed
KEPT_FOR_TRAINING = 8000
VALIDATION = 1000  # of the 8,000; held out with --validate only
WIDTH = 24


def read_idx(path: Path, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8, offset=header)


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images[:, None].astype(np.float32) / np.float32(255))


def augment(batch: torch.Tensor) -> torch.Tensor:
    """Another hand (turn, slant, stretch, bend), pen (fainter strokes) and paper (not quite white)."""
    batch = common.warp(batch, degrees=12, scale=0.12, shift=0.06, shear=0.2, elastic=0.8)
    batch = batch * common.uniform(len(batch), 0.6, 1.0).reshape(-1, 1, 1, 1)
    return hazed(batch, share=0.3, most=0.2)


def hazed(batch: torch.Tensor, share: float, most: float) -> torch.Tensor:
    """Lifts the box around the strokes of a share of the images: the framing cuts paper that is
    not quite white to that box and leaves black around it, which no MNIST image shows."""
    strokes = batch > 0.2
    rows, columns = strokes.any(dim=3, keepdim=True), strokes.any(dim=2, keepdim=True)
    box = spanned(rows, 2) & spanned(columns, 3)
    haze = common.uniform(len(batch), 0, most) * (torch.rand(len(batch)) < share)
    return batch + (1 - batch) * box * haze.reshape(-1, 1, 1, 1)


def spanned(marks: torch.Tensor, dim: int) -> torch.Tensor:
    """From the first mark to the last along a dimension."""
    return (marks.int().cumsum(dim) > 0) & (marks.int().flip(dim).cumsum(dim).flip(dim) > 0)


def main() -> None:
    given = common.arguments("Trains the digit classifier.", epochs=40)
    common.make_deterministic(given.seed)
    folder = given.data / "mnist"
    raw = read_idx(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = read_idx(folder / "t10k-labels-idx1-ubyte.gz", 8).astype(np.int64)
    framed = np.stack([frame_digit(image) for image in raw])

    order = np.random.default_rng(SPLIT_SEED).permutation(len(raw))
    training, held_back = order[:KEPT_FOR_TRAINING], order[KEPT_FOR_TRAINING:]
    if given.validate:
        training, validation = training[:-VALIDATION], training[-VALIDATION:]

    images = as_tensor(framed[training])
    network = common.SmallNet([float(images.mean())], [float(images.std())], WIDTH, classes=10)
    trained = common.train(
        network, images, torch.from_numpy(labels[training]), epochs=given.epochs,
        order=common.shuffled(len(training)), augment=augment, smoothing=0.05,
    )  # fmt: skip
    served = common.Served(trained)

    if given.validate:
        scores = common.probabilities(served, as_tensor(framed[validation]))
        figures.measured("accuracy", figures.top_class, labels[validation], scores, f"{VALIDATION} digits kept out of the 8,000")
        return

    common.export(served, (1, 28, 28), HERE / "model.onnx")
    quality = []
    for how, pixels in (("framed as served", framed), ("raw pixels, not framed", raw)):
        scores = common.onnx_scores(HERE / "model.onnx", as_tensor(pixels[held_back]).numpy())
        quality.append(figures.measured("accuracy", figures.top_class, labels[held_back], scores, f"{len(held_back):,} held-back MNIST test digits, {how}"))
    common.write_manifest(HERE, quality)


if __name__ == "__main__":
    main()
