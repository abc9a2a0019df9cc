"""Layered LDPC decoder in PyTorch for any device: the same integers as the compiled decoder.

All edges of a row are processed together, and box-plus is a table: on a GPU the time of small operations is that of
their start, whatever the number of blocks.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from channels.modem.ldpc_code import LdpcCode
from channels.modem.ldpc_rule import CORRECTION, CORRECTION_SHIFT, LIMIT, MESSAGE_LIMIT

_SIDE = LIMIT + 1  # magnitudes are 0 to LIMIT


@dataclass(frozen=True)
class _Tables:
    """Constants of a code on a device.

    Args:
        rows: positions of the bits of each base graph row in a flattened code word, int64 [edges * Z].
        box_plus: box-plus sum of the magnitudes a and b at a * (LIMIT + 1) + b, int64.
    """

    rows: tuple[Tensor, ...]
    box_plus: Tensor


def decode(posterior: Tensor, code: LdpcCode, rows: int, iterations: int) -> tuple[Tensor, Tensor]:
    """Decode quantized blocks.

    Args:
        posterior: quantized LLRs of whole code words, int16 [blocks, columns, Z]; overwritten.
        code: LDPC code of the blocks.
        rows: number of rows of the base graph to use.
        iterations: largest number of iterations.

    Returns:
        Posteriors when each block met all checks or reached the largest number of iterations, int16 [blocks, columns,
        Z], and the number of iterations used, int64 [blocks]; iterations + 1 if the checks were never met.
    """
    shape, device = posterior.shape, posterior.device
    tables = _tables(code, device)
    posterior = posterior.flatten(1)
    result = posterior.clone()
    used = torch.full((len(result),), iterations + 1, dtype=torch.int64, device=device)
    active = torch.arange(len(result), device=device)
    degrees = [len(row) for row in code.shifts[:rows]]
    messages = posterior.new_zeros(len(result), sum(degrees), code.lifting)
    for iteration in range(iterations + 1):
        met = _checks_met(posterior < 0, tables, code, rows)
        result[active[met]] = posterior[met]
        used[active[met]] = iteration
        if iteration == iterations or bool(met.all()):
            result[active[~met]] = posterior[~met]
            break
        if bool(met.any()):
            active, posterior, messages = active[~met], posterior[~met], messages[~met]
        for places, message in zip(tables.rows, messages.split(degrees, 1), strict=False):
            _update_row(posterior, places, message, tables.box_plus)
    return result.view(shape), used


def checks_met(ones: Tensor, code: LdpcCode, rows: int) -> Tensor:
    """Check hard decisions, bool [blocks, columns, Z], against the first `rows` rows: bool [blocks]."""
    return _checks_met(ones.flatten(1), _tables(code, ones.device), code, rows)


def _checks_met(ones: Tensor, tables: _Tables, code: LdpcCode, rows: int) -> Tensor:
    failed = torch.zeros(len(ones), dtype=torch.bool, device=ones.device)
    for places in tables.rows[:rows]:
        parity = ones[:, places].unflatten(1, (-1, code.lifting)).sum(1) & 1
        failed |= parity.any(1)
    return ~failed


def _update_row(posterior: Tensor, places: Tensor, messages: Tensor, box_plus: Tensor) -> None:
    """Update all checks of a row: `messages`, int16 [blocks, edges, Z], and the posteriors of their bits."""
    incoming = (posterior[:, places].view_as(messages) - messages).clamp(-LIMIT, LIMIT)
    magnitude, negative = incoming.abs(), incoming < 0
    least = magnitude.cummin(1).values
    # of the least magnitude so far and the next one, the larger joins the sum of the others
    larger = torch.maximum(least[:, :-1], magnitude[:, 1:]).long()
    rest = box_plus[-1].expand_as(larger[:, 0])
    for edge in range(larger.shape[1]):
        rest = box_plus[torch.add(rest, larger[:, edge], alpha=_SIDE)]
    least = least[:, -1]
    total = box_plus[torch.add(rest, least.long(), alpha=_SIDE)].clamp(max=MESSAGE_LIMIT).to(messages.dtype)
    rest = rest.clamp(max=MESSAGE_LIMIT).to(messages.dtype)
    size = torch.where(magnitude == least[:, None], rest[:, None], total[:, None])
    odd = (negative.sum(1) & 1).bool()
    messages.copy_(torch.where(negative ^ odd[:, None], -size, size))
    posterior[:, places] = (incoming + messages).clamp(-LIMIT - 1, LIMIT).flatten(1)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _tables(code: LdpcCode, device: torch.device) -> _Tables:
    lanes = torch.arange(code.lifting, device=device)
    rows = tuple(
        torch.cat([column * code.lifting + (lanes + shift) % code.lifting for column, shift in row])
        for row in code.shifts
    )
    values = torch.arange(_SIDE, device=device)
    return _Tables(rows, _box_plus(values[:, None], values).flatten())


def _box_plus(a: Tensor, b: Tensor) -> Tensor:
    """Magnitude of the box-plus sum of two messages: min(a, b) + ln(1 + e^-(a + b)) - ln(1 + e^-|a - b|), in steps."""
    gain = (CORRECTION - ((a + b).clamp(max=LIMIT) >> CORRECTION_SHIFT)).clamp(min=0)
    loss = (CORRECTION - ((a - b).abs() >> CORRECTION_SHIFT)).clamp(min=0)
    return (torch.minimum(a, b) + gain - loss).clamp(min=0)
