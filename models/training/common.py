"""What the three training scripts share: the network, the training loop, the export, the figures."""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # of no use to it once it is imported

import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

OPSET = 17


# --- arguments and determinism ---------------------------------------------------------------


def arguments(description: str, epochs: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=os.environ.get("TRAINING_DATA"), help="the data folder (default: $TRAINING_DATA)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the weights, the order and the augmentation")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--validate", action="store_true", help="stop at the validation figures: the test set is not read, nothing is written")
    given = parser.parse_args()
    if given.data is None or not Path(given.data).is_dir():
        parser.error("give the data folder with --data or TRAINING_DATA")
    given.data = Path(given.data)
    return given


def make_deterministic(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # sums in one order, so a seed gives one model


# --- the network -----------------------------------------------------------------------------


class Block(nn.Module):
    """Residual block; the shortcut is average-pooled and projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d(stride))
        if inputs != outputs:
            shortcut += [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class SmallNet(nn.Module):
    """3x3 stem, three residual blocks, global average pool, linear. Gives logits.

    The normalisation is part of the network, so a caller has only to divide by 255.
    """

    def __init__(self, mean: list[float], std: list[float], width: int, classes: int, stem_stride: int = 1) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1))
        self.stem = nn.Conv2d(len(mean), width, 3, stem_stride, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2))
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        x = F.relu(self.stem_norm(self.stem(x)))
        return self.head(self.dropout(self.blocks(x).mean(dim=(2, 3))))


class Served(nn.Module):
    """The network as it is served: optionally an average pool before it, a softmax after it."""

    def __init__(self, network: nn.Module, pool: int = 1) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(pool) if pool > 1 else nn.Identity()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(self.pool(image)).softmax(dim=1)


# --- training --------------------------------------------------------------------------------


def shuffled(count: int) -> Callable[[], Tensor]:
    return lambda: torch.randperm(count)


def balanced(labels: Tensor) -> Callable[[], Tensor]:
    """As many draws as images, with replacement, each class equally likely."""
    weights = 1.0 / torch.bincount(labels).double()[labels]
    return lambda: torch.multinomial(weights, len(labels), replacement=True)


def train(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    order: Callable[[], Tensor],
    augment: Callable[[Tensor], Tensor],
    smoothing: float,
    batch: int = 128,
    peak_rate: float = 3e-3,
    keep: float = 0.99,
) -> nn.Module:
    """Trains and returns the moving average of weights and buffers after the last epoch.

    No epoch is picked, so the data that a caller later reports on chooses nothing.
    """
    steps = len(images) // batch
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_rate, epochs * steps)
    average = copy.deepcopy(network)
    began = time.monotonic()
    for epoch in range(epochs):
        network.train()
        total = 0.0
        for chosen in _batches(order(), batch, steps):
            loss = F.cross_entropy(network(augment(images[chosen])), labels[chosen], label_smoothing=smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            _follow(average, network, keep)
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs} loss {total / steps:.4f} {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return average.eval()


def _batches(order: Tensor, batch: int, steps: int) -> Iterator[Tensor]:
    for step in range(steps):
        yield order[step * batch : (step + 1) * batch]


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    for mine, theirs in zip(average.state_dict().values(), network.state_dict().values()):
        if mine.dtype.is_floating_point:
            mine.mul_(keep).add_(theirs, alpha=1 - keep)
        else:
            mine.copy_(theirs)


@torch.no_grad()
def probabilities(served: nn.Module, images: Tensor, batch: int = 256) -> np.ndarray:
    served.eval()
    return torch.cat([served(part) for part in images.split(batch)]).numpy()


# --- augmentation ----------------------------------------------------------------------------


def uniform(count: int, low: float, high: float) -> Tensor:
    return torch.empty(count).uniform_(low, high)


def warp(
    images: Tensor,
    *,
    degrees: float,
    scale: float,
    shift: float,
    shear: float = 0.0,
    elastic: float = 0.0,
    padding: str = "zeros",
) -> Tensor:
    """Each image turned, scaled, sheared, shifted (a part of its side) and bent (pixels) at random."""
    count, _, height, width = images.shape
    angle = torch.deg2rad(uniform(count, -degrees, degrees))
    lean = uniform(count, -shear, shear)
    across, down = uniform(count, 1 - scale, 1 + scale), uniform(count, 1 - scale, 1 + scale)
    cos, sin = torch.cos(angle), torch.sin(angle)
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = cos * across, (lean * cos - sin) * down
    matrix[:, 1, 0], matrix[:, 1, 1] = sin * across, (lean * sin + cos) * down
    matrix[:, :, 2] = torch.empty(count, 2).uniform_(-2 * shift, 2 * shift)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    if elastic > 0:
        coarse = torch.randn(count, 2, 5, 5) * (2 * elastic / width)
        field = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
        grid = grid + field.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)


# --- export and scoring ----------------------------------------------------------------------


def export(served: nn.Module, shape: tuple[int, int, int], path: Path) -> None:
    """Writes one ONNX file: weights inside, input `image`, output `scores`, any batch size."""
    axes = {"image": {0: "batch"}, "scores": {0: "batch"}}
    torch.onnx.export(
        served.eval(), (torch.zeros(1, *shape),), str(path), input_names=["image"], output_names=["scores"],
        dynamic_axes=axes, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    model = onnx.load(str(path))
    for node in model.graph.node:
        node.ClearField("doc_string")  # traces of the machine that trained
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def onnx_scores(path: Path, images: np.ndarray, batch: int = 32) -> np.ndarray:
    """Scores prepared images (count, channels, height, width) with the file that will be served."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    parts = [session.run(["scores"], {"image": images[at : at + batch]})[0] for at in range(0, len(images), batch)]
    return np.concatenate(parts)


# --- the manifest and the card ---------------------------------------------------------------


def write_manifest(folder: Path, quality: list[dict], threshold: float | None = None) -> None:
    """Updates what training decides in `model.json` and the table of figures in `README.md`."""
    manifest = json.loads((folder / "model.json").read_text())
    weights = (folder / "model.onnx").read_bytes()
    manifest["weights"] = {"file": "model.onnx", "sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    if threshold is not None:
        manifest["output"]["threshold"] = threshold
    manifest["card"]["quality"] = quality
    (folder / "model.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")

    begin, end = "<!-- figures: written by train.py -->", "<!-- end of figures -->"
    card = (folder / "README.md").read_text()
    before, rest = card.split(begin)
    _, after = rest.split(end)
    rows = [f"| {q['measure']} | {q['value']:.4f} | {q['low']:.4f} to {q['high']:.4f} | {q['on']} |" for q in quality]
    table = "\n".join(["| measure | value | 95 % interval | on |", "|---|---|---|---|", *rows])
    (folder / "README.md").write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}")
