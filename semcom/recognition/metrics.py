"""Quality of decisions and posteriors: accuracy, log loss, calibration, confusion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 10
_LEAST = 1e-12  # of a posterior, so that no log loss is infinite


def accuracy(truth: NDArray[np.int64], posterior: NDArray[np.float64]) -> float:
    """Share of frames whose largest posterior is that of the true modulation.

    Args:
        truth: index of the modulation, int64 [frames].
        posterior: float64 [frames, modulations].
    """
    return float((posterior.argmax(1) == truth).mean())


def log_loss(truth: NDArray[np.int64], posterior: NDArray[np.float64]) -> float:
    """Mean of -ln(posterior of the true modulation), in nats.

    >>> log_loss(np.array([0]), np.array([[0.5, 0.5]])).__round__(4)
    0.6931
    """
    return float(-np.log(np.maximum(posterior[np.arange(len(truth)), truth], _LEAST)).mean())


def reliability(truth: NDArray[np.int64], posterior: NDArray[np.float64]) -> list[tuple[float, float, int]]:
    """Mean largest posterior, share of correct decisions and number of frames, for each of 10 bins that is not empty.

    Source: C. Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    largest, right = posterior.max(1), posterior.argmax(1) == truth
    place = np.minimum((largest * BINS).astype(int), BINS - 1)
    found = [place == number for number in range(BINS)]
    return [(float(largest[part].mean()), float(right[part].mean()), int(part.sum())) for part in found if part.any()]


def expected_calibration_error(truth: NDArray[np.int64], posterior: NDArray[np.float64]) -> float:
    """Mean over frames of |mean posterior - share of correct decisions| of the bin of each frame."""
    bins = reliability(truth, posterior)
    return sum(count * abs(confidence - right) for confidence, right, count in bins) / len(truth)


def confusion(truth: NDArray[np.int64], posterior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the frames of each modulation (row) that are taken for each modulation (column)."""
    count = posterior.shape[1]
    found = np.zeros((count, count))
    np.add.at(found, (truth, posterior.argmax(1)), 1)
    return found / np.maximum(found.sum(1, keepdims=True), 1)
