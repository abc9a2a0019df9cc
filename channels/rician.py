"""Rician fading: a line of sight among scattered paths."""

from channels._base import Channel
from channels._flat import FlatFading


def build(k_factor_db: float = 6.0, coherence_uses: int | None = None) -> Channel:
    """Rician block fading with perfect channel knowledge.

    Args:
        k_factor_db: power of the line of sight over that of the scattered paths, in dB.
        coherence_uses: uses that share one fade; null is one fade a transmission.
    """
    return FlatFading(k_factor=10 ** (k_factor_db / 10), coherence_uses=coherence_uses)
