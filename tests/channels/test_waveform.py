"""The waveform: pulses, detection, synchronization and equalization under each impairment, and missed frames."""

import math

import numpy as np
import pytest
import torch
from waveforms import IMPAIRMENTS, carry, gaussian

from channels import waveform
from channels.base import Medium
from channels.errors import UsageError
from channels.rng import Rng
from channels.waveform import header as headers
from channels.waveform import sequences
from channels.waveform.channel import MISSED_NOISE_VAR
from channels.waveform.equalizer import _delay_spread
from channels.waveform.frame import Layout
from channels.waveform.header import Header
from channels.waveform.impairments import Impairments
from channels.waveform.modulator import configuration, modulate
from channels.waveform.pulse import Pulse, combined, gather, rrc, scatter, tabulate
from channels.waveform.receiver import Receiver
from semcom import Link, Sample
from semcom.systems import digital

PULSE = Pulse(4, 0.25, 16)
LAYOUT = Layout(PULSE, 256, 256, 4, 60, 15360)


# --- pulses ----------------------------------------------------------------------------------------------------------


def test_pulse_is_the_limit_of_its_neighborhood_at_its_poles():
    for time in (0.0, 1.0, -1.0):  # 0 and 1 / (4 roll-off)
        near = rrc(np.array([time - 1e-5, time + 1e-5]), 0.25).mean()
        assert float(rrc(np.array(time), 0.25)) == pytest.approx(near, abs=1e-8)


def test_pulse_agrees_with_the_integral_of_its_spectrum():
    frequency = np.linspace(-0.625, 0.625, 20_001)
    ramp = np.clip(np.abs(frequency) - 0.375, 0, None) * np.pi / 0.25
    amplitude = np.sqrt(0.5 * (1 + np.cos(ramp)))
    for time in (0.0, 0.37, 2.5, 7.1):
        integral = np.trapezoid(amplitude * np.cos(2 * np.pi * frequency * time), frequency)
        assert float(rrc(np.array(time), 0.25)) == pytest.approx(integral, abs=1e-6)


@pytest.mark.parametrize("rate", [2, 4, 8])
@pytest.mark.parametrize("roll_off", [0.2, 0.25, 0.5, 1.0])
def test_matched_filter_has_little_interference(rate, roll_off):
    pulse = Pulse(rate, roll_off, 32)
    values = pulse.autocorrelation(np.arange(1.0, 33.0))
    assert 2 * (values**2).sum() < 3e-5
    assert float(pulse.autocorrelation(np.zeros(1))[0]) == pytest.approx(1)


def test_gather_and_scatter_are_adjoint_and_differentiable():
    random = np.random.default_rng(0)
    table = combined(PULSE, np.array([-2.0, 0.0, 6.0]), np.array([0.2j, 1.0, -0.4 + 0.1j]))
    times = torch.from_numpy(random.uniform(-30, 430, 57))
    samples, values = _complex(random, 400), _complex(random, 57)
    forward = (gather(samples, times, table).conj() * values).sum()
    backward = (samples.conj() * scatter(values, times, table, 400)).sum()
    assert complex(forward) == pytest.approx(complex(backward), rel=1e-4)
    samples.requires_grad_()
    (gather(samples, times, table) * values.conj()).real.sum().backward()
    torch.testing.assert_close(samples.grad, scatter(values, times, table, 400), rtol=1e-4, atol=1e-5)


def _complex(random, count):
    return torch.from_numpy((random.normal(size=count) + 1j * random.normal(size=count)).astype(np.complex64))


def test_combined_pulse_is_the_sum_of_shifted_pulses():
    offsets, weights = np.array([-3.0, 0.0, 4.5]), np.array([0.3, 1.0, 0.5j])
    table = combined(PULSE, offsets, weights)
    reference = tabulate(
        lambda t: sum(w * PULSE(t + o) for o, w in zip(offsets, weights, strict=True)),
        PULSE.reach + 4.5,
        PULSE.reach + 3,
    )
    samples, times = _complex(np.random.default_rng(1), 300), torch.linspace(20, 250, 77, dtype=torch.float64)
    torch.testing.assert_close(gather(samples, times, table), gather(samples, times, reference), rtol=1e-4, atol=1e-4)


# --- known symbols and header ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", [128, 256, 512])
def test_the_preamble_has_one_peak_in_time_and_frequency(symbols):
    known = sequences.preamble(symbols)
    assert np.abs(known) == pytest.approx(1)
    frequency = np.fft.fftfreq(8 * symbols)
    inside = np.abs(frequency) < 1 / 32
    for lag in range(1, symbols):
        overlap = known[lag:] * known[: symbols - lag].conj()
        assert (np.abs(np.fft.fft(overlap, 8 * symbols)) * inside).max() < 0.6 * symbols


