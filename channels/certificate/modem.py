"""Bit error rate, LLRs and block error rate of the modem over the channels against theory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from channels.base import Channel
from channels.certificate import theory
from channels.certificate.lines import Line, Modem
from channels.certificate.measurement import sample_count, streams, transmit
from channels.certificate.subjects import K_FACTORS, has_grid, line_of_sight
from channels.rng import Rng

ORDERS = {1: "BPSK", 2: "QPSK", 4: "16QAM", 6: "64QAM", 8: "256QAM"}
GRIDS = ("tdl A", "tdl B", "tdl C", "tdl D", "tdl E", "cdl A", "cdl D")
"""Multipath channels whose bit error rates are measured: the gain of a subcarrier is Rician.

For a TDL this is exact. For a CDL, a sum of hundreds of rays, E|h|^4 differs by 1 %, less than the lines resolve.
"""


def random_bits(rows: int, length: int, rng: Rng) -> Tensor:
    """Equally likely bits, uint8 [rows, length]."""
    return (rng.derive("bits").uniform(length) < 0.5).to(torch.uint8)


def bit_errors(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Uncoded BER of each modulation, 0 to 20 dB; z from the variance between independent gains, not between bits.

    A row has symbols of all modulations, one after the other, so that each realization of a channel serves all of them.
    """
    for name in [*K_FACTORS, *GRIDS]:
        if name not in channels:
            continue
        block_fading = name.endswith("block") or has_grid(name)
        rows = sample_count(4000 if block_fading else 1000, scale)
        uses = 48 if block_fading else 240
        direct = line_of_sight(name) if has_grid(name) else 0.0
        k_factor = K_FACTORS.get(name, direct / (1 - direct))
        for snr_db in range(0, 21, 10) if has_grid(name) else range(0, 21, 2):
            rng = streams(f"{name} {snr_db}", rows)
            bits = random_bits(rows, uses * sum(ORDERS), rng).split([uses * order for order in ORDERS], 1)
            symbols = [modem.map_bits(part, order) for part, order in zip(bits, ORDERS, strict=True)]
            received = transmit(channels[name], torch.cat(symbols, 1), float(snr_db), rng)
            sections = zip(received.symbols.split(uses, 1), received.noise_var.split(uses, 1), strict=True)
            for (order, title), sent, (section, noise_var) in zip(ORDERS.items(), bits, sections, strict=True):
                wrong = (modem.demap(section, noise_var, order) < 0) != sent.bool()
                measured = wrong.double().mean(1)
                expected, variance = _expected(k_factor, order, snr_db, sent.shape[1], block_fading)
                # one error more or less is not significant where hardly any is expected
                floor = (1 / sent.numel()) ** 2
                error = math.sqrt(max(float(measured.var()), variance) / rows + floor)
                mean = float(measured.mean())
                yield Line(f"BER {name} {title} {snr_db} dB", mean, expected, (mean - expected) / error)


def _expected(k_factor: float, bits_per_symbol: int, snr_db: int, bits: int, block_fading: bool) -> tuple[float, float]:
    """Exact BER, and variance of the BER of a row."""
    snr = 10 ** (snr_db / 10)
    if math.isinf(k_factor):
        expected = float(theory.ber_awgn(bits_per_symbol, snr))
        return expected, expected * (1 - expected) / bits
    expected = theory.ber_fading(bits_per_symbol, snr, k_factor)
    between = theory.ber_fading(bits_per_symbol, snr, k_factor, power=2) - expected**2
    return expected, (between if block_fading else between * bits_per_symbol / bits) + expected * (1 - expected) / bits


def llr_slope(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Slope s of the fit P(b = 0 | LLR) = 1 / (1 + e^(-s LLR)): 1 for exact LLRs."""
    for name in [name for name in channels if name in ("awgn", "rayleigh") or name in GRIDS]:
        points = ((2, 3.0), (6, 12.0)) if has_grid(name) else ((1, 0.0), (2, 3.0), (4, 8.0), (6, 12.0), (8, 16.0))
        for bits_per_symbol, snr_db in points:
            order = ORDERS[bits_per_symbol]
            rows = sample_count(120, scale, 40)
            rng = streams(f"LLR {name} {order}", rows)
            bits = random_bits(rows, 2000 * bits_per_symbol, rng)
            received = transmit(channels[name], modem.map_bits(bits, bits_per_symbol), snr_db, rng)
            llr = modem.demap(received.symbols, received.noise_var, bits_per_symbol)
            slope = logistic_slope(llr, bits)
            yield Line(f"{name}: LLR slope {order} {snr_db:g} dB", slope, 1.0, slope - 1, "tolerance", 0.02)


def logistic_slope(llr: Tensor, bits: Tensor) -> float:
    """Maximum-likelihood slope of the log odds over the LLR, at most 1000 in magnitude."""
    signed = (llr.double() * (1 - 2 * bits.double())).flatten()
    slope = 0.0
    for _ in range(30):
        wrong = torch.sigmoid(-slope * signed)
        curvature = float((signed.square() * wrong * (1 - wrong)).sum())
        step = float((signed * wrong).sum()) / max(curvature, 1e-12)
        slope += max(-1.0, min(1.0, step))
        if abs(step) < 1e-6 or abs(slope) > 1000:
            break
    return slope


def block_errors(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """BLER of the modem is not above that of Sionna's decoder at 0.1 dB less, with 20 iterations and the same noise.

    k = 1024, n = 2048, 16QAM: 512 uses.
    """
    if "awgn" not in channels:
        return
    from channels.modem.transport_block import Decoded, Mcs, decode, encode

    mcs = Mcs(4, 0.5)
    rows, info_bits, uses, snr_db, loss_db = sample_count(1000, scale, 20), 1000, 512, 6.3, 0.1
    rng = streams("LDPC", rows)
    payload = random_bits(rows, info_bits, rng)

    def reference_decode(symbols: Tensor, noise_var: Tensor, mcs: Mcs, info_bits: int, iterations: int) -> Decoded:
        return decode(symbols, noise_var, mcs, info_bits, decoder="sionna", iterations=iterations)

    failed = []
    for sent, decoder, offset in (
        (modem.encode(payload, mcs, uses), modem.decode, 0.0),
        (encode(payload, mcs, uses), reference_decode, -loss_db),
    ):
        received = transmit(channels["awgn"], sent, snr_db + offset, rng)
        decoded = [
            decoder(received.symbols[part], received.noise_var[part], mcs, info_bits, iterations=20).bits
            for part in torch.arange(rows).split(100)
        ]
        failed.append((torch.cat(decoded) != payload).any(1))
    errors, reference = failed
    different = max(int((errors ^ reference).sum()), 1)
    z = max(0.0, (int(errors.sum()) - int(reference.sum())) / math.sqrt(different))
    yield Line(
        f"BLER of semcom {snr_db} dB, Sionna {snr_db - loss_db:.1f} dB, k 1024 n 2048 16QAM",
        float(errors.double().mean()),
        float(reference.double().mean()),
        z,
    )
