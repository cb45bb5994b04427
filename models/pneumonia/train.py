"""Trains the pneumonia classifier and writes model.onnx, the figures in model.json and in README.md."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))

import common  # noqa: E402
import figures  # noqa: E402

WIDTH = 24


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images[:, None].astype(np.float32) / np.float32(255))


def without(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which images equal none of the others, pixel for pixel."""
    seen = {other.tobytes() for other in others}
    return np.array([image.tobytes() not in seen for image in images])


def augment(batch: torch.Tensor) -> torch.Tensor:
    """Another position on the plate and another exposure. No flips: the heart is on one side."""
    batch = common.warp(batch, degrees=12, scale=0.1, shift=0.1, padding="border")
    count = len(batch)
    gamma = torch.exp(common.uniform(count, -0.3, 0.3)).reshape(-1, 1, 1, 1)
    contrast = common.uniform(count, 0.8, 1.2).reshape(-1, 1, 1, 1)
    brightness = common.uniform(count, -0.1, 0.1).reshape(-1, 1, 1, 1)
    batch = batch.clamp(min=1e-4) ** gamma
    centre = batch.mean(dim=(1, 2, 3), keepdim=True)
    return ((batch - centre) * contrast + centre + brightness).clamp(0, 1)


def main() -> None:
    given = common.arguments("Trains the pneumonia classifier.", epochs=20)
    common.make_deterministic(given.seed)
    with np.load(given.data / "pneumoniamnist" / "pneumoniamnist.npz") as archive:
        stored = {split: (archive[f"{split}_images"], archive[f"{split}_labels"][:, 0].astype(np.int64)) for split in ("train", "val", "test")}
    (train_images, train_labels), (val_images, val_labels) = stored["train"], stored["val"]

    fresh = without(train_images, val_images)
    train_images, train_labels = train_images[fresh], train_labels[fresh]
    print(f"{int((~fresh).sum())} training images removed: they equal validation images; {len(train_images)} left")

    images, labels = as_tensor(train_images), torch.from_numpy(train_labels)
    network = common.SmallNet([float(images.mean())], [float(images.std())], WIDTH, classes=2)
    trained = common.train(
        network, images, labels, epochs=given.epochs,
        order=common.balanced(labels), augment=augment, smoothing=0.1,
    )  # fmt: skip
    served = common.Served(trained)

    scores = common.probabilities(served, as_tensor(val_images))[:, 1]
    threshold = figures.best_balanced_threshold(val_labels, scores)
    print(f"threshold {threshold} (best balanced accuracy on validation)")
    on = f"PneumoniaMNIST official validation, {len(val_images)} images"
    figures.measured("AUC", figures.auc, val_labels, scores, on)
    figures.measured("balanced accuracy", figures.balanced_accuracy(threshold), val_labels, scores, on)
    if given.validate:
        return

    common.export(served, (1, 28, 28), HERE / "model.onnx")
    test_images, test_labels = stored["test"]
    same = int((~without(test_images, train_images)).sum())
    print(f"{same} test images equal training images")
    scores = common.onnx_scores(HERE / "model.onnx", as_tensor(test_images).numpy())[:, 1]
    on = f"PneumoniaMNIST official test, {len(test_images)} images"
    measures = {
        "AUC": figures.auc,
        "accuracy": figures.accuracy(threshold),
        "balanced accuracy": figures.balanced_accuracy(threshold),
        "sensitivity": figures.sensitivity(threshold),
        "specificity": figures.specificity(threshold),
    }
    quality = [figures.measured(name, measure, test_labels, scores, on) for name, measure in measures.items()]
    common.write_manifest(HERE, quality, threshold)


if __name__ == "__main__":
    main()
