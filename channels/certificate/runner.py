"""Run of the certificate: all measurements of all channels, and their figure."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterable, Mapping, Sequence

from channels.arguments import one_of, positive
from channels.base import Channel
from channels.certificate.lines import Certificate, Check, Line, Modem
from channels.certificate.subjects import standard_channels
from channels.extras import is_installed, require


def checks() -> dict[str, Check]:
    """Groups of measurements by name."""
    from channels.certificate import csi, mimo, modem, noise, paths, recognition, third_parties, users, waveform

    return {
        "noise": noise.noise,
        "realized_snr": noise.realized_snr,
        "gain": noise.gain,
        "ber": modem.bit_errors,
        "llr": modem.llr_slope,
        "ldpc": modem.block_errors,
        "tdl": paths.tapped_delays,
        "cdl": paths.clustered_delays,
        "csi": csi.estimated_gains,
        "uplink": users.superposed,
        "broadcast": users.common,
        "mimo": mimo.antennas,
        "relay": third_parties.relays,
        "interference": third_parties.interference,
        "waveform": waveform.waveforms,
        "recognition": recognition.modulations,
    }


_EXTRAS = {"ldpc": "sionna"}  # extra of semcom that a group requires


def certify(
    scale: float = 1.0,
    only: Sequence[str] | None = None,
    channels: Mapping[str, Channel] | None = None,
    modem: Modem | None = None,
) -> Certificate:
    """Measure channels and modem against exact theory or an independent reference.

    A line passes if |z| is at most 4 where there is a standard error, and within its stated tolerance otherwise. Seeds
    are fixed: the same code gives the same certificate. With all groups, a channel without any line fails, and a group
    whose reference is not installed is left out and named.

    Args:
        scale: factor on the number of samples of each measurement (default 1).
        only: names of the groups to run, of `checks()`; None for all.
        channels: channels to measure, by the names of `standard_channels()`; None for all of them.
        modem: modem to measure; None for `channels.modem`.

    Raises:
        UsageError: a group does not exist, a group in `only` requires a package that is not installed, the scale is not
            above zero, or a channel of the package has no entry in `subjects.VARIANTS`.

    >>> certify(scale=0.1, only=["realized_snr"]).passed
    True
    """
    groups = checks()
    for name in only or ():
        one_of("only", name, tuple(groups))
        require(_EXTRAS.get(name, ""))
    positive("scale", scale)
    if modem is None:
        from channels.modem import transport_block

        modem = transport_block
    subjects = standard_channels() if channels is None else channels
    start = time.perf_counter()
    missing = [name for name in groups if not only and not is_installed(_EXTRAS.get(name, ""))]
    selected = [check for name, check in groups.items() if name not in missing and (not only or name in only)]
    lines = [line for check in selected for line in check(subjects, modem, scale)]
    if not only:
        lines += [Line(f"{name}: has measurements", 0.0, 1.0, math.inf) for name in unmeasured(subjects, lines)]
    left_out = tuple(f"{name} (pip install 'semcom[{_EXTRAS[name]}]')" for name in missing)
    return Certificate(tuple(lines), time.perf_counter() - start, left_out)


def unmeasured(channels: Iterable[str], lines: Iterable[Line]) -> list[str]:
    """Names of the channels that no line is about.

    >>> unmeasured(["awgn", "rician"], [Line("awgn: E|h|^2", 1.0, 1.0, 0.0)])
    ['rician']
    """
    titles = [line.name for line in lines]
    return [name for name in channels if not any(t.startswith((f"{name}:", f"BER {name} ")) for t in titles)]


def draw(certificate: Certificate) -> bytes:
    """Plot the bit error rates of each channel with the exact curves, and the statistic of each line over its limit.

    Returns:
        Content of a PNG file.
    """
    from matplotlib.figure import Figure

    panels: dict[str, dict[str, list[tuple[float, Line]]]] = {}
    for line in certificate.lines:
        if line.name.startswith("BER ") and line.name.endswith(" dB"):
            channel, order, snr = line.name.removeprefix("BER ").removesuffix(" dB").rsplit(" ", 2)
            panels.setdefault(channel, {}).setdefault(order, []).append((float(snr), line))
    columns = 3
    rows = -(-(len(panels) + 1) // columns)
    figure = Figure(figsize=(11, 3 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axis, (channel, curves) in zip(axes, panels.items(), strict=False):
        for index, (order, points) in enumerate(curves.items()):
            at = [snr for snr, _ in points]
            axis.semilogy(at, [line.expected for _, line in points], color=f"C{index}", linewidth=0.8)
            axis.semilogy(at, [line.measured or math.nan for _, line in points], ".", color=f"C{index}", label=order)
        axis.set(title=channel, xlabel="Es/N0 (dB)", ylabel="Bit error rate", ylim=(1e-6, 1))
        axis.legend(fontsize=7, title="dots: measured, lines: exact", title_fontsize=7)
    shares = [line.statistic / line.limit if line.limit else 0.0 for line in certificate.lines]
    last = axes[len(panels)]
    last.plot(shares, ".", markersize=4)
    for edge in (-1, 1):
        last.axhline(edge, color="gray", linestyle="--")
    last.set(
        title=f"All {len(shares)} measurements", xlabel="Measurement", ylabel="Statistic / limit", ylim=(-1.5, 1.5)
    )
    for axis in axes[len(panels) + 1 :]:
        axis.remove()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
