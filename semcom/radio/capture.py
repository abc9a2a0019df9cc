"""Figure of a recording: spectrum, channel response, and constellation before and after equalization."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Complex
from numpy.typing import NDArray
from torch import Tensor

from channels.waveform import ofdm
from channels.waveform.acquisition import phasor
from channels.waveform.frame import Layout
from channels.waveform.pulse import gather
from channels.waveform.receiver import ReceivedFrame
from semcom.results import panels
from semcom.results.printing import printable
from semcom.results.style import Format

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SEGMENT = 1024  # samples of a segment of the spectrum
_FLOOR_DB = -80.0  # least power density that is shown, under the largest one
_MOST_POINTS = 4000  # of a constellation


def capture(
    recording: Complex[Tensor, " samples"],
    frame: ReceivedFrame,
    layout: Layout,
    sample_rate: float,
    title: str,
    path: Path,
) -> None:
    """Write a figure of what the receiver measured of one frame, and of the spectrum of the whole recording.

    Args:
        recording: complex64 [samples].
        frame: frame of this recording.
        layout: layout of the frames.
        sample_rate: sample rate in Hz.
        title: title of the figure.
        path: file to write; the end of its name is the format, .png, .pdf or .svg.

    Raises:
        OSError: the file cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    look = Format(path.suffix.removeprefix(".").lower())
    with matplotlib.rc_context(look.settings()):
        figure = Figure(figsize=(7.2, 6.4), layout="constrained")
        figure.suptitle(printable(title))
        (spectrum, response), (before, after) = figure.subplots(2, 2)
        _draw_spectrum(spectrum, recording, sample_rate)
        _draw_response(response, frame, layout, sample_rate)
        filtered = unequalized(recording, frame, layout)
        reach = 1.2 * float(np.quantile(np.abs(np.r_[filtered.real, filtered.imag]), 0.999))
        _draw_constellation(before, filtered, reach, "Before equalization")
        _draw_constellation(after, frame.symbols.detach().numpy(), reach, "After equalization")
        panels.save(figure, path, look)


def power_density(samples: Complex[Tensor, " samples"]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in cycles per sample, and power per frequency bin, averaged over segments with a Hann window.

    Source: Welch, The use of fast Fourier transform for the estimation of power spectra, 1967.
    """
    size = min(_SEGMENT, len(samples))
    window = np.hanning(size + 1)[:size]
    segments = samples.unfold(0, size, max(size // 2, 1)).numpy()
    power = (np.abs(np.fft.fft(segments * window)) ** 2).mean(0) / (window**2).sum()
    return np.fft.fftshift(np.fft.fftfreq(size)), np.fft.fftshift(power)


def channel_response(frame: ReceivedFrame, layout: Layout) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in cycles per symbol over the band of the pulse, and |h| in units of the recording.

    h(f) = sum of c_l e^(-j pi f l) over the estimated coefficients c_l at l half symbols.
    """
    frequencies = np.linspace(-0.5, 0.5, 257) * (1 + layout.pulse.roll_off)
    shifts = np.exp(-1j * np.pi * frequencies[:, None] * frame.estimate.delays)
    return frequencies, np.abs(shifts @ frame.estimate.taps)


def unequalized(recording: Complex[Tensor, " samples"], frame: ReceivedFrame, layout: Layout) -> NDArray[np.complex128]:
    """Payload symbols before equalization, without frequency offset, scaled to the equalized ones.

    They are the outputs of the matched filter, or of the DFT of OFDM.
    """
    count = len(frame.symbols)
    period = (frame.end - frame.start) / (layout.symbols(count) - 1)
    reach = int(layout.pulse.reach)
    first = max(0, int(frame.start) - reach)
    samples = recording[first : int(frame.end) + reach + 1]
    samples = samples * phasor(-frame.frequency, len(samples))
    times = torch.from_numpy(frame.start - first + period * layout.data(count))
    values = gather(samples, times, layout.pulse.table)
    if layout.grid is not None:
        values = ofdm.demodulate(values, layout)[:count]
    outputs = values.numpy().astype(complex)
    symbols = frame.symbols.detach().numpy()
    scale = np.vdot(symbols, outputs) / max(np.vdot(symbols, symbols).real, 1e-30)
    return outputs / scale


def _draw_spectrum(axis: Axes, recording: Tensor, sample_rate: float) -> None:
    frequencies, power = power_density(recording)
    level = 10 * np.log10(np.maximum(power, 1e-30) / max(power.max(), 1e-30))
    axis.plot(frequencies * sample_rate / 1e3, np.maximum(level, _FLOOR_DB))
    axis.set(title="Spectrum of the recording", xlabel="Frequency (kHz)", ylabel="Power density (dB)")


def _draw_response(axis: Axes, frame: ReceivedFrame, layout: Layout, sample_rate: float) -> None:
    frequencies, magnitude = channel_response(frame, layout)
    rate = sample_rate / layout.pulse.samples_per_symbol
    level = 20 * np.log10(np.maximum(magnitude, 1e-30) / max(float(np.sqrt((magnitude**2).mean())), 1e-30))
    axis.plot(frequencies * rate / 1e3, level)
    axis.set(title="Channel response", xlabel="Frequency (kHz)", ylabel="|h| over its mean (dB)")
    middle = float(np.median(level))
    axis.set_ylim(min(level.min() - 1, middle - 6), max(level.max() + 1, middle + 6))


def _draw_constellation(axis: Axes, symbols: NDArray[Any], reach: float, title: str) -> None:
    shown = symbols[:: -(-len(symbols) // _MOST_POINTS) or 1]
    axis.plot(shown.real, shown.imag, ".", markersize=1.5)
    axis.set(title=title, xlabel="In phase", ylabel="Quadrature", xlim=(-reach, reach), ylim=(-reach, reach))
    axis.set_aspect("equal")
