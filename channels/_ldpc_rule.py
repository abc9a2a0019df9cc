"""Numbers of the decoder's fixed-point arithmetic, shared by its compiled and its PyTorch form.

Chosen by measurement on three codes (16QAM 1/2, 64QAM 2/3, QPSK 1/5). Range matters more than resolution: finer steps
saturate earlier, and a saturated message brings an error floor.
"""

SCALE = 4.0
"""Steps per unit of LLR."""
LIMIT = 127
"""Largest magnitude that enters a check."""
MESSAGE_LIMIT = 31
"""Largest magnitude that leaves a check: a quarter of the range, lest saturated posteriors forget their parts."""
CORRECTION = 2
"""ln 2 in steps, rounded down: ln(1 + exp(-x)) is replaced by max(CORRECTION - x / 2^CORRECTION_SHIFT, 0)."""
CORRECTION_SHIFT = 2
