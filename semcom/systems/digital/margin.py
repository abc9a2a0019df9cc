"""SNR margin of the scheme selection with the highest expected PSNR over the fading of a channel."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from channels.base import Channel, noise_variance
from channels.modem import link_adaptation
from channels.modem.mutual_information import mutual_information
from channels.rng import Rng, seed_for
from semcom.systems.digital import accumulation

# Negative ones, for channels with the gain of several antennas, come last: of equally good margins the first is chosen.
MARGINS_DB = (*np.arange(0.0, 25.5, 0.5).tolist(), *np.arange(-0.5, -12.5, -0.5).tolist())
_SNRS_DB = (0.0, 5.0, 10.0, 15.0, 20.0)  # of a margin for any average SNR
_LONGEST = 1 << 14  # channel uses that are simulated at most of each transmission
_SYMBOLS = 1 << 21  # channel uses that are simulated in all
_ROUNDING_DB = 1e-3  # rounding of float32 noise variances


@lru_cache(maxsize=1024)
def best_margin_db(
    channel: Channel,
    codec: str,
    uses: int,
    pixels: int,
    snr_db: float | None,
    versions: tuple[int, ...] = (0,),
) -> float:
    """SNR margin in dB with the highest expected PSNR over the fading of a channel.

    E[PSNR] = mean over simulated fading realizations of PSNR(rate of the selected scheme) if the scheme is decodable,
    else of the PSNR of a mid-gray image. A scheme is decodable if the mean mutual information of its constellation
    over the channel uses is at least that at its threshold. PSNR by rate was measured on validation images
    (`python -m semcom.systems.digital quality`).

    Over AWGN the margin is 0. With HARQ it is that of highest PSNR within the budget of all rounds, however few of
    them are counted, for decoding after all rounds as in `accumulation.decodable`: often negative, so that the first
    round has a higher rate than it can convey alone.

    Args:
        channel: channel; results are cached per channel object.
        codec: image file format.
        uses: number of channel uses of header and first round; those of an image without HARQ.
        pixels: number of pixels of an image.
        snr_db: average Es/N0, dB; None for one margin for average SNRs of 0 to 20 dB.
        versions: redundancy version of each HARQ round; one without HARQ.
    """
    thresholds_db = link_adaptation.thresholds_db(uses)
    frame = link_adaptation.adaptive()
    payload_bytes = np.array([frame.payload_bytes(uses, index) for index in range(len(thresholds_db))])
    psnr_db, outage_psnr_db = _quality(codec, 8 * payload_bytes / pixels)
    return margin_of_highest_quality(channel, thresholds_db, uses, snr_db, psnr_db - outage_psnr_db, versions=versions)


def margin_of_highest_quality(
    channel: Channel,
    thresholds_db: tuple[float, ...],
    uses: int,
    snr_db: float | None,
    quality: np.ndarray,
    sent: np.ndarray | None = None,
    versions: tuple[int, ...] = (0,),
) -> float:
    """SNR margin in dB with the highest expected quality over the fading of a channel, as in `best_margin_db`.

    Args:
        channel: channel.
        thresholds_db: SNR from which each scheme of `link_adaptation.adaptive` is decodable on AWGN, dB; inf for one
            that does not fit.
        uses: number of channel uses of a transmission; of header and first round with HARQ.
        snr_db: average Es/N0, dB; None for one margin for average SNRs of 0 to 20 dB.
        quality: quality above that of an outage if a scheme is selected and decoded, float64 [schemes].
        sent: index of the scheme that is sent when a scheme is selected, int64 [schemes]; None for the selected one.
        versions: redundancy version of each HARQ round; one without HARQ.
    """
    thresholds = np.array(thresholds_db)
    if not np.isfinite(thresholds).any():  # no scheme fits into the channel uses
        return 0.0
    if len(versions) == 1 and _has_constant_noise(channel):
        return 0.0
    expected = np.zeros(len(MARGINS_DB))
    for average_db in _SNRS_DB if snr_db is None else (snr_db,):
        known_db, decodable = _transmissions(channel, thresholds_db, uses, average_db, versions)
        realized = quality * (decodable if sent is None else decodable[:, sent])
        for position, margin_db in enumerate(MARGINS_DB):
            usable = thresholds <= known_db[:, None] - margin_db
            selected = (usable * np.arange(len(thresholds))).max(1)
            expected[position] += realized[np.arange(len(selected)), selected].mean()
    return MARGINS_DB[int(expected.argmax())]


@lru_cache(maxsize=64)
def _has_constant_noise(channel: Channel) -> bool:
    """Whether the noise of a few transmissions is that of the average SNR everywhere, as over AWGN."""
    counts, snr, rng = torch.full((4, 1), 16), torch.zeros(4, 1), Rng([seed_for("margin", row) for row in range(4)])
    received = channel.carry(torch.ones(4, 1, 16, dtype=torch.complex64), counts, snr, rng)
    known = channel.transmitter_snr_db(counts, snr, rng)
    return bool((received.noise_var == noise_variance(snr)[..., None]).all() and (known == snr).all())


@lru_cache(maxsize=64)
def _transmissions(
    channel: Channel, thresholds: tuple[float, ...], uses: int, snr_db: float, versions: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """SNR that the transmitter knows [rows], and decodable schemes [rows, schemes], of simulated transmissions."""
    header_uses = link_adaptation.adaptive().header_uses if len(versions) > 1 else 0
    length = min(header_uses + len(versions) * (uses - header_uses), _LONGEST)
    rng = Rng([seed_for("margin", row) for row in range(min(max(_SYMBOLS // length, 128), 500))])
    snr, counts = torch.full((len(rng), 1), snr_db), torch.full((len(rng), 1), length)
    received = channel.carry(torch.ones(len(rng), 1, length, dtype=torch.complex64), counts, snr, rng)
    realized_db = -10 * torch.log10(received.noise_var[:, 0]).double().numpy() + _ROUNDING_DB
    known_db = channel.transmitter_snr_db(counts, snr, rng)[:, 0].double().numpy().copy()  # no tensor in the cache
    if len(versions) > 1:
        share = (length - header_uses) // len(versions)
        rounds_db = realized_db[:, header_uses : header_uses + len(versions) * share].reshape(len(rng), -1, share)
        return known_db, accumulation.decodable(rounds_db, thresholds, uses, versions)
    orders = [scheme.bits_per_symbol for scheme in link_adaptation.adaptive().schemes]
    mean = {order: mutual_information(order, realized_db).mean(1) for order in set(orders)}
    required = {order: mutual_information(order, np.array(thresholds)) for order in set(orders)}
    decodable = [
        np.isfinite(thresholds[index]) & (mean[order] >= required[order][index]) for index, order in enumerate(orders)
    ]
    return known_db, np.stack(decodable, 1)


def _quality(codec: str, bits_per_pixel: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean PSNR of validation images at these rates, and that of a mid-gray image, dB."""
    measured = _measured()
    rates = np.log(np.maximum(bits_per_pixel, 1e-9))
    return np.interp(rates, np.log(measured["bits_per_pixel"]), measured[codec]), measured["outage"]


@lru_cache(maxsize=1)
def _measured() -> dict:
    return json.loads(Path(__file__).with_name("validation_psnr.json").read_text(encoding="utf-8"))
