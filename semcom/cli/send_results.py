"""The results of `semcom send` as text: a list for one transmission, a table for several, and captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from semcom import discover

if TYPE_CHECKING:
    from semcom.images.source_image import SourceImage
    from semcom.link import Delivery

_METRICS = {
    **{
        "cbr": "CBR",
        "medium_cbr": "medium CBR",
        "energy": "energy",
        "snr_realized_db": "realized SNR",
        "papr_db": "PAPR",
    },
    **{"psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "ber": "BER", "outage": "outage"},
}
_MESSAGE_METRICS = {"message_bits": "message length", "message_success_rate": "message success"}
_COLUMNS = ("psnr", "ssim", "ms_ssim", "ber", "outage")
_SIZE = 12  # characters of a number in the table


def line(name: str, text: str) -> str:
    """One line of the list."""
    return f"{name:<20} {text}".rstrip()


def listed(image: SourceImage, delivery: Delivery) -> Iterator[str]:
    """Cost and quality of the first user's image, one line for each."""
    height, width = delivery.sample.size
    if (users := len(delivery.uses)) > 1:
        yield line("user", f"0 of {users}, counted from 0; medium CBR is that of all users")
    yield line("image", f"{image.name}, {width}x{height} pixels")
    yield line("channel uses", str(int(delivery.uses[0])))
    metrics = _METRICS | (_MESSAGE_METRICS if delivery.reception.message is not None else {})
    for name, title in metrics.items():
        value = _value(name, delivery)
        yield line(title, "does not apply" if value is None else f"{value:.5g} {discover.metrics()[name].unit}")
    if description := "".join(delivery.truth.get("description", ())[:1]):
        yield line("description", description)
    if (scores := delivery.reception.scores) is not None and (chosen := delivery.reception.chosen) is not None:
        shown = ", ".join(f"{score:.4f}" for score in scores[0].tolist())
        yield line("scores", f"{shown}; candidate {int(chosen[0]) + 1} selected (lower is better)")


class Table:
    """The table of several transmissions, one line for each image and system.

    Args:
        images: names of the images.
        systems: labels of the systems.
    """

    def __init__(self, images: Sequence[str], systems: Sequence[str]) -> None:
        self._widths = max(map(len, ("image", *images))), max(map(len, ("system", *systems)))

    def head(self) -> str:
        """The names of the columns."""
        return self._line("image", "system", ["channel uses", *map(_head, _COLUMNS)])

    def line(self, image: str, system: str, delivery: Delivery) -> str:
        """The line of one transmission, of its first user; "-" where a metric does not apply."""
        values = [_value(name, delivery) for name in _COLUMNS]
        numbers = [str(int(delivery.uses[0])), *("-" if value is None else f"{value:.5g}" for value in values)]
        return self._line(image, system, numbers)

    def _line(self, image: str, system: str, numbers: Sequence[str]) -> str:
        left = "  ".join(f"{text:<{width}}" for text, width in zip((image, system), self._widths, strict=True))
        return left + "".join(f"{number:>{_SIZE + 2}}" for number in numbers)


def _head(name: str) -> str:
    """The title of a metric with its unit."""
    unit = discover.metrics()[name].unit
    return f"{_METRICS[name]} ({unit})" if unit else _METRICS[name]


def caption(system: str, delivery: Delivery) -> list[str]:
    """The caption of a received image: title of the system, channel uses, PSNR, MS-SSIM and outage of user 0."""
    psnr, ms_ssim, outage = (_value(name, delivery) for name in ("psnr", "ms_ssim", "outage"))
    quality = [] if psnr is None else [f"PSNR {psnr:.2f} dB"]
    if ms_ssim is not None:
        quality.append(f"MS-SSIM {ms_ssim:.3f}")
    failed = [] if outage is None else ["outage: yes" if outage else "outage: no"]
    return [discover.title("system", system), f"{int(delivery.uses[0])} channel uses", ", ".join(quality), *failed]


def _value(name: str, delivery: Delivery) -> float | None:
    """The value of a metric in the first row; None where it does not apply."""
    from semcom.metrics.metric import measure

    values = measure(name, delivery)
    if not isinstance(values, tuple):
        return float(values[0])
    numerator, denominator = float(values[0][0]), float(values[1][0])
    return numerator / denominator if denominator else None
