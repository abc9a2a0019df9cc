"""The table of SNR thresholds was measured with the decoder of the link."""

import json
import math
from itertools import pairwise

import pytest
import torch

from channels.modem import ldpc
from channels.modem import mcs as table
from channels.modem.transport_block import choose, decode, encode, transport_uses
from channels.rng import Rng, seed_for


def test_table_was_measured_with_the_iterations_of_the_link():
    assert json.loads(table.TABLE_FILE.read_text())["iterations"] == ldpc.ITERATIONS


@pytest.mark.parametrize("snr_db", [-2.0, 4.0, 9.0, 15.0, 21.0])
def test_half_of_the_blocks_fail_in_the_middle_of_a_waterfall(snr_db):
    """With a threshold off by 0.12 dB, as of 20 iterations, nine of ten blocks would fail."""
    mcs = choose(snr_db)
    row = next(row for row in table.waterfalls() if row.mcs == mcs)
    blocks, size = 100, 8400 if mcs.code_rate > 0.25 else 3800  # one code block of nearly the longest
    rng = Rng([seed_for("waterfall", snr_db, block) for block in range(blocks)])
    payload = (rng.derive("bits").uniform(size) < 0.5).to(torch.uint8)
    uses, noise_var = transport_uses(size, mcs), 10 ** (-row.middle_db / 10)
    noise = rng.derive("noise").complex_normal(uses, variance=torch.full((blocks,), noise_var))
    decoded = decode(encode(payload, mcs, uses) + noise, noise_var, mcs, size)
    failed = int((~decoded.ok).sum())
    # the middle is known to about 0.02 dB, a fifth of the width: 0.08 in probability
    assert abs(failed - blocks / 2) < 8 + 4 * math.sqrt(blocks / 4)


def test_thresholds_are_dense():
    """Adjacent thresholds differ by less than 0.55 dB (1 dB at the low end, where the code repeats bits)."""
    thresholds = [row.threshold_db(1e-3) for row in table.waterfalls()]
    for low, high in pairwise(thresholds):
        assert high - low < (1.0 if low < -2 else 0.55)
