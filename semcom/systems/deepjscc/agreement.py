"""Shared configuration of transmitter and receiver of DeepJSCC."""

from __future__ import annotations

from dataclasses import dataclass

from channels.errors import UsageError
from semcom.system import uses_for
from semcom.systems.deepjscc.networks import STRIDE


@dataclass(frozen=True)
class Agreement:
    """Channel bandwidth ratio and shape of the latent; both ends also know the networks and the image size.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        latent: number of latent channels.

    >>> agreement = Agreement(cbr=1 / 16, latent=48)
    >>> agreement.uses((64, 96)), agreement.latent_shape((64, 96)), agreement.sent_channels((64, 96))
    (1152, (48, 8, 12), 24.0)
    """

    cbr: float
    latent: int

    def uses(self, size: tuple[int, int]) -> int:
        """Channel uses of an image of (height, width) pixels, padding not counted.

        Raises:
            UsageError: the budget is less than one channel use.
        """
        uses = uses_for(self.cbr, size)
        if uses < 1:
            raise UsageError(f"cbr {self.cbr:g} is less than one channel use for an image of {size[1]} x {size[0]}")
        return uses

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """Channels, height and width of the latent of an image, whose sides are padded to multiples of `STRIDE`."""
        return self.latent, -(-size[0] // STRIDE), -(-size[1] // STRIDE)

    def sent_channels(self, size: tuple[int, int]) -> float:
        """Number of latent channels that are sent, averaged over the positions."""
        _, height, width = self.latent_shape(size)
        return 2 * self.uses(size) / (height * width)
