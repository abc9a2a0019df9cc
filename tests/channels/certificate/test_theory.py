"""The theory of the certificate against other closed forms."""

import math

import pytest

from channels.certificate import theory


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_rayleigh_closed_forms(snr_db):
    snr = 10 ** (snr_db / 10)
    for bits_per_symbol in (1, 2):
        per_bit = snr / bits_per_symbol
        closed = 0.5 * (1 - math.sqrt(per_bit / (1 + per_bit)))
        assert theory.ber_fading(bits_per_symbol, snr) == pytest.approx(closed, rel=1e-4)


def test_16qam_closed_form_over_awgn_and_rayleigh():
    snr = 10**1.4
    arm = math.sqrt(snr / 10)  # half the distance of levels over the deviation of N0

    def q(x):
        return 0.5 * math.erfc(x)

    nearest = (3 * q(arm) + 2 * q(3 * arm) - q(5 * arm)) / 4
    assert float(theory.ber_awgn(4, snr)) == pytest.approx(nearest, rel=1e-3)

    def faded(multiple):
        power = multiple**2 * snr / 10
        return 0.5 * (1 - math.sqrt(power / (1 + power)))

    closed = (3 * faded(1) + 2 * faded(3) - faded(5)) / 4
    assert theory.ber_fading(4, snr) == pytest.approx(closed, rel=1e-2)
    # the decision by the posterior has at most this error rate
    assert theory.ber_fading(4, snr) < closed


def test_strong_line_of_sight_is_awgn_and_the_mean_square_is_below_the_mean():
    assert theory.ber_fading(2, 10.0, k_factor=1000.0) == pytest.approx(float(theory.ber_awgn(2, 10.0)), rel=0.05)
    assert theory.ber_fading(2, 10.0, 4.0) > theory.ber_fading(2, 10.0, 4.0, power=2)
