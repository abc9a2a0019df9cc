"""SNR over a distance: slope, free space, and wrong inputs."""

import math

import pytest

from channels import UsageError
from channels.propagation.path_loss import snr_db


def test_ten_times_the_distance_costs_ten_exponents_and_ten_times_the_power_gains_10_db():
    near = snr_db(0.1, 10.0, 1e6, exponent=3.5)
    assert near - snr_db(0.1, 100.0, 1e6, exponent=3.5) == pytest.approx(35)
    assert snr_db(1.0, 10.0, 1e6, exponent=3.5) - near == pytest.approx(10)
    assert near - snr_db(0.1, 10.0, 1e7, exponent=3.5) == pytest.approx(10)


def test_the_loss_of_free_space_gives_the_received_power_of_friis():
    wavelength, distance = 3e8 / 2.4e9, 250.0
    received_w = 0.1 * (wavelength / (4 * math.pi * distance)) ** 2
    noise_w = 1.380649e-23 * 290 * 1e6
    loss = 20 * math.log10(4 * math.pi / wavelength)
    found = snr_db(0.1, distance, 1e6, loss_at_1_m_db=loss, exponent=2.0, noise_figure_db=0.0)
    assert found == pytest.approx(10 * math.log10(received_w / noise_w), abs=0.05)


@pytest.mark.parametrize("wrong", [(0.0, 10.0, 1e6), (0.1, 0.5, 1e6), (0.1, 10.0, -1.0)])
def test_wrong_inputs_are_named(wrong):
    with pytest.raises(UsageError, match="at least 1 m"):
        snr_db(*wrong)
