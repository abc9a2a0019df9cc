"""The table of thresholds is that of the decoder which the link uses."""

import json
import math
from itertools import pairwise

import pytest
import torch

from channels import _mcs, ldpc
from channels._rng import Rng, seed_for
from channels.modem import choose, decode, encode, transport_uses


def test_table_was_measured_with_the_sweeps_of_the_link():
    assert json.loads(_mcs._TABLE.read_text())["iterations"] == ldpc.ITERATIONS


@pytest.mark.parametrize("snr_db", [-2.0, 4.0, 9.0, 15.0, 21.0])
def test_half_of_the_blocks_arrive_in_the_middle_of_a_waterfall(snr_db):
    """0.12 dB away, as with 20 sweeps, nine of ten would fail."""
    mcs = choose(snr_db)
    row = next(row for row in _mcs.waterfalls() if row.mcs == mcs)
    blocks, size = 100, 8400 if mcs.code_rate > 0.25 else 3800  # one code block of nearly the longest
    rng = Rng([seed_for("waterfall", snr_db, block) for block in range(blocks)])
    payload = (rng.derive("bits").uniform(size) < 0.5).to(torch.uint8)
    uses, noise_var = transport_uses(size, mcs), 10 ** (-row.middle_db / 10)
    noise = rng.derive("noise").complex_normal(uses, variance=torch.full((blocks,), noise_var))
    found = decode(encode(payload, mcs, uses) + noise, noise_var, mcs, size)
    failed = int((~found.ok).sum())
    # the middle is known to some 0.02 dB, a fifth of the width: 0.08 in probability
    assert abs(failed - blocks / 2) < 8 + 4 * math.sqrt(blocks / 4)


def test_thresholds_are_dense():
    """A step down costs less than 0.55 dB (1 dB at the low end, where the code repeats bits)."""
    thresholds = [row.threshold_db(1e-3) for row in _mcs.waterfalls()]
    for low, high in pairwise(thresholds):
        assert high - low < (1.0 if low < -2 else 0.55)
