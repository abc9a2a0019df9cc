"""Several transmit and receive antennas (MIMO): diversity, spatial multiplexing and precoding."""

from __future__ import annotations

from typing import Literal

from channels.arguments import one_of, within
from channels.base import Channel
from channels.csit import Csit
from channels.errors import UsageError
from channels.mimo.channel import Mimo
from channels.mimo.gains import FlatGains, Gains, TdlGains
from channels.mimo.precoding import Alamouti, Multiplexing, Precoding, Svd
from channels.propagation.ofdm import Grid
from channels.propagation.paths import doppler
from channels.tdl import TappedDelayLine

TITLE = "MIMO"
_MAX_ANTENNAS = 8
_CARRIER_HZ = 3.5e9
_LOOPS = {"alamouti": "open", "multiplexing": "open", "svd": "closed"}


def build(
    tx_antennas: int = 2,
    rx_antennas: int = 2,
    scheme: Literal["alamouti", "multiplexing", "svd"] = "alamouti",
    detector: Literal["zf", "mmse", "sic"] = "mmse",
    streams: int | None = None,
    power_allocation: Literal["water-filling", "equal"] = "water-filling",
    coherence_uses: int | None = None,
    delay_profile: Literal["A", "B", "C", "D", "E"] | None = None,
    delay_spread_s: float = 100e-9,
    speed_m_s: float = 3.0,
    csit: Literal["average", "perfect", "delayed"] = "average",
    csit_correlation: float = 0.9,
) -> Channel:
    """Several transmit and receive antennas, y = H x + n with h ~ CN(0, 1) for each pair and fixed total power.

    Args:
        tx_antennas: number of transmit antennas, 1 to 8 (default 2).
        rx_antennas: number of receive antennas, 1 to 8 (default 2).
        scheme: "alamouti" (default; space-time block code of 2 transmit antennas, one symbol per channel use),
            "multiplexing" (open loop, one stream per transmit antenna) or "svd" (closed loop, streams on the
            eigenmodes of the known channel; requires csit: perfect or delayed).
        detector: separation of the streams: "mmse" (default), "zf" (zero-forcing) or "sic" (zero-forcing with
            successive interference cancellation; slots with analog symbols, on which no receiver decides,
            are detected as by "mmse").
        streams: number of streams of scheme: svd, 1 to the smaller number of antennas; 1 is beamforming (default
            null: the smaller number of antennas). Ignored otherwise.
        power_allocation: power of the streams of scheme: svd: "water-filling" (default) or "equal". Ignored otherwise.
        coherence_uses: coherence time in channel uses: 1 is fast fading, new gains for every use (default null:
            one realization for the whole transmission of an image). Ignored with a delay profile.
        delay_profile: OFDM over a tapped delay line of TR 38.901 per pair of antennas, "A" to "E", on the grid of
            the channel tdl, with all subcarriers of 2 of 14 OFDM symbols as pilots of 2 or more transmit antennas
            (default null: flat fading).
        delay_spread_s: root-mean-square delay spread in seconds, for delay_profile (default 100e-9).
        speed_m_s: speed of the receiver in m/s at a carrier of 3.5 GHz, for delay_profile (default 3).
        csit: channel knowledge of the transmitter: "average" (default; average SNR), "perfect" (gains, and the SNR of
            an AWGN channel with the capacity of the coming channel uses of each image) or "delayed" (the same from
            outdated gains).
        csit_correlation: correlation of the outdated with the actual gains, 0 to 1, for csit: delayed: scattered gains
            rho h + sqrt(1 - rho^2) w with independent w (default 0.9); ignored otherwise.
    """
    within("tx_antennas", tx_antennas, 1, _MAX_ANTENNAS)
    within("rx_antennas", rx_antennas, 1, _MAX_ANTENNAS)
    one_of("scheme", scheme, tuple(_LOOPS))
    one_of("detector", detector, ("zf", "mmse", "sic"))
    one_of("power_allocation", power_allocation, ("water-filling", "equal"))
    within("coherence_uses", coherence_uses, 1, null="one realization for the whole transmission")
    knowledge = Csit(csit, csit_correlation)
    if scheme == "svd" and knowledge.is_average:
        raise UsageError("scheme svd requires channel knowledge at the transmitter: set csit: perfect or delayed")
    fading: Gains
    if delay_profile is None:
        fading = FlatGains(rx_antennas, tx_antennas, coherence_uses)
    else:
        within("speed_m_s", speed_m_s, 0)
        grid = Grid(24, 0, 30e3, 2, 2 if tx_antennas == 1 else 1, 9 / 128)
        paths = TappedDelayLine(delay_profile, delay_spread_s, doppler(speed_m_s, _CARRIER_HZ))
        fading = TdlGains(rx_antennas, tx_antennas, grid, paths)
    precoding = _precoding(scheme, tx_antennas, rx_antennas, streams, power_allocation)
    return Mimo(fading, precoding, detector, knowledge)


def _precoding(
    scheme: str, transmit: int, receive: int, streams: int | None, allocation: Literal["water-filling", "equal"]
) -> Precoding:
    if scheme == "alamouti":
        if transmit != 2:
            raise UsageError(f"scheme alamouti has 2 transmit antennas, not {transmit}: set tx_antennas: 2")
        return Alamouti()
    if scheme == "multiplexing":
        if transmit > receive:
            raise UsageError(
                f"{transmit} streams cannot be separated by {receive} antennas: raise rx_antennas to {transmit}, "
                "or set scheme: alamouti"
            )
        return Multiplexing(transmit)
    most = min(transmit, receive)
    within("streams", streams, 1, most, null=f"{most} streams")
    return Svd(streams or most, allocation)
