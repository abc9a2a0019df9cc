"""The layered decoder in PyTorch: the same integers as the compiled one, on any device."""

import torch
from torch import Tensor

from channels._ldpc_code import LdpcCode
from channels._ldpc_rule import CORRECTION, CORRECTION_SHIFT, LIMIT, MESSAGE_LIMIT


def decode(posterior: Tensor, code: LdpcCode, rows: int, iterations: int) -> tuple[Tensor, Tensor]:
    """Decode quantised blocks.

    Args:
        posterior: quantised LLRs of whole code words, int16 [blocks, columns, Z]; overwritten.
        code: the code.
        rows: rows of the base graph to use.
        iterations: most sweeps over these rows.

    Returns:
        Posteriors at the moment each block met all checks or ran out of sweeps, int16 [blocks, columns, Z], and the
        sweeps each block took, int64 [blocks]; iterations + 1 means that it never met them.
    """
    blocks = posterior.shape[0]
    result = posterior.clone()
    sweeps = torch.full((blocks,), iterations + 1, dtype=torch.int64, device=posterior.device)
    active = torch.arange(blocks, device=posterior.device)
    messages = [[torch.zeros_like(posterior[:, 0]) for _ in code.shifts[row]] for row in range(rows)]
    for sweep in range(iterations + 1):
        met = checks_met(posterior < 0, code, rows)
        result[active[met]] = posterior[met]
        sweeps[active[met]] = sweep
        if sweep == iterations or bool(met.all()):
            result[active[~met]] = posterior[~met]
            break
        if bool(met.any()):
            active, posterior = active[~met], posterior[~met]
            messages = [[message[~met] for message in row] for row in messages]
        for row in range(rows):
            messages[row] = _update_row(posterior, code.shifts[row], messages[row])
    return result, sweeps


def checks_met(ones: Tensor, code: LdpcCode, rows: int) -> Tensor:
    """Whether hard decisions, bool [blocks, columns, Z], meet the checks of the first `rows` rows: bool [blocks]."""
    failed = torch.zeros(ones.shape[0], dtype=torch.bool, device=ones.device)
    for row in code.shifts[:rows]:
        parity = torch.zeros_like(ones[:, 0])
        for column, shift in row:
            parity ^= ones[:, column].roll(-shift, 1)
        failed |= parity.any(1)
    return ~failed


def _update_row(posterior: Tensor, row: tuple[tuple[int, int], ...], messages: list[Tensor]) -> list[Tensor]:
    inputs, magnitudes = [], []
    negative = torch.zeros_like(messages[0], dtype=torch.bool)
    least = torch.full_like(messages[0], LIMIT)
    rest = torch.full_like(messages[0], LIMIT)
    for (column, shift), message in zip(row, messages, strict=True):
        incoming = (posterior[:, column].roll(-shift, 1) - message).clamp(-LIMIT, LIMIT)
        magnitude = incoming.abs()
        negative ^= incoming < 0
        rest = _box_plus(rest, torch.maximum(least, magnitude))
        least = torch.minimum(least, magnitude)
        inputs.append(incoming)
        magnitudes.append(magnitude)
    everything = _box_plus(rest, least).clamp(max=MESSAGE_LIMIT)
    rest = rest.clamp(max=MESSAGE_LIMIT)
    fresh = []
    for (column, shift), incoming, magnitude in zip(row, inputs, magnitudes, strict=True):
        size = torch.where(magnitude == least, rest, everything)
        message = torch.where(negative ^ (incoming < 0), -size, size)
        posterior[:, column] = (incoming + message).clamp(-LIMIT - 1, LIMIT).roll(shift, 1)
        fresh.append(message)
    return fresh


def _box_plus(a: Tensor, b: Tensor) -> Tensor:
    gain = (CORRECTION - ((a + b).clamp(max=LIMIT) >> CORRECTION_SHIFT)).clamp(min=0)
    loss = (CORRECTION - ((a - b).abs() >> CORRECTION_SHIFT)).clamp(min=0)
    return (torch.minimum(a, b) + gain - loss).clamp(min=0)