def test_pilots_are_gaussian_and_their_neighbors_uncorrelated():
    pilots = sequences.pilots(2000)
    assert (np.abs(pilots) ** 2).mean() == pytest.approx(1, abs=1e-9)
    assert (np.abs(pilots) ** 4).mean() == pytest.approx(2, abs=0.15)
    for lag in (1, 2, 3):
        assert abs((pilots[lag:] * pilots[:-lag].conj()).mean()) < 0.08


def test_header_is_decoded_in_noise_and_refused_in_noise_alone():
    random, header = np.random.default_rng(0), Header(41234, 73_728, 3, 17, 23, 512, 768)
    sent = torch.from_numpy(headers.encode(header, 256).copy())
    noise = torch.from_numpy(random.normal(size=(60, 256, 2)) @ np.array([1, 1j])) * math.sqrt(0.5)
    assert sum(headers.decode(sent + n, 1.0) == header for n in noise) >= 59
    assert all(headers.decode(n, 1.0) is None for n in noise)
    with pytest.raises(UsageError, match="number of images must be 0 to 255"):
        Header(0, 10, last=256)


# --- layout ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uses", [1, 59, 60, 61, 15_360, 15_361, 40_000])
def test_medium_counts_all_symbols_and_the_bandwidth(uses):
    total = sum(LAYOUT.symbols(part) + PULSE.span for part in LAYOUT.parts(uses))
    occupied = int(LAYOUT.medium.occupied(torch.tensor([[uses]]))[0])
    assert 0 <= occupied - 1.25 * total <= len(LAYOUT.parts(uses))
    assert LAYOUT.medium.budget(occupied, 1) >= uses
    known, data = LAYOUT.known(min(uses, 15_360)), LAYOUT.data(min(uses, 15_360))
    everything = np.r_[np.arange(LAYOUT.start), known, data]
    assert np.array_equal(np.sort(everything), np.arange(LAYOUT.symbols(min(uses, 15_360))))


def test_bursts_of_other_channels_do_not_exist():
    assert Medium(frame_data=3, frame_uses=5).budget(52, 1) == 30
    assert Medium(frame_data=3, frame_uses=5).occupied(torch.tensor([[30]])).tolist() == [50]


# --- reception -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 15.0])
@pytest.mark.parametrize("name", IMPAIRMENTS)
def test_errors_are_as_small_as_reported(name, snr_db):
    sent = gaussian(6, 2000)
    received = carry(waveform.build(**IMPAIRMENTS[name]), sent, snr_db)
    fades = "path" in name or name == "all"
    found = received.noise_var.mean(1) < MISSED_NOISE_VAR
    assert found.sum() >= (5 if fades and snr_db < 5 else 6)  # headers need -2 dB, and paths may cancel
    error = (received.symbols - sent)[found].abs().square().mean(1)
    assert float(error.mean() / received.noise_var[found].mean()) == pytest.approx(1, abs=0.05)
    loss_db = float(10 * torch.log10(error.mean())) + snr_db
    assert loss_db < (3.0 if fades else 0.4)
    gain = (received.symbols * sent.conj())[found].real.mean() / sent[found].abs().square().mean()
    assert float(gain) == pytest.approx(1, abs=0.03)


def test_phase_noise_and_quadrature_errors_are_part_of_the_noise_variance():
    sent = gaussian(6, 2000)
    for arguments in ({"linewidth": 1e-5}, {"iq_gain_db": 1.0, "iq_phase_deg": 5.0}, {"adc_bits": 3}):
        received = carry(waveform.build(**arguments), sent, 20.0)
        error = (received.symbols - sent).abs().square().mean(1)
        assert float(error.mean()) > 1.2 * 0.01
        assert float(error.mean() / received.noise_var.mean()) == pytest.approx(1, abs=0.12)


def test_quadrature_errors_have_the_power_of_the_image():
    sent = gaussian(6, 3000)
    received = carry(waveform.build(iq_gain_db=1.0), sent, 60.0)
    gain = 10 ** (1 / 20)
    image = ((1 - gain) / (1 + gain)) ** 2
    assert float((received.symbols - sent).abs().square().mean()) == pytest.approx(image, rel=0.15)


def test_compression_grows_with_smaller_backoff_and_reports_the_peak():
    sent = gaussian(4, 3000)
    errors = []
    for backoff_db in (20.0, 10.0, 5.0):
        received = carry(waveform.build(backoff_db=backoff_db), sent, 30.0)
        error = float((received.symbols - sent).abs().square().mean())
        assert error / float(received.noise_var.mean()) == pytest.approx(1, abs=0.45)
        assert (received.papr_db > 7).all()
        errors.append(error)
    assert errors[0] < errors[1] < errors[2]
    constant = carry(waveform.build(), torch.ones(4, 3000, dtype=torch.complex64), 30.0)
    assert (constant.papr_db < received.papr_db).all()


