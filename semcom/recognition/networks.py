"""Networks by name, and trained networks from weight files."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from semcom import weights
from semcom.recognition.sequence_network import SequenceNetwork
from semcom.recognition.set_network import SetNetwork


def build(network: str, modulations: Sequence[str]) -> SetNetwork | SequenceNetwork:
    """Untrained network.

    Args:
        network: "set" or "sequence".
        modulations: names of the modulations, in the order of the logits.
    """
    return (SetNetwork if network == "set" else SequenceNetwork)(len(modulations))


def classified(network: nn.Module, symbols: Tensor) -> tuple[Tensor, Tensor | None]:
    """Logits [rows, modulations] of symbols, and the phase [rows] if the network estimates it."""
    assert isinstance(network, SetNetwork | SequenceNetwork)
    return network.classified(symbols)


def load(name: str = "recognition") -> tuple[nn.Module, tuple[str, ...], str]:
    """Trained network, the names of its modulations, and its id for rows of results.

    Args:
        name: weights as in `semcom.weights.rebuild`.

    Raises:
        UsageError: the file does not exist or holds another network.
    """
    names: list[str] = []

    def make(network: str, modulations: Sequence[str], uses: int, taps: int) -> nn.Module:
        names.extend(modulations)
        return build(network, modulations)

    found, identifier = weights.rebuild(name, "recognition", make)
    return found, tuple(names), identifier
