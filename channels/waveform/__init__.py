"""A waveform between two radios: symbols become samples; a receiver that knows only the samples finds them again."""

from __future__ import annotations

from typing import Literal

from channels.base import Channel

TITLE = "Radio waveform"


def build(
    samples_per_symbol: int = 4,
    roll_off: float = 0.25,
    pulse_span: int = 16,
    preamble_symbols: int = 256,
    header_symbols: int = 256,
    pilot_symbols: int = 4,
    pilot_spacing: int = 60,
    frame_payload: int = 15360,
    subcarriers: int | None = None,
    cyclic_prefix: int = 16,
    guard_subcarriers: int = 0,
    grid_pilot_symbols: int = 2,
    pilot_comb: int = 2,
    frequency_offset: float = 0.0,
    clock_offset_ppm: float = 0.0,
    linewidth: float = 0.0,
    path_delays: tuple[float, ...] = (0.0,),
    path_powers_db: tuple[float, ...] = (0.0,),
    fading: Literal["none", "rayleigh"] = "none",
    iq_gain_db: float = 0.0,
    iq_phase_deg: float = 0.0,
    dc_offset: float = 0.0,
    backoff_db: float | None = None,
    amplifier_smoothness: float = 2.0,
    dac_bits: int | None = None,
    adc_bits: int | None = None,
) -> Channel:
    """Waveform with a preamble, header and pilots, radio impairments, and a receiver that estimates all.

    The payload is on a single carrier, or in OFDM symbols. Preamble, header, pilots, cyclic prefixes, the interval
    between frames and the excess bandwidth of the pulse are counted in medium_uses. A frame that the receiver misses
    is noise. Arrival time and carrier phase are random. The transmitter knows the average SNR only, with fading too.

    Args:
        samples_per_symbol: number of samples per symbol, 2, 4, 6 or 8 (default 4).
        roll_off: roll-off factor of the root-raised-cosine pulse, 0.1 to 1 (default 0.25).
        pulse_span: length of the pulse in symbols, an even number, 8 to 64 (default 16).
        preamble_symbols: number of preamble symbols, a multiple of 16, 64 to 4096 (default 256).
        header_symbols: number of header symbols, 64 to 4096 (default 256: decodable at -2 dB and above).
        pilot_symbols: number of pilots between two blocks of payload symbols or OFDM symbols, 1 to 64 (default 4).
        pilot_spacing: number of payload symbols between pilots, 1 to 4096 (default 60); ignored with OFDM.
        frame_payload: largest number of payload symbols of a frame; more are divided into frames (default 15360).
        subcarriers: number of subcarriers of OFDM, pilots included, 1 to 3300; the payload is on the resource grid of
            the channel tdl, 14 OFDM symbols with scattered pilots (default null: single carrier).
        cyclic_prefix: length of the cyclic prefix of an OFDM symbol in symbol durations, 0 to the number of subcarriers
            with guards (default 16).
        guard_subcarriers: number of empty guard subcarriers of OFDM at both band edges together (default 0).
        grid_pilot_symbols: number of OFDM symbols with pilots among the 14 of the grid, 1 to 14 (default 2).
        pilot_comb: distance of the pilots of an OFDM symbol in subcarriers (default 2).
        frequency_offset: carrier frequency offset in cycles per sample, -0.1 to 0.1 (default 0). The receiver finds
            up to 1/32 cycle per symbol.
        clock_offset_ppm: offset of the transmitter's sampling clock in parts per million, -1000 to 1000 (default 0).
        linewidth: linewidth of the oscillator, whose phase noise is a Wiener process, in cycles per sample, 0 to 1e-3
            (default 0).
        path_delays: delay of each path in symbol durations, 0 to 16 (default one path). The receiver estimates paths
            up to 8 symbols after the strongest one and 2 before it.
        path_powers_db: mean power of each path in dB; the sum is normalized to 1 (default one path).
        fading: gains of the paths, constant during a transmission: "none" (default; random phases) or "rayleigh".
        iq_gain_db: amplitude imbalance of the receiver's quadrature branches in dB, -3 to 3 (default 0).
        iq_phase_deg: phase imbalance of the receiver's quadrature branches in degrees, -20 to 20 (default 0).
        dc_offset: constant offset at the receiver over the amplitude of the signal, 0 to 1 (default 0).
        backoff_db: saturation power of the transmitter's amplifier (Rapp model) over the mean power in dB, -5 to 30
            (default null: linear amplifier).
        amplifier_smoothness: exponent of the Rapp model, 0.5 to 10; larger is closer to a clipper (default 2).
        dac_bits: resolution of the transmitter's converter in bits per real dimension, 1 to 24 (default null: ideal).
        adc_bits: resolution of the receiver's converter in bits per real dimension, 1 to 24 (default null: ideal).

    Source: Proakis and Salehi, Digital Communications, 5th ed., chapters 5 and 9.
    """
    from channels.arguments import within
    from channels.propagation.ofdm import Grid
    from channels.waveform.channel import WaveformChannel
    from channels.waveform.frame import Layout
    from channels.waveform.impairments import Impairments
    from channels.waveform.pulse import Pulse

    pulse = Pulse(samples_per_symbol, roll_off, pulse_span)
    grid = None
    if subcarriers is not None:
        within("subcarriers", subcarriers, 1)
        within("guard_subcarriers", guard_subcarriers, 0)
        size = subcarriers + guard_subcarriers
        within("cyclic_prefix", cyclic_prefix, 0, size)
        grid = Grid(subcarriers, guard_subcarriers, 1 / size, grid_pilot_symbols, pilot_comb, cyclic_prefix / size)
    layout = Layout(pulse, preamble_symbols, header_symbols, pilot_symbols, pilot_spacing, frame_payload, grid)
    impairments = Impairments(
        frequency_offset,
        clock_offset_ppm,
        linewidth,
        path_delays,
        path_powers_db,
        fading,
        iq_gain_db,
        iq_phase_deg,
        dc_offset,
        backoff_db,
        amplifier_smoothness,
        dac_bits,
        adc_bits,
    )
    return WaveformChannel(layout, impairments)
