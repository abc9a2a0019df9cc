"""Amplify-and-forward relay: two hops of Rayleigh fading, in two channel uses for each symbol."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.arguments import within
from channels.base import Channel, Medium, Received, clear_unsent, hold_blocks, noise_variance, sent_energy, sent_mask
from channels.csit import Csit, equal_capacity_snr_db
from channels.propagation.flat import FlatFading
from channels.rng import Rng

TITLE = "Relay"
_LARGEST_DB = 100.0


class Relay(Channel):
    """Half-duplex amplify-and-forward relay, with the direct path or without it.

    The source sends x in a first channel use; relay and destination receive

        y_r = h1 x + n_r,    y_d = h0 x + n_d.

    In a second use the relay sends b y_r, and the destination receives y = h2 b y_r + n. The relay knows h1 and sends
    with unit power, b = 1 / sqrt(|h1|^2 + N0). The destination knows all gains and combines both uses by maximum
    ratio. The SNR of a symbol is s0 + s1 s2 / (s1 + s2 + 1), with the SNRs s of direct path and hops.

    A symbol occupies two uses of the medium, and the energy of the relay counts. `Received.gains` has the gain of each
    path without its mean power, E|h|^2 = 1: first hop, second hop and direct path.

    Args:
        first_hop_db: mean power gain of the path from source to relay in dB; the SNR of the channel is that at 0 dB.
        second_hop_db: mean power gain of the path from relay to destination in dB.
        direct_db: mean power gain of the direct path in dB; None: there is no direct path.
        fading: Rayleigh fading of each path, and channel knowledge of the source.

    Source: Laneman, Tse and Wornell, Cooperative diversity in wireless networks, 2004; Hasna and Alouini, End-to-end
    performance of transmission systems with relays over Rayleigh-fading channels, 2003.
    """

    medium = Medium(frame_data=1, frame_uses=2, overhead=(("relay", 1),))

    def __init__(self, first_hop_db: float, second_hop_db: float, direct_db: float | None, fading: FlatFading) -> None:
        within("first_hop_db", first_hop_db, -_LARGEST_DB, _LARGEST_DB)
        within("second_hop_db", second_hop_db, -_LARGEST_DB, _LARGEST_DB)
        within("direct_db", direct_db, -_LARGEST_DB, _LARGEST_DB, null="no direct path")
        hops = {"first hop": first_hop_db, "second hop": second_hop_db}
        self.paths_db = hops if direct_db is None else {**hops, "direct": direct_db}
        self.fading, self.csit = fading, fading.csit

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        length, device = symbols.shape[-1], symbols.device
        n0 = noise_variance(snr_db)[..., None]
        coherence = self.fading.coherence_uses or max(length, 1)
        known, noise = {}, {}
        for path in self.paths_db:
            stream = rng.derive(path)
            known[path] = self.fading.draw_gains(length, stream).to(device).view(*snr_db.shape, -1)
            samples = stream.derive("noise").complex_normal(length, variance=n0.flatten())
            noise[path] = samples.to(device).view(symbols.shape)
        gains = {path: known[path] * 10 ** (gain_db / 20) for path, gain_db in self.paths_db.items()}
        power = {path: torch.view_as_real(gain).square().sum(-1) for path, gain in gains.items()}

        # the two hops: y = end x + second forward n_r + n, of noise variance N0 (1 + |second forward|^2)
        amplification = (power["first hop"] + n0).rsqrt()
        forward = gains["second hop"] * amplification
        end = gains["first hop"] * forward
        weight = end.conj() / (1 + power["second hop"] * amplification.square())
        snr = (end * weight).real  # times 1 / N0
        error = hold_blocks(weight * forward, coherence, length) * noise["first hop"]
        error = error + hold_blocks(weight, coherence, length) * noise["second hop"]
        if "direct" in gains:
            error = error + hold_blocks(gains["direct"].conj(), coherence, length) * noise["direct"]
            snr = snr + power["direct"]
        sent = sent_energy(symbols, uses)
        return clear_unsent(
            Received(
                symbols=symbols + error * hold_blocks(1 / snr, coherence, length),
                noise_var=hold_blocks(n0 / snr, coherence, length),
                uses=uses,
                energy=sent + self._relay_energy(power["first hop"], n0, symbols, uses, coherence),
                gains=torch.stack([hold_blocks(gain, coherence, length) for gain in known.values()], 2),
            )
        )

    def transmitter_snr_db(
        self, uses: Int[Tensor, "batch users"], snr_db: Float[Tensor, "batch users"], rng: Rng
    ) -> Float[Tensor, "batch users"]:
        if self.csit.is_average:
            return snr_db
        length, n0 = max(int(uses.max()), 1), noise_variance(snr_db).cpu().flatten()[:, None]
        power = {
            path: self.fading.draw_gains(length, rng.derive(path), self.csit.rho).abs().square() * 10 ** (gain_db / 10)
            for path, gain_db in self.paths_db.items()
        }
        first, second = power["first hop"], power["second hop"]
        combined = first * second / (first + second + n0) + power.get("direct", 0)
        by_use = hold_blocks(combined.unflatten(0, uses.shape), self.fading.coherence_uses or length, length)
        return equal_capacity_snr_db(by_use, uses, snr_db)

    @staticmethod
    def _relay_energy(power: Tensor, n0: Tensor, symbols: Tensor, uses: Tensor, coherence: int) -> Tensor:
        """Energy that the relay sends, in expectation over its noise: b^2 (|h1|^2 |x|^2 + N0) in each use."""
        length = symbols.shape[-1]
        share = hold_blocks(power / (power + n0), coherence, length)
        energy = torch.view_as_real(symbols.detach()).square().sum(-1)
        return (share * energy + 1 - share).where(sent_mask(uses, length), 0).sum(-1)


def build(
    first_hop_db: float = 0.0,
    second_hop_db: float = 0.0,
    direct_db: float | None = None,
    coherence_uses: int | None = None,
    csit: Literal["average", "perfect", "delayed"] = "average",
    csit_correlation: float = 0.9,
) -> Channel:
    """Amplify-and-forward relay between source and destination, Rayleigh fading on every path.

    Each symbol occupies two channel uses: one of the source and one of the relay.

    Args:
        first_hop_db: mean power gain of the path from source to relay in dB: its SNR is this much above that of the
            channel (default 0).
        second_hop_db: mean power gain of the path from relay to destination in dB (default 0).
        direct_db: mean power gain of the direct path in dB, combined with the relay's by maximum ratio (default null:
            no direct path).
        coherence_uses: coherence time in channel uses: 1 is fast fading, new gains for every use (default null: one
            realization for the whole transmission of an image).
        csit: channel knowledge of the source: "average" (default; average SNR), "perfect" (SNR of an AWGN channel with
            the capacity of the coming symbols of each image at the destination) or "delayed" (the same from outdated
            gains of all paths). The relay knows the gain of the first hop.
        csit_correlation: correlation of the outdated with the actual gains, 0 to 1, for csit: delayed: scattered gains
            rho h + sqrt(1 - rho^2) w with independent w (default 0.9); ignored otherwise.
    """
    fading = FlatFading(0.0, coherence_uses, csit=Csit(csit, csit_correlation))
    return Relay(first_hop_db, second_hop_db, direct_db, fading)
