"""What the receiver is told: the level of each band, the scale of the stream, the SNR that the gains were made for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from channels import modem

# A fifth of a bit a use: decodes down to about -5 dB.
MCS = modem.Mcs(bits_per_symbol=2, code_rate=0.1)

LEVEL_BITS, _LEVEL_STEP_DB, _LOWEST_LEVEL_DB = 4, 4.0, -62.0
_SCALE_BITS, _SCALE_STEP_DB, _LOWEST_SCALE_DB = 8, 0.1, -15.5
_SNR_BITS, _LOWEST_SNR_DB = 6, -20
_ANY_SNR = 2**_SNR_BITS - 1  # gains that do not depend on the SNR


@dataclass(frozen=True)
class Header:
    """Quantised side information.

    Args:
        levels: int64 [bands], each from 0 to 15.
        scale: factor on the stream's energy, in steps of 0.1 dB.
        snr: that the gains were made for, in dB from -20 up; the last value stands for none.
    """

    levels: Int[np.ndarray, " bands"]
    scale: int
    snr: int

    @property
    def variance_levels(self) -> Float[np.ndarray, " bands"]:
        """Mean of each band's squared coefficients over the prior, linear."""
        return 10 ** ((_LOWEST_LEVEL_DB + _LEVEL_STEP_DB * np.arange(2.0**LEVEL_BITS)) / 10)[self.levels]

    @property
    def energy_factor(self) -> float:
        """What the squared gains are multiplied with."""
        return 10 ** ((_LOWEST_SCALE_DB + _SCALE_STEP_DB * self.scale) / 10)

    @property
    def design_noise(self) -> float:
        """Variance of the real noise that the gains were made for; 0 for SoftCast's."""
        return 0.0 if self.snr == _ANY_SNR else 0.5 * 10 ** (-(_LOWEST_SNR_DB + self.snr) / 10)

    def to_bits(self) -> UInt8[np.ndarray, " bits"]:
        """All fields, most significant bits first."""
        fields = [(int(level), LEVEL_BITS) for level in self.levels]
        fields += [(self.scale, _SCALE_BITS), (self.snr, _SNR_BITS)]
        return np.array([int(bit) for value, width in fields for bit in f"{value:0{width}b}"], np.uint8)

    @staticmethod
    def from_bits(bits: UInt8[np.ndarray, " bits"]) -> Header:
        """Inverse of `to_bits`.

        >>> Header.from_bits(Header(np.array([3, 15]), scale=200, snr=30).to_bits())
        Header(levels=array([ 3, 15]), scale=200, snr=30)
        """
        text = "".join(map(str, bits))
        snr, scale = int(text[-_SNR_BITS:], 2), int(text[-_SNR_BITS - _SCALE_BITS : -_SNR_BITS], 2)
        levels = range(0, len(text) - _SNR_BITS - _SCALE_BITS, LEVEL_BITS)
        return Header(np.array([int(text[start : start + LEVEL_BITS], 2) for start in levels]), scale, snr)


def header_bits(bands: int) -> int:
    """Length of a header for so many bands."""
    return bands * LEVEL_BITS + _SCALE_BITS + _SNR_BITS


def quantised_levels(levels: Float[np.ndarray, " bands"]) -> Int[np.ndarray, " bands"]:
    """The steps of 4 dB nearest to linear levels."""
    steps = (10 * np.log10(np.maximum(levels, 1e-12)) - _LOWEST_LEVEL_DB) / _LEVEL_STEP_DB
    return np.clip(np.rint(steps), 0, 2**LEVEL_BITS - 1).astype(np.int64)


def quantised_scale(energy_factor: float) -> int:
    """The largest step that is not above an energy factor."""
    step = math.floor((10 * math.log10(energy_factor) - _LOWEST_SCALE_DB) / _SCALE_STEP_DB)
    return min(max(step, 0), 2**_SCALE_BITS - 1)


def quantised_snr(snr_db: float | None) -> int:
    """The nearest whole dB; None is no SNR."""
    return _ANY_SNR if snr_db is None else min(max(round(snr_db) - _LOWEST_SNR_DB, 0), _ANY_SNR - 1)
