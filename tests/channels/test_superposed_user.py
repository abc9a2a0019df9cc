"""The channel of one of several superposed users has the statistics of the superposed channel."""

import pytest
import torch

from channels import seed_for, uplink
from channels.rng import Rng
from channels.superposed_user import superposed_user

ROWS, USES = 1500, 64


def carried(channel, users, rows=ROWS):
    rng = Rng([seed_for("superposed user", row) for row in range(rows * users)])
    symbols = rng.derive("sent").complex_normal(USES).unflatten(0, (rows, users))
    uses, snr_db = torch.full((rows, users), USES), torch.full((rows, users), 10.0)
    return symbols, channel.carry(symbols, uses, snr_db, rng), channel.transmitter_snr_db(uses, snr_db, rng)


@pytest.mark.parametrize("arguments", [{}, {"coherence_uses": 16, "power_offsets_db": (0.0, -10.0)}])
def test_noise_and_known_snr_have_the_distribution_of_all_users(arguments):
    channel = uplink.build(antennas=2, csit="perfect", **arguments)
    (_, every, known), (sent, one, known_by_one) = carried(channel, 2), carried(superposed_user(channel, 2), 1)
    rate, rate_of_one = (torch.log2(1 + 1 / received.noise_var).mean(-1).flatten() for received in (every, one))
    error = (rate.var() / ROWS + rate_of_one.var() / ROWS).sqrt()
    assert abs(rate.mean() - rate_of_one.mean()) < 4 * error
    assert known_by_one.std().item() == pytest.approx(known.std().item(), rel=0.1)
    weighted = (one.symbols - sent).abs().square() / one.noise_var
    assert weighted.mean().item() == pytest.approx(1, abs=0.03)


def test_a_row_does_not_depend_on_the_other_rows():
    channel = superposed_user(uplink.build(antennas=2, coherence_uses=1), 2)
    (_, few, _), (_, many, _) = carried(channel, 1, 3), carried(channel, 1, 7)
    assert torch.equal(few.symbols, many.symbols[:3])
    assert torch.equal(few.noise_var, many.noise_var[:3])
