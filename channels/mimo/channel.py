"""The channel of several transmit and receive antennas."""

from __future__ import annotations

from copy import copy

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.base import Channel, Medium, Received, clear_unsent, hold_blocks, noise_variance, sent_mask
from channels.csit import Csit, equal_capacity_snr_db
from channels.mimo.detection import Detector, detect
from channels.mimo.gains import Gains
from channels.mimo.precoding import Precoding
from channels.propagation.linear_detection import linear_filters
from channels.rng import Rng


class Mimo(Channel):
    """MIMO channel y = H x + n with precoding and detection: systems send and receive symbols as over one antenna.

    Symbol k is stream k mod S of slot floor(k / S), S symbols in a slot of one use (Alamouti: two symbols in two
    uses). The total power of a channel use does not depend on the number of antennas; Es/N0 is that of one receive
    antenna. Precoding is a part of the channel: `carry` draws the gains H of the transmission and, with `csit`, the
    gains that the transmitter knows (H or outdated ones), from which it computes the precoder. The receiver knows H
    and the precoder. An incomplete last slot is detected as a complete one. Detector sic decides on symbols whose
    constellation is known from `with_constellation`; a slot with any other symbol has the linear MMSE detector.

    `Received.gains` has the gains of all Nr Nt pairs of antennas in the first channel use of the symbol's slot: pair
    r Nt + t is from transmit antenna t to receive antenna r.

    Args:
        gains: fading of the pairs of antennas.
        precoding: scheme of the transmitter.
        detector: detection of the streams.
        csit: channel knowledge of the transmitter.

    Source: Tse and Viswanath, Fundamentals of Wireless Communication, chapters 7 and 8.
    """

    def __init__(self, gains: Gains, precoding: Precoding, detector: Detector, csit: Csit) -> None:
        self.gains, self.precoding, self.detector, self.csit = gains, precoding, detector, csit
        self._bits_per_symbol: Tensor | None = None
        frame = gains.frame
        self._slots = max(frame.frame_data // precoding.span, 1)  # of a frame
        self.medium = Medium(
            frame_data=self._slots * precoding.streams,
            frame_uses=max(frame.frame_uses, precoding.span),
            overhead=frame.overhead,
        )

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        batch, users, length = symbols.shape
        span, streams, n0 = self.precoding.span, self.precoding.streams, noise_variance(snr_db).flatten()
        mask = sent_mask(uses, length)
        slots = -(-length // streams)
        gains, coherence = self.gains.draw(slots, span, rng)
        gains = gains.to(symbols.device)
        known = gains if self.csit.rho == 1 else self.gains.draw(slots, span, rng, self.csit.rho)[0].to(gains.device)
        matrix, energy = self.precoding.effective(gains, known, n0)

        blocks = gains.shape[1]
        sent = _by_block((symbols * mask).flatten(0, 1), streams, blocks, coherence)
        noise = rng.derive("noise").complex_normal(slots, matrix.shape[2], variance=n0).to(symbols.device)
        noise = _by_block(noise.flatten(1), matrix.shape[2], blocks, coherence)
        present = _by_block(mask.flatten(0, 1), streams, blocks, coherence)
        orders = None
        if self._bits_per_symbol is not None:
            orders = _by_block(self._bits_per_symbol.to(symbols.device).flatten(0, 1), streams, blocks, coherence)
        received, variance = detect(sent @ matrix.mT + noise, matrix, n0, present, self.detector, orders)

        def by_use(values: Tensor) -> Tensor:
            return values.flatten(1)[:, :length].unflatten(0, (batch, users))

        weight = by_use(energy[:, :, None].expand(sent.shape))
        power = torch.view_as_real(symbols.detach()).square().sum(-1).where(mask, 0)
        frames = -(-uses // self.medium.frame_data)
        pairs = gains[:, :, 0].flatten(2).mT
        return clear_unsent(
            Received(
                symbols=by_use(received),
                noise_var=by_use(variance),
                uses=uses,
                energy=(weight * power).sum(-1) + frames * self.gains.pilots,
                gains=hold_blocks(pairs, coherence * streams, length).unflatten(0, (batch, users)),
            )
        )

    def with_constellation(self, bits_per_symbol: Int[Tensor, "batch users uses"]) -> Mimo:
        if self.detector != "sic":
            return self
        channel = copy(self)
        channel._bits_per_symbol = bits_per_symbol
        return channel

    def transmitter_snr_db(
        self, uses: Int[Tensor, "batch users"], snr_db: Float[Tensor, "batch users"], rng: Rng
    ) -> Float[Tensor, "batch users"]:
        """SNR of equal capacity of the symbols after detection, from the gains that the transmitter knows.

        With detector sic it is that of the linear MMSE detector, without cancellation.
        """
        if self.csit.is_average:
            return snr_db
        length, n0 = max(int(uses.max()), 1), noise_variance(snr_db).flatten()
        slots = -(-length // self.precoding.streams)
        known, coherence = self.gains.draw(slots, self.precoding.span, rng, self.csit.rho)
        matrix, _ = self.precoding.effective(known, known, n0.cpu())
        _, variance = linear_filters(matrix, n0.cpu()[:, None], self.detector != "zf")
        power = n0.cpu()[:, None, None, None] / variance[:, :, None].expand(-1, -1, coherence, -1)
        return equal_capacity_snr_db(power.flatten(1)[:, :length].unflatten(0, uses.shape), uses, snr_db)


def _by_block(values: Tensor, width: int, blocks: int, coherence: int) -> Tensor:
    """Pad [rows, length] to whole blocks, [rows, blocks, slots, width]."""
    missing = blocks * coherence * width - values.shape[1]
    return torch.nn.functional.pad(values, (0, missing)).unflatten(1, (blocks, coherence, width))
