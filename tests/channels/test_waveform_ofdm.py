"""The OFDM payload of the waveform: errors under each impairment, gains of the subcarriers, cyclic prefix."""

import math

import pytest
import torch
from waveforms import IMPAIRMENTS, carry, gaussian

from channels import waveform


@pytest.mark.parametrize("snr_db", [0.0, 15.0])
@pytest.mark.parametrize("name", IMPAIRMENTS)
def test_errors_of_ofdm_are_as_small_as_reported(name, snr_db):
    sent = gaussian(6, 2000)
    received = carry(waveform.build(subcarriers=64, **IMPAIRMENTS[name]), sent, snr_db)
    error = (received.symbols - sent).abs().square()
    assert float((error / received.noise_var).mean()) == pytest.approx(1, abs=0.1)
    loss_db = 10 * math.log10(1 / float((1 / received.noise_var).mean())) + snr_db
    fades = "within" in name or name == "all"  # such paths are one, whose power depends on their phases
    assert loss_db < (3.0 if fades else 0.5)  # of the mean SNR over the subcarriers


def test_subcarriers_have_the_gain_of_the_paths():
    channel = waveform.build(subcarriers=32, path_delays=(0.0, 3.0), path_powers_db=(0.0, -3.0))
    sent = gaussian(8, 640)
    received = carry(channel, sent, 25.0)
    noise = received.noise_var[:, :32]  # N0 / |H_k|^2
    power = 10 ** (-2.5) / noise
    share = 1 / (1 + 10 ** (-0.3))
    assert float(power.mean()) == pytest.approx(1, abs=0.1)
    deviation = (2 * share * (1 - share)) ** 0.5  # |H|^2 = 1 + 2 sqrt(p_1 p_2) cos(2 pi 3 k / N + phase)
    assert float(power.std(1).mean()) == pytest.approx(deviation, rel=0.1)
    spectrum = torch.fft.rfft(power).abs()[:, 1:]
    assert (spectrum.argmax(1) == 2).all()  # three periods over the subcarriers: a delay of three symbols
    error = (received.symbols - sent).abs().square() / received.noise_var
    strong = received.noise_var < received.noise_var.median(1, keepdim=True).values
    for half in (strong, ~strong):
        assert float(error[half].mean()) == pytest.approx(1, abs=0.1)


def test_paths_beyond_the_cyclic_prefix_interfere_and_are_part_of_the_noise_variance():
    sent, paths = gaussian(4, 640), {"path_delays": (0.0, 6.0), "path_powers_db": (0.0, -3.0)}
    errors = []
    for prefix in (16, 2):
        received = carry(waveform.build(subcarriers=32, cyclic_prefix=prefix, **paths), sent, 40.0)
        error = (received.symbols - sent).abs().square()
        errors.append(float((error * received.gains[:, :, 0].abs().square()).mean()))
        assert 0.5 < float((error / received.noise_var).mean()) < 1.2
    assert errors[1] > 5 * errors[0]


def test_ofdm_counts_its_cyclic_prefix_and_pilots():
    single, ofdm = waveform.build(pilot_spacing=64), waveform.build(subcarriers=64, cyclic_prefix=16)
    blocks = 10  # 14 OFDM symbols each, 64 pilots among their 896 resource elements
    uses = torch.tensor([[blocks * 832]])
    more = int(ofdm.medium.occupied(uses)) - int(single.medium.occupied(uses))
    prefixes, pilots, groups = blocks * 14 * 16, blocks * 64, blocks * 4  # a single carrier has a group per 64 symbols
    assert more == pytest.approx((prefixes + pilots + groups) * 1.25, abs=blocks * 14)
