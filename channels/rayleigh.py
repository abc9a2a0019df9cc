"""Rayleigh fading: no line of sight, gains CN(0, 1)."""

from channels._base import Channel
from channels._flat import FlatFading


def build(coherence_uses: int | None = None) -> Channel:
    """Rayleigh block fading with perfect channel knowledge.

    Args:
        coherence_uses: uses that share one fade; null is one fade a transmission.
    """
    return FlatFading(k_factor=0, coherence_uses=coherence_uses)
