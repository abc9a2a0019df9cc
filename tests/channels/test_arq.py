import math

import numpy as np
import pytest

from channels import UsageError
from channels.arq import SelectiveRepeat

DEMO = SelectiveRepeat(packet_s=0.00869, acknowledgement_s=0.02, window=20)


def test_without_losses_the_delay_is_arithmetic():
    assert DEMO.expected_delay_s(99, 0.0) == pytest.approx(99 * 0.00869 + 5 * 0.02)
    assert DEMO.expected_delay_s(0, 0.5) == 0


def test_one_packet_needs_a_geometric_number_of_bursts():
    assert DEMO.expected_delay_s(1, 0.25) == pytest.approx((0.00869 + 0.02) / 0.75)


def test_a_wide_window_repeats_each_packet_a_geometric_number_of_times():
    without_acknowledgements = SelectiveRepeat(packet_s=1.0, acknowledgement_s=0.0, window=7)
    assert without_acknowledgements.expected_delay_s(50, 0.2) == pytest.approx(50 / 0.8)


def test_the_recursion_agrees_with_simulated_bursts():
    draws, packet_error, packets = np.random.default_rng(1), 0.2, 73
    delays = []
    for _ in range(4000):
        missing, elapsed = packets, 0.0
        while missing:
            sent = min(missing, DEMO.window)
            elapsed += sent * DEMO.packet_s + DEMO.acknowledgement_s
            missing -= draws.binomial(sent, 1 - packet_error)
        delays.append(elapsed)
    error = np.std(delays) / math.sqrt(len(delays))
    assert abs(np.mean(delays) - DEMO.expected_delay_s(packets, packet_error)) < 4 * error


def test_packet_error_rate_1_has_infinite_delay_and_wrong_arguments_are_refused():
    assert DEMO.expected_delay_s(3, 1.0) == math.inf
    with pytest.raises(UsageError, match="packet_error"):
        DEMO.expected_delay_s(3, 1.5)
    with pytest.raises(UsageError, match="window"):
        SelectiveRepeat(packet_s=0.01, acknowledgement_s=0.0, window=0)
