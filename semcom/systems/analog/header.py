"""Header of the analog stream: level of each band, scale of the stream, SNR of the power allocation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from channels import modem

# 0.2 bits per channel use: decodable above about -5 dB.
MCS = modem.Mcs(bits_per_symbol=2, code_rate=0.1)

LEVEL_BITS, _LEVEL_STEP_DB, _LOWEST_LEVEL_DB = 4, 4.0, -62.0
_SCALE_BITS, _SCALE_STEP_DB, _LOWEST_SCALE_DB = 8, 0.1, -15.5
_SNR_BITS, _LOWEST_SNR_DB = 6, -20
_ANY_SNR = 2**_SNR_BITS - 1  # gains independent of the SNR


@dataclass(frozen=True)
class Header:
    """Quantized side information.

    Args:
        levels: quantized variance of each band, int64 [bands], 0 to 15.
        scale: quantized factor of the stream energy, steps of 0.1 dB.
        snr: quantized SNR of the power allocation, steps of 1 dB from -20 dB; the largest value means none.
    """

    levels: Int[np.ndarray, " bands"]
    scale: int
    snr: int

    @property
    def variance_levels(self) -> Float[np.ndarray, " bands"]:
        """Mean ratio of squared coefficients to the prior variance in each band, linear."""
        return 10 ** ((_LOWEST_LEVEL_DB + _LEVEL_STEP_DB * np.arange(2.0**LEVEL_BITS)) / 10)[self.levels]

    @property
    def energy_factor(self) -> float:
        """Factor of the squared gains."""
        return energy_factor(self.scale)

    @property
    def design_noise(self) -> float:
        """Noise variance per real dimension of the power allocation; 0 for SoftCast."""
        return 0.0 if self.snr == _ANY_SNR else 0.5 * 10 ** (-(_LOWEST_SNR_DB + self.snr) / 10)

    def to_bits(self) -> UInt8[np.ndarray, " bits"]:
        """Header as bits, most significant bit of each field first."""
        fields = (torch.from_numpy(self.levels), LEVEL_BITS), (self.scale, _SCALE_BITS), (self.snr, _SNR_BITS)
        parts = [modem.integers_to_bits(torch.as_tensor(values), width).flatten() for values, width in fields]
        return torch.cat(parts).numpy()

    @staticmethod
    def from_bits(bits: UInt8[np.ndarray, " bits"]) -> Header:
        """Inverse of `to_bits`.

        >>> Header.from_bits(Header(np.array([3, 15]), scale=200, snr=30).to_bits())
        Header(levels=array([ 3, 15]), scale=200, snr=30)
        """
        level_bits = len(bits) - _SCALE_BITS - _SNR_BITS
        levels, scale, snr = torch.tensor(bits).split([level_bits, _SCALE_BITS, _SNR_BITS])
        levels = modem.bits_to_integers(levels.view(-1, LEVEL_BITS))
        return Header(levels.numpy(), int(modem.bits_to_integers(scale)), int(modem.bits_to_integers(snr)))


def header_bits(bands: int) -> int:
    """Header length for a number of bands, bits."""
    return bands * LEVEL_BITS + _SCALE_BITS + _SNR_BITS


def quantized_levels(levels: Float[np.ndarray, " bands"]) -> Int[np.ndarray, " bands"]:
    """Quantize linear levels to the nearest step of 4 dB."""
    steps = (10 * np.log10(np.maximum(levels, 1e-12)) - _LOWEST_LEVEL_DB) / _LEVEL_STEP_DB
    return np.clip(np.rint(steps), 0, 2**LEVEL_BITS - 1).astype(np.int64)


def energy_factor(scale: int) -> float:
    """Energy factor of a quantized scale, the inverse of `quantized_scale`."""
    return 10 ** ((_LOWEST_SCALE_DB + _SCALE_STEP_DB * scale) / 10)


def quantized_scale(energy_factor: float) -> int:
    """Quantize an energy factor to the largest step of 0.1 dB that does not exceed it."""
    step = math.floor((10 * math.log10(energy_factor) - _LOWEST_SCALE_DB) / _SCALE_STEP_DB)
    return min(max(step, 0), 2**_SCALE_BITS - 1)


def quantized_snr(snr_db: float | None) -> int:
    """Quantize an SNR to the nearest dB; None means no SNR."""
    return _ANY_SNR if snr_db is None else min(max(round(snr_db) - _LOWEST_SNR_DB, 0), _ANY_SNR - 1)
