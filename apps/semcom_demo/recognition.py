"""Recognition of a modulation: frames, posteriors of three recognizers, and their accuracy."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from channels.blind_recognition import blind_log_likelihoods
from channels.recognition import MODULATIONS, log_likelihoods, posterior
from channels.rng import Rng, seed_for
from semcom.recognition import networks
from semcom.recognition.recording import CANDIDATES, SNR_DB
from semcom.recognition.task import Task
from semcom.results.intervals import Estimate, proportion
from semcom_demo import charts

FRAMES = 20  # frames of each modulation that the accuracy is measured with
NAMES = {
    "bpsk": "BPSK", "qpsk": "QPSK", "8psk": "8PSK", "16qam": "16QAM", "64qam": "64QAM", "256qam": "256QAM",
    "gaussian": "Gaussian (analog)",
}  # fmt: skip
# Colors of Okabe and Ito
COLORS = {"Bound: gain and noise known": "#808080", "Likelihood, nothing known": "#0072B2", "Network": "#D55E00"}


def frames(modulation: str, uses: int, snr_db: float, seeds: Sequence[int], angle: float) -> Tensor:
    """Received symbols y = exp(j angle) a + w, complex64 [rows, uses], one row for each seed.

    Args:
        modulation: Name of the modulation.
        uses: Channel uses of each frame.
        snr_db: Es/N0 in dB.
        seeds: Seed of each frame.
        angle: Phase of the gain in radians.
    """
    rng = Rng(seeds)
    variance = torch.full((len(seeds),), 10 ** (-snr_db / 10))
    noise = rng.derive("noise").complex_normal(uses, variance=variance)
    return MODULATIONS[modulation].draw(uses, rng) * cmath.exp(1j * angle) + noise


def posteriors(symbols: Tensor, snr_db: float, angle: float) -> dict[str, Tensor]:
    """Posterior of each modulation, [rows, modulations], by recognizer."""
    known, blind, network = COLORS
    gain = cmath.exp(1j * angle)
    noise = 10 ** (-snr_db / 10)
    trained, names = _network()
    with torch.no_grad():
        logits, _ = networks.classified(trained, symbols)
    order = [names.index(name) for name in CANDIDATES]
    return {
        known: posterior(log_likelihoods(symbols, CANDIDATES, noise_variance=noise, gain=gain)),
        blind: posterior(blind_log_likelihoods(symbols, CANDIDATES, SNR_DB).log_likelihood),
        network: torch.softmax(logits[:, order].double(), 1),
    }


@lru_cache(maxsize=256)
def accuracy(uses: int, snr_db: float, seed: int) -> dict[str, Estimate]:
    """Share of correct decisions with its 95 % interval, by recognizer, over all modulations."""
    correct: dict[str, list[bool]] = {name: [] for name in COLORS}
    for number, name in enumerate(CANDIDATES):
        seeds = [seed_for(seed, "accuracy", name, row) for row in range(FRAMES)]
        angle = 2 * math.pi * number / 7
        for recognizer, found in posteriors(frames(name, uses, snr_db, seeds, angle), snr_db, angle).items():
            correct[recognizer] += (found.argmax(1) == number).tolist()
    return {
        name: proportion(np.array(values, dtype=float), np.ones(len(values)), range(len(values)))
        for name, values in correct.items()
    }


def scenario(uses: int, snr_db: int, seed: int) -> str:
    """Scenario of recognition with these recognizers; its lowest and highest SNR are those of the prior."""
    levels = tuple(sorted({SNR_DB[0], float(snr_db), SNR_DB[1]}))
    title = f"Recognition of {len(CANDIDATES)} modulations"
    known = ("all_known", "nothing_known", "recognition")
    return Task(title, CANDIDATES, "awgn", levels, (uses,), known, FRAMES, seed).yaml().decode()


@lru_cache(maxsize=1)
def _network() -> tuple[torch.nn.Module, tuple[str, ...]]:
    network, names, _ = networks.load()
    return network.eval(), names


def show_posteriors(found: dict[str, Tensor]) -> None:
    """Draw the posterior of each modulation for the first row."""
    rows = [
        {"modulation": NAMES[name], "recognizer": recognizer, "posterior": value}
        for recognizer, values in found.items()
        for name, value in zip(CANDIDATES, values[0].tolist(), strict=True)
    ]
    encoding: dict[str, Any] = {
        "y": {"field": "modulation", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 140}},
        "yOffset": {"field": "recognizer", "sort": None},
        "x": {"field": "posterior", "type": "quantitative", "title": "Posterior", "scale": {"domain": [0, 1]}},
        "color": {
            "field": "recognizer",
            "type": "nominal",
            "title": None,
            "sort": None,
            "scale": {"domain": list(COLORS), "range": list(COLORS.values())},
            "legend": {"orient": "bottom", "columns": 1, "labelLimit": 300},
        },
        "tooltip": [
            {"field": "recognizer", "type": "nominal"},
            {"field": "modulation", "type": "nominal"},
            {"field": "posterior", "type": "quantitative", "format": ".3f"},
        ],
    }
    charts.show({"mark": "bar", "height": 420, "encoding": encoding}, rows, "posteriors")


def show_accuracy(found: dict[str, Estimate]) -> None:
    """Show the share of correct decisions of each recognizer with its 95 % interval."""
    lines = ["| Recognizer | Correct decisions | 95 % interval |", "|---|---|---|"]
    for name, one in found.items():
        lines.append(f"| {name} | {100 * one.mean:.0f} % | {100 * one.low:.0f} to {100 * one.high:.0f} % |")
    st.markdown("\n".join(lines))
