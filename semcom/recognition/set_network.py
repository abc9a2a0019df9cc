"""Set network: recognizes a modulation from averages over the symbols of a frame, whatever their order."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_RINGS, _RING_STEP = 12, 1.5  # radial functions cos(1.5 k |z|)
_MAGNITUDES = 20  # frequencies of the characteristic function of the magnitude, in steps of 2
_LATTICE = 44  # of I and Q, in steps of 1: 256QAM repeats after 2 pi / 41
_DIAGONALS = 24  # of (I + Q) / sqrt(2) and (I - Q) / sqrt(2), in steps of 1
_BLOCK = 16  # rows that are averaged together: they fit the processor cache
_INVARIANTS = 4 + _MAGNITUDES + 3 * _RINGS


class SetNetwork(nn.Module):
    """Logarithm of the posterior of each modulation, up to a constant, for frames over memoryless channels.

    A log-likelihood is a sum over symbols, so the network sees averages over symbols alone. They determine the
    distribution of the received symbol; what they say of the modulation is learned. Neither gain, phase nor noise
    variance is known:

    1. The frame is divided by its root mean square. With z = r e^(j t), averages that no rotation changes (moments of
       r, E cos(k r), and |E cos(k r) e^(j m t)| for m = 2, 4, 8) depend on the noise level and on the amplitudes of the
       constellation.
    2. The phase is arg(-sum_k g_k E cos(k r) e^(4 j t)) / 4, the estimator of Viterbi and Viterbi with a radial weight
       sum_k g_k cos(k r) that a small network chooses for the frame.
    3. The averages of step 1, the harmonics m = 4 and 8 turned by the phase, and the characteristic function of the
       turned symbols along four directions are classified.

    Args:
        modulations: number of modulations.
        hidden: width of the classifier.

    Source of step 2: A. J. Viterbi, A. M. Viterbi, Nonlinear estimation of PSK-modulated carrier phase, IEEE
    Transactions on Information Theory, 1983. Of averages: M. Zaheer et al., Deep Sets, NeurIPS 2017.

    >>> SetNetwork(modulations=7).eval()(torch.ones(2, 64, dtype=torch.complex64)).shape
    torch.Size([2, 7])
    """

    def __init__(self, modulations: int, hidden: int = 128) -> None:
        super().__init__()
        turned = 4 * _RINGS + _LATTICE + _DIAGONALS
        self.normalize_invariants = nn.BatchNorm1d(_INVARIANTS, momentum=0.02, affine=False)
        self.normalize_turned = nn.BatchNorm1d(turned, momentum=0.02, affine=False)
        self.radial_weight = nn.Sequential(nn.Linear(_INVARIANTS, 48), nn.SiLU(), nn.Linear(48, _RINGS))
        self.classify = nn.Sequential(
            nn.Linear(_INVARIANTS + turned + 1, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 96),
            nn.SiLU(),
            nn.Linear(96, modulations),
        )

    def forward(self, symbols: Tensor) -> Tensor:
        """Logits, float32 [rows, modulations], of received symbols, complex64 [rows, uses]."""
        return self.classified(symbols)[0]

    def classified(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [rows, modulations], and the estimate of the phase, [rows], up to quarters of the circle."""
        with torch.no_grad():
            z = symbols / symbols.abs().square().mean(1, keepdim=True).clamp(min=1e-20).sqrt()
            invariants, harmonics = map(torch.cat, zip(*map(_invariants, z.split(_BLOCK)), strict=True))
        invariants = self.normalize_invariants(invariants)
        weight = self.radial_weight(invariants).float()  # also if the network is computed in bfloat16
        pilot = -(weight * harmonics[:, :, 1]).sum(1)
        angle = torch.atan2(pilot.imag, pilot.real + 1e-12) / 4
        with torch.no_grad():
            parts = map(_turned, z.split(_BLOCK), harmonics.split(_BLOCK), angle.split(_BLOCK))
            turned = self.normalize_turned(torch.cat(list(parts)))
        length = torch.full_like(angle, symbols.shape[1] / 1024).log()[:, None]
        return self.classify(torch.cat([invariants, turned, length], 1)), angle


def _invariants(z: Tensor) -> tuple[Tensor, Tensor]:
    """Averages that no rotation changes [rows, _INVARIANTS], and E cos(1.5 k r) e^(j m t) [rows, _RINGS, (2, 4, 8)]."""
    magnitude = z.abs()
    energy = magnitude.square()
    moments = [energy.square(), energy.pow(3), energy.pow(4), magnitude]
    second = (z / magnitude.clamp(min=1e-6)).square()
    fourth = second.square()
    circles = torch.view_as_real(torch.stack([second, fourth, fourth.square()], -1)).flatten(2)
    steps = _RING_STEP * torch.arange(_RINGS, device=z.device)[:, None]
    rings = (steps * magnitude[:, None]).cos()
    averages = (rings @ circles / z.shape[1]).unflatten(2, (3, 2)).contiguous()
    harmonics = torch.view_as_complex(averages)
    found = [
        torch.stack([moment.mean(1).clamp(min=1e-9).log() for moment in moments], 1),
        _characteristic(2 * magnitude, _MAGNITUDES),
        harmonics.abs().flatten(1),
    ]
    return torch.cat(found, 1), harmonics


def _turned(z: Tensor, harmonics: Tensor, angle: Tensor) -> Tensor:
    """Averages of the symbols turned by -angle [rows], float32 [rows, features]."""
    factor = torch.polar(torch.ones_like(angle), -angle)[:, None]
    fourth, eighth = harmonics[:, :, 1] * factor**4, harmonics[:, :, 2] * factor**8
    parts = torch.view_as_real(z * factor)
    diagonals = torch.stack([parts.sum(-1), parts[..., 0] - parts[..., 1]], -1) * 0.5**0.5
    found = [
        *(torch.view_as_real(value).flatten(1) for value in (fourth, eighth)),
        _characteristic(parts.flatten(1), _LATTICE),
        _characteristic(diagonals.flatten(1), _DIAGONALS),
    ]
    return torch.cat(found, 1)


def _characteristic(values: Tensor, last: int) -> Tensor:
    """E cos(k x) for k = 1 ... last, float32 [rows, last], by cos((k + 1) x) = 2 cos(x) cos(k x) - cos((k - 1) x)."""
    first = values.cos()
    before, now = torch.ones_like(first), first
    found = [now.mean(1)]
    for _ in range(last - 1):
        before, now = now, torch.addcmul(-before, now, first, value=2)
        found.append(now.mean(1))
    return torch.stack(found, 1)
