"""Measures of quality and their 95 % bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DRAWS = 2000
BOOTSTRAP_SEED = 2024

Measure = Callable[[np.ndarray, np.ndarray], float]
"""Of labels and scores: one positive-class probability a row, or one column a class."""


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic; ties count a half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def sensitivity(threshold: float) -> Measure:
    return lambda labels, scores: float((scores[labels == 1] >= threshold).mean())


def specificity(threshold: float) -> Measure:
    return lambda labels, scores: float((scores[labels == 0] < threshold).mean())


def balanced_accuracy(threshold: float) -> Measure:
    found, spared = sensitivity(threshold), specificity(threshold)
    return lambda labels, scores: (found(labels, scores) + spared(labels, scores)) / 2


def accuracy(threshold: float) -> Measure:
    return lambda labels, scores: float(((scores >= threshold) == (labels == 1)).mean())


def top_class(labels: np.ndarray, scores: np.ndarray) -> float:
    return float((scores.argmax(axis=1) == labels).mean())


def best_balanced_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """The threshold of best balanced accuracy, rounded to four places.

    Candidates lie midway between neighbouring scores. Of equally good ones the middle one is
    taken, because a saturated validation set offers many and its ends are the fragile ones.
    """
    distinct = np.unique(scores)
    candidates = (distinct[:-1] + distinct[1:]) / 2
    quality = np.array([balanced_accuracy(c)(labels, scores) for c in candidates])
    best = candidates[quality >= quality.max() - 1e-12]
    return round(float(best[(len(best) - 1) // 2]), 4)


def measured(
    name: str, measure: Measure, labels: np.ndarray, scores: np.ndarray, on: str, groups: np.ndarray | None = None
) -> dict:
    """One entry of the manifest's `card.quality`.

    The interval is the 2.5 to 97.5 percentile of 2,000 resamples. With `groups` (patients) whole
    groups are drawn: patches of one patient are no independent evidence.
    """
    draw = np.random.default_rng(BOOTSTRAP_SEED)
    keys = np.arange(len(labels)) if groups is None else groups
    members = [np.flatnonzero(keys == key) for key in np.unique(keys)]
    values = []
    for _ in range(DRAWS):
        rows = np.concatenate([members[i] for i in draw.integers(0, len(members), len(members))])
        values.append(measure(labels[rows], scores[rows]))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    entry = {"measure": name, "value": round(measure(labels, scores), 4), "low": round(float(low), 4), "high": round(float(high), 4), "on": on}
    print(f"{name}: {entry['value']:.4f} (95 % {entry['low']:.4f} to {entry['high']:.4f}), {on}", flush=True)
    return entry
