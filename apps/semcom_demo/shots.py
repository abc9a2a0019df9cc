"""Transmissions of one image, with their results as a page shows them, computed once for each operating point."""

from __future__ import annotations

import math
from dataclasses import dataclass

from semcom import Delivery
from semcom.scenario.model import Point
from semcom_demo import calls
from semcom_demo.memory import Job, Memory
from semcom_demo.photos import Photo, to_png
from semcom_demo.words import OUTAGE_CAUSES

METRICS = ("psnr", "ms_ssim", "ber", "snr_realized_db")
FRAME_SNRS_DB = range(20, -11, -1)
LIVE_SYSTEMS = ("digital", "analog", "deepjscc", "carrier_image", "capacity")
"""Systems whose frames are computed without being asked for; those of the others take too long."""


@dataclass(frozen=True)
class Shot:
    """Result of one transmission, for its first user.

    Args:
        png: PNG file of the received image.
        values: Metrics that apply, by name.
        uses: Channel uses of the user.
        medium_uses: Channel uses of all users, overhead included.
        outage: Whether decoding failed; None if the receiver cannot detect it.
        gain_db: Mean of |h|² over the channel uses of the user in dB; None for a bound or without channel uses.
    """

    png: bytes
    values: dict[str, float]
    uses: int
    medium_uses: int
    outage: bool | None
    gain_db: float | None = None

    def sentence(self, system: str) -> str:
        """Result in one sentence."""
        if self.outage and self.uses == 0:
            return "Outage: nothing was transmitted, the channel-use budget is too small. Choose a higher CBR."
        if self.outage:
            return f"Outage: {OUTAGE_CAUSES.get(system, 'the image')} could not be decoded."
        return f"PSNR {self.values['psnr']:.1f} dB, MS-SSIM {self.values['ms_ssim']:.3f}."


_memory: Memory[Shot] = Memory("shots", most=1000, most_of_upload=300)  # about 100 kB each


def shot_of(delivery: Delivery, row: int = 0) -> Shot:
    """The result of one row of a delivery."""
    outage = delivery.reception.outage
    values = {name: calls.metric_value(name, delivery, row) for name in METRICS}
    return Shot(
        png=to_png(delivery.reception.images[row]),
        values={name: value for name, value in values.items() if value is not None},
        uses=int(delivery.uses[row]),
        medium_uses=int(delivery.medium_uses[row]),
        outage=None if outage is None else bool(outage[row]),
        gain_db=_gain_db(delivery, row),
    )


def _gain_db(delivery: Delivery, row: int) -> float | None:
    uses = int(delivery.uses[row])
    if delivery.signals is None or not uses:
        return None
    power = delivery.signals.received.gains[row, :, :uses].abs().square().sum(0).mean()
    return 10 * math.log10(max(float(power), 1e-12))


def job(photo: Photo, point: Point) -> Job[Shot]:
    """Transmission of an image."""
    return Job(_memory, photo, point, lambda: shot_of(calls.send_photo(photo.image, point)))


def transmit(photo: Photo, point: Point) -> Shot:
    """Transmit an image, or take the result of the same transmission from memory."""
    return job(photo, point).result()