def test_energy_contains_preamble_header_and_pilots():
    sent = torch.polar(torch.ones(3, 1000), 6.28 * torch.rand(3, 1000, generator=torch.Generator().manual_seed(1)))
    received = carry(waveform.build(), sent, 10.0)
    assert received.energy.tolist() == pytest.approx([LAYOUT.symbols(1000)] * 3, rel=0.05)


def test_rayleigh_paths_change_the_gain_and_low_gains_miss_frames():
    received = carry(waveform.build(fading="rayleigh"), gaussian(60, 120), 20.0)
    power = received.gains[:, 0].abs().square().mean(1)
    assert 0.6 < float(power.mean()) < 1.5
    assert float(power.std()) > 0.5


def test_a_missed_frame_is_noise_of_known_variance():
    sent = gaussian(4, 500)
    received = carry(waveform.build(), sent, -25.0)
    assert (received.noise_var == MISSED_NOISE_VAR).all()
    assert float(received.symbols.abs().square().mean()) == pytest.approx(MISSED_NOISE_VAR, rel=0.1)
    assert not received.gains.any()


def test_a_digital_transmission_in_a_missed_frame_is_an_outage():
    link = Link(
        digital.build(cbr=1 / 2, codec="jpeg", adaptation="fixed", modulation="qpsk", code_rate=0.5), waveform.build()
    )
    delivery = link.deliver(Sample(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))), -25.0, [1])
    assert delivery.reception.outage.all()


def test_a_payload_over_several_frames_is_put_together():
    channel = waveform.build(frame_payload=600, clock_offset_ppm=20.0)
    sent = gaussian(2, 1500)
    received = carry(channel, sent, 15.0)
    assert float((received.symbols - sent).abs().square().mean(1).max()) < 0.04


def test_nothing_is_sent_for_no_symbols():
    received = carry(waveform.build(), torch.zeros(2, 0, dtype=torch.complex64), 10.0)
    assert received.symbols.shape == (2, 0)
    assert not received.energy.any()


# --- recordings ------------------------------------------------------------------------------------------------------


def recording(uses, start, snr_db=20.0, amplitude=1.0, seed=0, config=None):
    random = np.random.default_rng(seed)
    payload = _complex(random, uses) * math.sqrt(0.5)
    sent = modulate(payload, LAYOUT, Header(configuration(LAYOUT) if config is None else config, uses))
    samples = torch.cat([torch.zeros(start, dtype=torch.complex64), sent, torch.zeros(600, dtype=torch.complex64)])
    noise = _complex(random, len(samples)) * math.sqrt(0.5 * 10 ** (-snr_db / 10))
    return payload, amplitude * (samples + noise)


def test_measurements_of_a_frame():
    channel = waveform.build(frequency_offset=-2e-3, clock_offset_ppm=35.0)
    sent = modulate(gaussian(1, 6000)[0], LAYOUT, Header(channel.receiver.configuration, 6000))
    samples = channel.impairments.receive(sent, 4, 0.01, Rng([5]))
    (frame,), rejected = channel.receiver.receive(1000 * samples)
    assert not rejected
    assert frame.frequency == pytest.approx(-2e-3, abs=1e-6)
    assert frame.clock_ppm == pytest.approx(35, abs=5)
    assert frame.snr_db == pytest.approx(20, abs=1)
    assert frame.gain == pytest.approx(1000, rel=0.05)
    assert frame.header == Header(channel.receiver.configuration, 6000)


def test_frames_are_found_wherever_they_lie_at_any_amplitude():
    parts, starts = [], (0, 777, 31, 4000)
    for seed, start in enumerate(starts):
        parts.append(recording(300, start, seed=seed, amplitude=0.01))
    samples = torch.cat([part for _, part in parts])
    frames, rejected = Receiver(LAYOUT, configuration(LAYOUT)).receive(samples)
    assert not rejected
    assert len(frames) == 4
    for frame, (payload, _) in zip(frames, parts, strict=True):
        assert float((frame.symbols - payload).abs().square().mean()) < 0.02


def test_frames_of_another_configuration_and_incomplete_frames_are_refused():
    receiver = Receiver(LAYOUT, configuration(LAYOUT))
    _, samples = recording(300, 100, config=configuration(LAYOUT) ^ 1)
    frames, (rejected,) = receiver.receive(samples)
    assert not frames
    assert "another configuration" in rejected.reason
    _, samples = recording(300, 100)
    frames, (rejected,) = receiver.receive(samples[: len(samples) - 1500])
    assert not frames
    assert "ends before" in rejected.reason


