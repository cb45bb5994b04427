"""Trains the breast patch classifier and writes model.onnx, the figures in model.json and in README.md."""

from __future__ import annotations

import csv
import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))

import common  # noqa: E402
import figures  # noqa: E402

WIDTH = 24
SIDE = 224  # what the model takes
POOL = 4  # what the graph pools it by before the network
THRESHOLD = 0.5  # fixed before any training


def read_patches(folder: Path) -> tuple[dict[str, np.ndarray], list[dict[str, str]]]:
    """Patches by file name (50x50x3 uint8) and the rows of the manifest, which give the split."""
    with (folder / "manifest.csv").open(newline="") as manifest:
        rows = list(csv.DictReader(manifest))
    with tarfile.open(folder / "idc50.tar") as archive:
        pixels = {
            Path(entry.name).name: np.asarray(Image.open(io.BytesIO(archive.extractfile(entry).read())).convert("RGB"))
            for entry in archive
            if entry.isfile() and entry.name.endswith(".png")
        }
    return pixels, rows


def as_served(patch: np.ndarray) -> np.ndarray:
    """50x50x3 uint8 -> 3x224x224 float32, as the server prepares it."""
    picture = Image.fromarray(patch).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(picture).transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def pooled(patches: list[np.ndarray]) -> torch.Tensor:
    """What the network sees behind the graph's pool; kept instead of the 16 times larger input."""
    return torch.cat([F.avg_pool2d(torch.from_numpy(as_served(patch))[None], POOL) for patch in patches])


def augment(batch: torch.Tensor) -> torch.Tensor:
    """Any of the eight turns and flips (a slide has no up), and stains of another strength."""
    turns = torch.randint(0, 8, (len(batch),))
    out = batch.clone()
    for turn in range(8):
        chosen = turns == turn
        part = torch.rot90(batch[chosen], turn % 4, dims=(2, 3))
        out[chosen] = part.flip(3) if turn >= 4 else part
    # Absorbance is -log of the light let through, so scaling it is a power of the pixel.
    strength = torch.empty(len(batch), 3, 1, 1).uniform_(0.8, 1.2)
    return out.clamp(min=1e-3) ** strength


def main() -> None:
    given = common.arguments("Trains the breast patch classifier.", epochs=30)
    common.make_deterministic(given.seed)
    pixels, rows = read_patches(given.data / "idc50")
    split = {part: [row for row in rows if row["split_by_patient"] == part] for part in ("train", "val", "test")}
    patients = {part: {row["patient"] for row in chosen} for part, chosen in split.items()}
    assert not (patients["train"] & patients["val"] or patients["train"] & patients["test"] or patients["val"] & patients["test"])
    truth = {part: np.array([int(row["label"]) for row in chosen]) for part, chosen in split.items()}
    who = {part: np.array([row["patient"] for row in chosen]) for part, chosen in split.items()}

    images = pooled([pixels[row["file"]] for row in split["train"]])
    labels = torch.from_numpy(truth["train"])
    mean, std = images.mean(dim=(0, 2, 3)), images.std(dim=(0, 2, 3))
    network = common.SmallNet(mean.tolist(), std.tolist(), WIDTH, classes=2, stem_stride=2)
    trained = common.train(
        network, images, labels, epochs=given.epochs,
        order=common.shuffled(len(labels)), augment=augment, smoothing=0.1,
    )  # fmt: skip

    measures = {
        "AUC": figures.auc,
        "balanced accuracy": figures.balanced_accuracy(THRESHOLD),
        "sensitivity": figures.sensitivity(THRESHOLD),
        "specificity": figures.specificity(THRESHOLD),
    }
    validation = pooled([pixels[row["file"]] for row in split["val"]])
    scores = common.probabilities(common.Served(trained), validation)[:, 1]
    on = f"{len(scores)} validation patches of {len(patients['val'])} patients"
    for name, measure in measures.items():
        figures.measured(name, measure, truth["val"], scores, on, who["val"])
    if given.validate:
        return

    common.export(common.Served(trained, POOL), (3, SIDE, SIDE), HERE / "model.onnx")
    prepared = np.stack([as_served(pixels[row["file"]]) for row in split["test"]])
    scores = common.onnx_scores(HERE / "model.onnx", prepared)[:, 1]
    on = f"{len(scores)} patches of {len(patients['test'])} held-out patients"
    quality = [figures.measured(name, measure, truth["test"], scores, on, who["test"]) for name, measure in measures.items()]
    common.write_manifest(HERE, quality)


if __name__ == "__main__":
    main()
