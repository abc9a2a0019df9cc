"""Gains of all pairs of antennas: flat Rayleigh block fading, or a tapped delay line per pair under OFDM."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Complex
from torch import Tensor

from channels.base import Medium, hold_blocks
from channels.csit import Csit
from channels.propagation.flat import FlatFading
from channels.propagation.ofdm import Grid, Ofdm
from channels.propagation.paths import Paths
from channels.rng import Rng


class Gains(ABC):
    """Fading between `transmit` and `receive` antennas; all pairs fade independently, E|h|^2 = 1.

    Attributes:
        frame: data uses and medium uses of a frame of the medium, pilots included, and its overhead.
        pilots: number of pilots of unit energy in a frame.
    """

    frame: Medium
    pilots: int = 0

    def __init__(self, receive: int, transmit: int) -> None:
        self.receive, self.transmit = receive, transmit

    @abstractmethod
    def draw(
        self, slots: int, span: int, rng: Rng, rho: float = 1.0
    ) -> tuple[Complex[Tensor, "rows blocks span receive transmit"], int]:
        """Gains of each block of slots of `span` channel uses, and the number of slots of a block.

        With `rho` below 1 the gains are outdated, as in `channels.csit.Csit`.
        """


class FlatGains(Gains):
    """Flat Rayleigh block fading; the gains of a pair of antennas do not depend on the number of antennas.

    Args:
        receive: number of receive antennas.
        transmit: number of transmit antennas.
        coherence_uses: coherence time in channel uses; None: one realization for the whole row.
    """

    frame = Medium()

    def __init__(self, receive: int, transmit: int, coherence_uses: int | None) -> None:
        super().__init__(receive, transmit)
        self.fading = FlatFading(0.0, coherence_uses)

    def draw(self, slots: int, span: int, rng: Rng, rho: float = 1.0) -> tuple[Tensor, int]:
        uses = max(slots * span, 1)
        pairs = [
            [self.fading.draw_gains(uses, rng.derive(f"antennas {r} {t}"), rho) for t in range(self.transmit)]
            for r in range(self.receive)
        ]
        gains = _stacked(pairs)
        coherence = min(self.fading.coherence_uses or uses, uses)
        if coherence % span and coherence < uses:
            by_use = hold_blocks(gains, coherence, slots * span)
            return by_use.unflatten(-1, (slots, span)).permute(0, 3, 4, 1, 2), 1
        constant = gains.permute(0, 3, 1, 2)[:, :, None].expand(-1, -1, span, -1, -1)
        return constant, max(coherence // span, 1)


class TdlGains(Gains):
    """A tapped delay line per pair of antennas; the uses are the data symbols of an OFDM grid, as in the channel tdl.

    The pilots of a frame are divided among the transmit antennas: one sends while the others are silent.

    Args:
        receive: number of receive antennas.
        transmit: number of transmit antennas.
        grid: resource grid of a frame.
        paths: multipath channel of each pair.
    """

    def __init__(self, receive: int, transmit: int, grid: Grid, paths: Paths) -> None:
        super().__init__(receive, transmit)
        self.frame, self.pilots = grid.medium, len(grid.pilots)
        self._data = grid.data
        self._ofdm = Ofdm(grid, paths, "perfect", receive * transmit, Csit())

    def draw(self, slots: int, span: int, rng: Rng, rho: float = 1.0) -> tuple[Tensor, int]:
        uses = slots * span
        responses = self._ofdm.responses(-(-uses // self.frame.frame_data), rng, rho)
        by_use = responses[..., self._data[:, 0], self._data[:, 1]].flatten(2)[..., :uses]
        by_slot = by_use.unflatten(1, (self.receive, self.transmit)).unflatten(-1, (slots, span))
        return by_slot.permute(0, 3, 4, 1, 2), 1


def _stacked(pairs: list[list[Tensor]]) -> Complex[Tensor, "rows receive transmit blocks"]:
    from torch import stack

    return stack([stack(row, 1) for row in pairs], 1)
