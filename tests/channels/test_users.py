"""Several users: superposed users are separated, common users receive the same symbols."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from channels import broadcast, rayleigh, uplink
from channels.errors import UsageError
from channels.rng import Rng, seed_for
from channels.uplink import remove, separate


def streams(rows):
    return Rng([seed_for("users", row) for row in range(rows)])


def sent_by(batch, users, length):
    return streams(batch * users).derive("sent").complex_normal(length).unflatten(0, (batch, users))


def carry(channel, batch, users, length=64, snr_db=10.0, uses=None):
    sent = sent_by(batch, users, length)
    uses = torch.full((batch, users), length) if uses is None else uses
    snr = torch.as_tensor(snr_db, dtype=torch.float32).expand(batch, users)
    return sent, channel.carry(sent, uses, snr, streams(batch * users))


@pytest.mark.parametrize(("users", "antennas"), [(1, 1), (2, 2), (3, 4), (4, 2), (16, 16)])
@pytest.mark.parametrize("uneven", [False, True], ids=["even", "uneven"])
def test_error_has_the_reported_noise_variance(users, antennas, uneven):
    batch, length = 1600 // users, 64
    uses = torch.full((batch, users), length)
    if uneven:
        uses[:, 0] = 20
    channel = uplink.build(antennas=antennas, coherence_uses=8, receiver="joint")
    sent, received = carry(channel, batch, users, length, uses=uses)
    used = torch.arange(length) < uses[..., None]
    ratio = ((received.symbols - sent).abs().square() / received.noise_var.where(used, torch.tensor(1.0)))[used]
    # the 8 uses of a block share their gains
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * math.sqrt(8 / ratio.numel()))
    assert not received.symbols[~used].any()


@pytest.mark.parametrize("snr_db", [0.0, 40.0, 60.0, 100.0])
@pytest.mark.parametrize(("users", "antennas"), [(1, 4), (2, 2), (4, 2)])
def test_noise_variance_has_its_closed_form_at_any_snr(users, antennas, snr_db):
    """One user: noise |g|^2 / N0 = 1. Several: 1 / SINR, SINR_u = g_u^H (N0 I + sum of the others)^-1 g_u, float64."""
    batch, length = 1200 // users, 32
    channel = uplink.build(antennas=antennas, receiver="joint")
    sent, received = carry(channel, batch, users, length, snr_db)
    gains, reported = received.gains[..., 0].numpy().astype(np.complex128), received.noise_var[..., 0].double()
    n0 = received.mixture_noise_var.double().numpy()
    for user in range(users):
        rest = np.delete(gains, user, axis=1)
        noise = n0[:, None, None] * np.eye(antennas) + np.einsum("bua,buc->bac", rest, rest.conj())
        filters = np.linalg.solve(noise, gains[:, user, :, None])[..., 0]
        sinr = np.einsum("ba,ba->b", gains[:, user].conj(), filters).real
        torch.testing.assert_close(reported[:, user], torch.from_numpy(1 / sinr), rtol=1e-4, atol=0)
    ratio = ((received.symbols - sent).abs().square() / received.noise_var).mean(-1)
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(ratio.numel()) + 0.002)


def test_a_user_with_zero_gain_has_zero_symbols_and_finite_noise():
    received = carry(uplink.build(antennas=2), 1, 2)[1]
    silent = separate(replace(received, gains=received.gains * torch.tensor([1.0, 0.0])[:, None, None]))
    assert not silent.symbols[:, 1].any()
    assert silent.noise_var.isfinite().all()


def test_one_user_with_many_antennas_is_maximum_ratio_combining():
    _, received = carry(uplink.build(antennas=3), 50, 1)
    expected = 0.1 / received.gains.abs().square().sum(2)
    torch.testing.assert_close(received.noise_var, expected, rtol=1e-4, atol=1e-6)


def test_receiver_noise_is_added_once_for_any_number_of_users():
    for users in (1, 4):
        sent, received = carry(uplink.build(antennas=1, receiver="joint"), 400, users, 100)
        noise = received.mixture - (received.gains * sent[:, :, None]).sum(1)
        assert float(noise.abs().square().mean()) == pytest.approx(0.1, abs=4 * 0.1 / math.sqrt(40_000))
        torch.testing.assert_close(received.mixture_noise_var, torch.full((400,), 0.1))


def test_a_further_user_does_not_change_gains_and_noise_of_the_first():
    channel = uplink.build(antennas=2)
    sent = sent_by(1, 2, 32)
    seeds = streams(2).seeds
    alone = channel.carry(sent[:, :1], torch.tensor([[32]]), torch.full((1, 1), 10.0), Rng(seeds[:1]))
    both = channel.carry(sent, torch.full((1, 2), 32), torch.full((1, 2), 10.0), Rng(seeds))
    assert torch.equal(alone.gains[:, 0], both.gains[:, 0])
    rest = both.mixture - both.gains[:, 1] * sent[:, 1, None]
    torch.testing.assert_close(rest, alone.mixture, rtol=1e-4, atol=1e-5)


def test_removing_all_other_users_leaves_a_single_user_channel():
    sent, received = carry(uplink.build(antennas=1, receiver="joint", power_offsets_db=(6.0, 0.0, -6.0)), 200, 3)
    after = remove(remove(received, 0, sent[:, 0]), 1, sent[:, 1])
    assert not after.symbols[:, :2].any()
    alone = 0.1 / received.gains[:, 2, 0].abs().square()
    torch.testing.assert_close(after.noise_var[:, 2], alone, rtol=1e-3, atol=1e-5)
    ratio = ((after.symbols - sent)[:, 2].abs().square() / after.noise_var[:, 2]).mean(1)
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(200))


def test_power_offsets_and_snr_set_the_received_power():
    snr = torch.tensor([10.0, 13.0])
    _, received = carry(uplink.build(antennas=2, power_offsets_db=(0.0, 3.0)), 4000, 2, 1, snr)
    power = received.gains.abs().square().mean((0, 2, 3))
    assert float(power[1] / power[0]) == pytest.approx(10**0.6, rel=4 / math.sqrt(4000))


def test_power_offsets_count_as_energy_and_path_loss_does_not():
    """At +10 dB a use of unit energy counts 10; a different SNR is a different path loss, and the use counts 1."""
    channel = uplink.build(antennas=2, power_offsets_db=(0.0, 10.0, -3.0))
    uses = torch.tensor([[64, 64], [64, 20]])
    sent, received = carry(channel, 2, 2, snr_db=torch.tensor([10.0, 25.0]), uses=uses)
    energy = [[float(sent[row, user, : uses[row, user]].abs().square().sum()) for user in (0, 1)] for row in (0, 1)]
    expected = torch.tensor(energy) * torch.tensor([1.0, 10.0])
    torch.testing.assert_close(received.energy, expected, rtol=1e-5, atol=0)


def test_two_users_at_two_antennas_have_less_capacity_each_than_one_user():
    _, one = carry(uplink.build(antennas=2), 2000, 1, 1)
    _, two = carry(uplink.build(antennas=2), 1000, 2, 1)
    capacity_one, capacity_two = (torch.log2(1 + 1 / received.noise_var).mean() for received in (one, two))
    assert 0.5 < float(capacity_two / capacity_one) < 0.9


@pytest.mark.parametrize("fading", ["none", "rayleigh", "rician"])
def test_broadcast_users_receive_one_transmission_through_independent_channels(fading):
    sent = sent_by(3, 1, 500).expand(3, 4, 500).contiguous()
    snr = torch.tensor([0.0, 5.0, 10.0, 15.0]).expand(3, 4)
    received = broadcast.build(fading=fading).carry(sent, torch.full((3, 4), 500), snr, streams(12))
    error = (received.symbols - sent) / received.noise_var.sqrt()
    assert float(error.abs().square().mean()) == pytest.approx(1, abs=4 / math.sqrt(6000))
    shared = (error[:, 0] * error[:, 1].conj()).mean().abs()
    assert float(shared) < 4 / math.sqrt(1500)


def test_broadcast_refuses_different_symbols():
    with pytest.raises(UsageError, match="same"):
        carry(broadcast.build(), 2, 2)


def test_orthogonal_users_do_not_change_each_other():
    channel, seeds = rayleigh.build(), streams(3).seeds
    sent = sent_by(1, 3, 20)
    alone = channel.carry(sent[:, :1], torch.tensor([[20]]), torch.zeros(1, 1), Rng(seeds[:1]))
    together = channel.carry(sent, torch.full((1, 3), 20), torch.zeros(1, 3), Rng(seeds))
    torch.testing.assert_close(alone.symbols, together.symbols[:, :1])


def test_wrong_arguments_are_refused_in_one_line():
    for call, word in (
        (lambda: carry(uplink.build(antennas=2), 1, 3), "set antennas: 3"),
        (lambda: carry(uplink.build(antennas=64), 1, 17), "17 superposed users"),
        (lambda: uplink.build(antennas=0), "antennas"),
        (lambda: uplink.build(power_offsets_db=(math.nan,)), "power_offsets_db"),
        (lambda: remove(carry(rayleigh.build(), 1, 1)[1], 0, torch.ones(1, 64, dtype=torch.complex64)), "mixture"),
    ):
        with pytest.raises(UsageError, match=word) as refusal:
            call()
        assert "\n" not in str(refusal.value)
