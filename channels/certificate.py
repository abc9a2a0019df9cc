"""Channels and modem against theory: what `semcom certify` runs, and the tests at smaller counts."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from torch import Tensor

from channels._base import Channel
from channels._errors import UsageError

if TYPE_CHECKING:
    from channels.modem import Decoded, Mcs

Z_LIMIT = 4.0
SPEED_M_S = 30.0
"""Of the receivers over multipath."""


@runtime_checkable
class Modem(Protocol):
    """What is certified of a modem: bits to symbols, symbols to log-likelihood ratios (positive means zero), coding."""

    def map_bits(self, bits: Tensor, bits_per_symbol: int) -> Tensor: ...

    def demap(self, symbols: Tensor, noise_var: Tensor | float, bits_per_symbol: int) -> Tensor: ...

    def encode(self, bits: Tensor, mcs: Mcs, uses: int) -> Tensor: ...

    def decode(
        self, symbols: Tensor, noise_var: Tensor | float, mcs: Mcs, info_bits: int, *, iterations: int
    ) -> Decoded: ...


@dataclass(frozen=True)
class Line:
    """One measurement.

    Args:
        name: what was measured, where.
        measured: what came out.
        expected: what theory or the reference says.
        statistic: deviations from it in standard errors ("z"), or the difference ("tolerance").
        kind: which of the two.
        limit: largest |statistic| that passes.
    """

    name: str
    measured: float
    expected: float
    statistic: float
    kind: Literal["z", "tolerance"] = "z"
    limit: float = Z_LIMIT

    @property
    def passed(self) -> bool:
        """Whether the statistic is within its limit; what is not a number fails."""
        return bool(abs(self.statistic) <= self.limit)


@dataclass(frozen=True)
class Certificate:
    """All lines of a run, and the seconds it took."""

    lines: tuple[Line, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every line passed; a certificate without lines certifies nothing."""
        return bool(self.lines) and all(line.passed for line in self.lines)

    def table(self) -> str:
        """The lines as text, and a verdict."""
        rows = [
            f"{'pass' if line.passed else 'FAIL'}  {line.name:<58} {line.measured:>12.6g} {line.expected:>12.6g} "
            f"{'z' if line.kind == 'z' else '+-'} {line.statistic:>+9.3g} of {line.limit:g}"
            for line in self.lines
        ]
        failed = sum(not line.passed for line in self.lines)
        head = f"      {'quantity':<58} {'measured':>12} {'expected':>12}   statistic"
        return "\n".join([head, *rows, f"{len(rows) - failed} of {len(rows)} lines pass, {self.seconds:.0f} s"])

    def write(self, path: Path) -> None:
        """Write the lines as JSON."""
        lines = [asdict(line) | {"passed": line.passed} for line in self.lines]
        path.write_text(json.dumps({"passed": self.passed, "seconds": self.seconds, "lines": lines}, indent=1))


Check = Callable[[Mapping[str, Channel], Modem, float], Iterator[Line]]


def checks() -> dict[str, Check]:
    """The groups of measurements by the names that `only` takes."""
    from channels import _certify_air, _certify_csi, _certify_modem, _certify_paths, _certify_users

    return {
        "noise": _certify_air.noise,
        "realised_snr": _certify_air.realised_snr,
        "gain": _certify_air.gain,
        "ber": _certify_modem.bit_errors,
        "llr": _certify_modem.llr_slope,
        "ldpc": _certify_modem.block_errors,
        "tdl": _certify_paths.tapped_delays,
        "cdl": _certify_paths.clustered_delays,
        "csi": _certify_csi.estimated_gains,
        "uplink": _certify_users.superposed,
        "broadcast": _certify_users.common,
    }


def standard_channels() -> dict[str, Channel]:
    """The channels that a certificate is about, by the names that its lines use."""
    from channels import awgn, broadcast, cdl, rayleigh, rician, tdl, uplink

    return {
        "awgn": awgn.build(),
        "rayleigh": rayleigh.build(coherence_uses=1),
        "rayleigh block": rayleigh.build(),
        "rician": rician.build(coherence_uses=1),
        "rician block": rician.build(),
        **{f"tdl {model}": tdl.build(model=model, speed_m_s=SPEED_M_S) for model in tdl.MODELS},
        **{f"cdl {model}": cdl.build(model=model, speed_m_s=SPEED_M_S) for model in cdl.MODELS},
        "tdl ls": tdl.build(csi="ls", speed_m_s=SPEED_M_S),
        "tdl lmmse": tdl.build(csi="lmmse", speed_m_s=SPEED_M_S),
        "tdl flat ls": tdl.build(csi="ls", speed_m_s=0.0, delay_spread_s=1e-12, pilot_comb=1),
        "uplink": uplink.build(antennas=2),
        "broadcast": broadcast.build(),
    }


def certify(
    scale: float = 1.0,
    only: Sequence[str] | None = None,
    channels: Mapping[str, Channel] | None = None,
    modem: Modem | None = None,
) -> Certificate:
    """Measure channels and modem against exact theory or an independent reference.

    |z| < 4 for what has a standard error, a stated tolerance for what has none. Seeds are fixed: the same code gives
    the same certificate.

    Args:
        scale: multiplies all counts; 1 is the full certificate, the tests run smaller ones.
        only: names of the groups to run (`checks()`); None is all.
        channels: under test, by the names of `standard_channels()`; None is those. What is missing is not measured.
        modem: under test; None is `channels.modem`.

    Raises:
        UsageError: a group that does not exist, a scale that is not above zero.

    >>> certify(scale=0.1, only=["realised_snr"]).passed
    True
    """
    groups = checks()
    unknown = set(only or ()) - set(groups)
    if unknown:
        raise UsageError(f"no group of measurements is called {sorted(unknown)[0]!r}: use {', '.join(groups)}")
    if not 0 < scale < math.inf:
        raise UsageError(f"scale must be above 0, not {scale}")
    if modem is None:
        from channels import modem as own

        modem = own
    under_test = standard_channels() if channels is None else channels
    start = time.perf_counter()
    chosen = [check for name, check in groups.items() if not only or name in only]
    lines = tuple(line for check in chosen for line in check(under_test, modem, scale))
    return Certificate(lines, time.perf_counter() - start)


def run(out: str | Path, scale: float = 1.0) -> tuple[str, int]:
    """Certify, write `certificate.json` and `certificate.png` to a folder; return the table and an exit code.

    Args:
        out: the folder; made if it is not there.
        scale: multiplies all counts.

    Returns:
        The table as text, and 0 if every line passes, 1 otherwise.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    certificate = certify(scale)
    certificate.write(folder / "certificate.json")
    draw(certificate, folder / "certificate.png")
    return certificate.table(), 0 if certificate.passed else 1


def draw(certificate: Certificate, path: Path) -> None:
    """Draw each channel's bit error rates over their exact curves, and every line's statistic over its limit."""
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
        axis.set(title=channel, xlabel="SNR in dB", ylabel="bit error rate", ylim=(1e-6, 1))
        axis.legend(fontsize=7, title="dots measured, lines exact", title_fontsize=7)
    shares = [line.statistic / line.limit if line.limit else 0.0 for line in certificate.lines]
    last = axes[len(panels)]
    last.plot(shares, ".", markersize=4)
    for edge in (-1, 1):
        last.axhline(edge, color="grey", linestyle="--")
    last.set(title=f"all {len(shares)} lines", xlabel="line", ylabel="statistic / limit", ylim=(-1.5, 1.5))
    for axis in axes[len(panels) + 1 :]:
        axis.remove()
    figure.savefig(path, dpi=120)