@pytest.mark.parametrize("length", [0, 1, 100, 2047, 2100])
def test_short_recordings_have_no_frame(length):
    samples = _complex(np.random.default_rng(0), length)
    assert Receiver(LAYOUT, 0).receive(samples) == ([], [])
    assert Receiver(LAYOUT, 0).receive(torch.zeros(length, dtype=torch.complex64)) == ([], [])


@pytest.mark.parametrize(
    ("delays", "powers_db", "spread"),
    [((0.0,), (0.0,), 0.0), ((0.0, 1.0), (0.0, -6.0), 0.401), ((0.0, 2.5), (0.0, -3.0), 1.179)],
)
def test_the_delay_spread_is_that_of_the_paths_at_low_and_high_snr(delays, powers_db, spread):
    """Known symbols do not determine coefficients that cancel within the band; they add nothing to the delay spread."""
    receiver, header = Receiver(LAYOUT, configuration(LAYOUT)), Header(configuration(LAYOUT), 2000)
    sent = modulate(Rng([1]).complex_normal(2000)[0], LAYOUT, header)
    paths = Impairments(delays=delays, powers_db=powers_db)
    for snr_db in (10.0, 40.0):
        for seed in range(3):
            received = paths.receive(sent, LAYOUT.pulse.samples_per_symbol, 10 ** (-snr_db / 10), Rng([seed]))
            (frame,), _ = receiver.receive(received)
            assert frame.estimate.delay_spread == pytest.approx(spread, abs=0.06)


def test_coefficients_that_cancel_within_the_band_have_no_delay_spread():
    """Alternating coefficients at half symbols have their energy at a frequency that the pulse does not pass."""
    delays = np.arange(-4, 37)
    taps = np.where(delays == 0, 1, 0).astype(complex)
    window = np.exp(-(((delays - 16) / 5.0) ** 2))
    found = _delay_spread(taps + 0.3 * window * (-1.0) ** delays, delays, LAYOUT.pulse)
    assert found == pytest.approx(0, abs=1e-6)


def test_two_hundred_random_recordings_never_give_a_frame_that_was_not_sent():
    random, receiver = np.random.default_rng(3), Receiver(LAYOUT, configuration(LAYOUT))
    payload, whole = recording(240, 500, snr_db=15.0)
    other, second = recording(240, 500, snr_db=15.0, seed=9)
    accepted = 0
    for trial in range(200):
        kind = trial % 5
        if kind == 0:  # noise alone, of any power
            samples = _complex(random, int(random.integers(1, 12_000))) * 10 ** random.uniform(-6, 6)
        elif kind == 1:  # a frame that is cut off anywhere
            first, last = np.sort(random.integers(0, len(whole), 2))
            samples = whole[first:last]
        elif kind == 2:  # two frames that overlap
            shift = int(random.integers(0, len(whole)))
            samples = torch.nn.functional.pad(whole, (0, shift)) + torch.nn.functional.pad(second, (shift, 0))
        elif kind == 3:  # offsets beyond the range
            turn = random.uniform(0.05, 0.5) * torch.arange(len(whole))
            samples = whole * torch.polar(torch.ones(len(whole)), 2 * math.pi * turn)
        else:  # parts in random order
            pieces = [whole[i : i + 700] for i in range(0, len(whole), 700)]
            samples = torch.cat([pieces[i] for i in random.permutation(len(pieces))])
        frames, _ = receiver.receive(samples)
        for frame in frames:
            accepted += 1
            errors = [float((frame.symbols - sent).abs().square().mean()) for sent in (payload, other)]
            # interference of another frame is allowed, a payload that nobody sent is not
            assert min(errors) < 1.5
    assert accepted > 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"samples_per_symbol": 3}, "samples_per_symbol"),
        ({"roll_off": 0.0}, "roll_off"),
        ({"pulse_span": 9}, "pulse_span"),
        ({"roll_off": 0.1}, "of -33 dB, at most -40 dB"),
        ({"subcarriers": 0}, "subcarriers"),
        ({"subcarriers": 16, "cyclic_prefix": 17}, "cyclic_prefix"),
        ({"preamble_symbols": 100}, "multiple of 16"),
        ({"pilot_spacing": 0}, "pilot_spacing"),
        ({"frame_payload": 10}, "frame_payload"),
        ({"frequency_offset": 0.2}, "frequency_offset"),
        ({"path_delays": (0.0, 1.0)}, "one of each per path"),
        ({"path_delays": ()}, "path_delays"),
        ({"backoff_db": 99.0}, "a linear amplifier"),
    ],
)
def test_wrong_arguments(arguments, words):
    with pytest.raises(UsageError, match=words):
        waveform.build(**arguments)
