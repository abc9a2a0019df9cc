"""Sequence network: recognizes a modulation from the order of the symbols as well, for channels with memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SequenceNetwork(nn.Module):
    """Logits of each modulation from convolutions over the symbols of a frame.

    Each frame is divided by its root mean square. A convolution of width 7 can equalize a channel of a few taps; the
    average over the frame follows. The phase is learned from frames with random phases.

    Args:
        modulations: number of modulations.
        width: channels of the first layer; the later ones have twice as many.

    >>> SequenceNetwork(modulations=7)(torch.ones(2, 64, dtype=torch.complex64)).shape
    torch.Size([2, 7])
    """

    def __init__(self, modulations: int, width: int = 20) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
            convolution = nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU())

        self.features = nn.Sequential(
            block(2, width, 7, 1),
            block(width, 2 * width, 5, 2),
            block(2 * width, 2 * width, 5, 2),
            block(2 * width, 2 * width, 3, 2),
        )
        self.classify = nn.Sequential(nn.Linear(4 * width, 64), nn.ReLU(), nn.Linear(64, modulations))

    def forward(self, symbols: Tensor) -> Tensor:
        """Logits, float32 [rows, modulations], of received symbols, complex64 [rows, uses]."""
        return self.classified(symbols)[0]

    def classified(self, symbols: Tensor) -> tuple[Tensor, None]:
        """Logits, and no estimate of the phase."""
        power = symbols.abs().square().mean(1, keepdim=True).clamp(min=1e-20)
        parts = torch.view_as_real(symbols / power.sqrt()).transpose(1, 2).contiguous()
        features = self.features(parts)
        return self.classify(torch.cat([features.mean(2), features.square().mean(2).add(1e-6).sqrt()], 1)), None
