"""Constants of the decoder's fixed-point arithmetic, shared by its compiled and its PyTorch version.

They were chosen by measurement on three codes (16QAM 1/2, 64QAM 2/3, QPSK 1/5). Range matters more than resolution:
finer steps saturate earlier, and saturated messages cause an error floor.
"""

SCALE = 4.0
"""Quantization steps per unit of LLR."""
LIMIT = 127
"""Largest magnitude of a message to a check."""
MESSAGE_LIMIT = 31
"""Largest magnitude of a message from a check: a quarter of the range, so that posteriors seldom saturate."""
CORRECTION = 2
"""ln 2 in steps, rounded down: ln(1 + exp(-x)) is replaced by max(CORRECTION - x / 2^CORRECTION_SHIFT, 0)."""
CORRECTION_SHIFT = 2
