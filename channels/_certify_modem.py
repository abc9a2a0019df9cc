"""Bit errors, LLRs and block errors: the certificate's measurements through the modem."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from channels import _theory
from channels._base import Channel
from channels._certify_air import FLAT, carried, count, line_of_sight, on_grid, streams
from channels._rng import Rng
from channels.certificate import Line, Modem

ORDERS = {1: "BPSK", 2: "QPSK", 4: "16QAM", 6: "64QAM", 8: "256QAM"}
GRIDS = ("tdl A", "tdl B", "tdl C", "tdl D", "tdl E", "cdl A", "cdl D")
"""Multipath whose bit errors are measured: a subcarrier's gain is Rician, exactly for a tdl.

That of a cdl is a sum of hundreds of rays, Rician but for 1 % of E|h|^4, which is less than the lines resolve.
"""


def random_bits(rows: int, length: int, rng: Rng) -> Tensor:
    """Fair bits, uint8 [rows, length]."""
    return (rng.derive("bits").uniform(length) < 0.5).to(torch.uint8)


def bit_errors(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """Uncoded BER of each order, 0 to 20 dB; z from the variance between independent fades, not between bits."""
    for name in [*FLAT, *GRIDS]:
        if name not in channels:
            continue
        one_fade = name.endswith("block") or on_grid(name)
        rows = count(4000 if one_fade else 1000, scale)
        uses = 48 if one_fade else 240
        seen = line_of_sight(name) if on_grid(name) else 0.0
        k_factor = FLAT.get(name, seen / (1 - seen))
        points = range(0, 21, 10) if on_grid(name) else range(0, 21, 2)
        for bits_per_symbol, order in ORDERS.items():
            for snr_db in points:
                rng = streams(f"{name} {order} {snr_db}", rows)
                bits = random_bits(rows, uses * bits_per_symbol, rng)
                heard = carried(channels[name], modem.map_bits(bits, bits_per_symbol), float(snr_db), rng)
                llr = modem.demap(heard.symbols, heard.noise_var, bits_per_symbol)
                measured = ((llr < 0) != bits.bool()).double().mean(1)
                expected, variance = _expected(k_factor, bits_per_symbol, snr_db, bits.shape[1], one_fade)
                # one error more or less is no evidence where hardly any is expected
                floor = (1 / bits.numel()) ** 2
                error = math.sqrt(max(float(measured.var()), variance) / rows + floor)
                mean = float(measured.mean())
                yield Line(f"BER {name} {order} {snr_db} dB", mean, expected, (mean - expected) / error)


def _expected(k_factor: float, bits_per_symbol: int, snr_db: int, bits: int, one_fade: bool) -> tuple[float, float]:
    """Exact BER, and the variance of a row's BER."""
    snr = 10 ** (snr_db / 10)
    if math.isinf(k_factor):
        expected = float(_theory.ber_awgn(bits_per_symbol, snr))
        return expected, expected * (1 - expected) / bits
    expected = _theory.ber_fading(bits_per_symbol, snr, k_factor)
    between = _theory.ber_fading(bits_per_symbol, snr, k_factor, power=2) - expected**2
    return expected, (between if one_fade else between * bits_per_symbol / bits) + expected * (1 - expected) / bits


def llr_slope(channels: Mapping[str, Channel], modem: Modem, scale: float) -> Iterator[Line]:
    """The slope s of the fit P(b = 0 | LLR) = 1 / (1 + e^(-s LLR)) is 1 for exact LLRs."""
    for name in [name for name in channels if name in ("awgn", "rayleigh") or name in GRIDS]:
        points = ((2, 3.0), (6, 12.0)) if on_grid(name) else ((1, 0.0), (2, 3.0), (4, 8.0), (6, 12.0), (8, 16.0))
        for bits_per_symbol, snr_db in points:
            order = ORDERS[bits_per_symbol]
            rows = count(120, scale, 40)
            rng = streams(f"LLR {name} {order}", rows)
            bits = random_bits(rows, 2000 * bits_per_symbol, rng)
            heard = carried(channels[name], modem.map_bits(bits, bits_per_symbol), snr_db, rng)
            llr = modem.demap(heard.symbols, heard.noise_var, bits_per_symbol)
            slope = logistic_slope(llr, bits)
            yield Line(f"{name}: LLR slope {order} {snr_db:g} dB", slope, 1.0, slope - 1, "tolerance", 0.02)


def logistic_slope(llr: Tensor, bits: Tensor) -> float:
    """Maximum-likelihood slope of the log odds over the LLR; bounded by 1000 when the bits are separated."""
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
    """BLER of the modem's decoder is not above that of Sionna's 20 iterations at 0.1 dB less, in the same noise.

    k = 1024, n = 2048, 16QAM: 512 uses.
    """
    if "awgn" not in channels:
        return
    from channels.modem import Decoded, Mcs, decode, encode

    mcs = Mcs(4, 0.5)
    rows, info_bits, uses, snr_db, loss_db = count(1000, scale, 20), 1000, 512, 6.3, 0.1
    rng = streams("LDPC", rows)
    payload = random_bits(rows, info_bits, rng)

    def reference_decode(symbols: Tensor, noise_var: Tensor, mcs: Mcs, info_bits: int, iterations: int) -> Decoded:
        return decode(symbols, noise_var, mcs, info_bits, decoder="sionna", iterations=iterations)

    failed = []
    for sent, decoder, offset in (
        (modem.encode(payload, mcs, uses), modem.decode, 0.0),
        (encode(payload, mcs, uses), reference_decode, -loss_db),
    ):
        heard = carried(channels["awgn"], sent, snr_db + offset, rng)
        found = [
            decoder(heard.symbols[part], heard.noise_var[part], mcs, info_bits, iterations=20).bits
            for part in torch.arange(rows).split(100)
        ]
        failed.append((torch.cat(found) != payload).any(1))
    ours, reference = failed
    disagree = max(int((ours ^ reference).sum()), 1)
    z = max(0.0, (int(ours.sum()) - int(reference.sum())) / math.sqrt(disagree))
    yield Line(
        f"BLER of ours {snr_db} dB, Sionna {snr_db - loss_db:.1f} dB, k 1024 n 2048 16QAM",
        float(ours.double().mean()),
        float(reference.double().mean()),
        z,
    )
