"""The certificate passes correct channels and fails every planted fault."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from channels import awgn, broadcast, cdl, modem, rayleigh, recognition, rician, tdl, uplink
from channels.base import Channel, noise_variance
from channels.certificate import runner, subjects
from channels.certificate.lines import Certificate, Line
from channels.certificate.runner import certify, draw, unmeasured
from channels.certificate.subjects import channel_names, standard_channels
from channels.errors import UsageError
from channels.uplink import separate
from semcom.discover import entries

SMALL = 0.05
STANDARD = standard_channels()


class Wrapped(Channel):
    """A channel with a fault: `fault(channel, symbols, uses, snr_db, rng)` replaces its `carry`."""

    def __init__(self, channel, fault):
        self.channel, self.fault, self.medium = channel, fault, channel.medium

    def carry(self, symbols, uses, snr_db, rng):
        return self.fault(self.channel, symbols, uses, snr_db, rng)


def half_the_noise(channel, symbols, uses, snr_db, rng):
    """Noise 3 dB too weak, with the noise variance of the requested SNR."""
    received = channel.carry(symbols, uses, snr_db + 10 * math.log10(2), rng)
    return replace(received, noise_var=2 * received.noise_var)


def half_the_noise_reported(channel, symbols, uses, snr_db, rng):
    return channel.carry(symbols, uses, snr_db + 10 * math.log10(2), rng)


def batch_mean_power(channel, symbols, uses, snr_db, rng):
    """Noise scaled by the mean power of the whole batch."""
    power = symbols.abs().square().mean()
    return channel.carry(symbols, uses, snr_db - 10 * torch.log10(power), rng)


def snr_of_the_faded_signal(channel, symbols, uses, snr_db, rng):
    """Noise scaled by the power of each row after fading, so that fading has no effect."""
    gains = channel.carry(symbols, uses, snr_db, rng).gains
    power = gains.abs().square().mean((2, 3))
    return channel.carry(symbols, uses, snr_db - 10 * torch.log10(power), rng)


def noise_once_per_user(channel, symbols, uses, snr_db, rng):
    """Receiver noise added once more for each further user."""
    received = channel.carry(symbols, uses, snr_db, rng)
    scale = noise_variance(snr_db)[:, 1:, None, None].sqrt()
    batch, users, length = symbols.shape
    again = rng.derive("again").complex_normal(received.mixture.shape[1], length).unflatten(0, (batch, users))[:, 1:]
    return separate(replace(received, mixture=received.mixture + (scale * again).sum(1)))


def noise_in_one_dimension(channel, symbols, uses, snr_db, rng):
    """Noise in the real dimension only."""
    received = channel.carry(symbols, uses, snr_db, rng)
    error = received.symbols - symbols
    return replace(received, symbols=symbols + error.real * math.sqrt(2))


def modem_with(**faults):
    names = ("map_bits", "demap", "encode", "decode")
    return SimpleNamespace(**{name: getattr(modem, name) for name in names} | faults)


def failed_lines(certificate):
    return [line.name for line in certificate.lines if not line.passed]


@pytest.mark.parametrize(
    "group",
    [
        "noise",
        "realized_snr",
        "gain",
        "ber",
        "llr",
        "tdl",
        "cdl",
        "csi",
        "uplink",
        "broadcast",
        "mimo",
        "relay",
        "interference",
        "waveform",
        "recognition",
    ],
)
def test_correct_channels_pass_with_few_samples(group):
    scale = 0.02 if group == "ber" else SMALL
    certificate = certify(scale, only=[group])
    assert certificate.passed, certificate.table()


FLAT_GROUPS = ("noise", "realized_snr", "gain", "ber")
FAULTS = {
    "3 dB too little noise": (half_the_noise, "awgn", ("noise", "realized_snr", "ber")),
    "3 dB too little noise, reported": (half_the_noise_reported, "awgn", ("noise", "realized_snr", "ber")),
    "batch-mean power": (batch_mean_power, "awgn", ("noise",)),
    "SNR of the faded signal": (snr_of_the_faded_signal, "rayleigh block", ("noise", "realized_snr", "ber")),
    "noise in one dimension": (noise_in_one_dimension, "awgn", ("noise", "ber")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_of_flat_channels_fail(name):
    fault, victim, groups = FAULTS[name]
    channels = {victim: Wrapped(STANDARD[victim], fault)}
    for group in groups:
        certificate = certify(0.02, only=[group], channels=channels)
        assert not certificate.passed, f"{group} passed\n{certificate.table()}"
        assert failed_lines(certificate)


CHANNEL_FAULTS = {
    "3 dB too little noise": half_the_noise,
    "3 dB too little noise, reported": half_the_noise_reported,
    "batch-mean power": batch_mean_power,
    "SNR of the faded signal": snr_of_the_faded_signal,
    "noise in one dimension": noise_in_one_dimension,
}
UNFADED = ("awgn", "broadcast", "waveform", "waveform ofdm")


def noise_per_bit(channel, symbols, uses, snr_db, rng):
    """Eb/N0 in place of Es/N0, for the two bits of QPSK."""
    return channel.carry(symbols, uses, snr_db + 10 * math.log10(2), rng)


def power_of_each_row(channel, symbols, uses, snr_db, rng):
    """Noise scaled by the measured power of each row."""
    power = symbols.abs().square().mean(2)
    return channel.carry(symbols, uses, snr_db - 10 * torch.log10(power), rng)


@pytest.mark.parametrize("fault", [noise_per_bit, power_of_each_row, noise_in_one_dimension, half_the_noise])
def test_recognition_fails_on_faults_of_the_noise(fault):
    assert failed_lines(certify(0.3, only=["recognition"], channels={"awgn": Wrapped(STANDARD["awgn"], fault)}))


def test_recognition_fails_with_a_wrong_prior_or_energy(monkeypatch):
    original = recognition.posterior
    with monkeypatch.context() as patch:
        patch.setattr(recognition, "posterior", lambda found: original(found + torch.arange(found.shape[1])))
        assert failed_lines(certify(0.3, only=["recognition"]))
    loud = replace(recognition.MODULATIONS["16qam"], in_phase=(-0.9, -0.3, 0.3, 0.9))
    monkeypatch.setitem(recognition.MODULATIONS, "16qam", loud)
    assert failed_lines(certify(0.3, only=["recognition"]))


@pytest.mark.parametrize("fault", CHANNEL_FAULTS)
@pytest.mark.parametrize("name", STANDARD)
def test_planted_faults_fail_on_every_channel(name, fault):
    if name in UNFADED and fault == "SNR of the faded signal":
        pytest.skip("this channel has no fading")
    group = "csi" if name.endswith(("ls", "lmmse")) else name.split()[0]
    group = group if group in ("csi", "mimo", "relay", "interference", "waveform") else "noise"
    certificate = certify(0.02, only=[group], channels={name: Wrapped(STANDARD[name], CHANNEL_FAULTS[fault])})
    failed = set(failed_lines(certificate)) - {f"{name}: waveform can be read"}
    assert failed, certificate.table()


@pytest.mark.parametrize("name", ["tdl D", "cdl A"])
def test_multipath_without_readable_paths_fails_and_is_measured(name):
    def untouched(channel, symbols, uses, snr_db, rng):
        return channel.carry(symbols, uses, snr_db, rng)

    own = STANDARD[name]
    certificate = certify(SMALL, only=[name[:3]], channels={name: Wrapped(own, untouched)})
    assert failed_lines(certificate) == [f"{name}: paths can be read"]
    assert len(certificate.lines) == 6
    other = (tdl if name[:3] == "tdl" else cdl).build(model="B", speed_m_s=30.0)
    failed = failed_lines(certify(SMALL, only=[name[:3]], channels={name: Wrapped(other, untouched)}))
    assert len(failed) > 1


def test_a_weak_decoder_fails():
    def weak(*args, iterations, **settings):
        return modem.decode(*args, iterations=2, **settings)

    channels = {"awgn": awgn.build()}
    right = certify(SMALL, only=["ldpc"], channels=channels)
    assert right.passed, right.table()
    assert len(right.lines) == 1
    assert not certify(SMALL, only=["ldpc"], channels=channels, modem=modem_with(decode=weak)).passed


def test_noise_once_per_user_fails():
    certificate = certify(
        SMALL, only=["uplink"], channels={"uplink": Wrapped(uplink.build(antennas=2), noise_once_per_user)}
    )
    failed = failed_lines(certificate)
    assert any("noise / N0" in name for name in failed)
    assert any("E|error|^2" in name for name in failed)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("flipped sign", lambda llr: -llr),
        ("half size", lambda llr: llr / 2),
        ("double size", lambda llr: 2 * llr),
    ],
)
def test_wrong_log_likelihood_ratios_fail(name, wrong):
    broken = modem_with(demap=lambda symbols, noise_var, order: wrong(modem.demap(symbols, noise_var, order)))
    certificate = certify(SMALL, only=["llr"], channels={"awgn": awgn.build()}, modem=broken)
    assert len(failed_lines(certificate)) == len(certificate.lines)
    errors = certify(0.02, only=["ber"], channels={"awgn": awgn.build()}, modem=broken)
    # the sign alone decides errors
    assert errors.passed == (name != "flipped sign")


def test_wrong_multipath_fails():
    wrong_profile = certify(SMALL, only=["tdl"], channels={"tdl A": tdl.build(model="B", speed_m_s=30.0)})
    assert not wrong_profile.passed
    wrong_rays = certify(SMALL, only=["cdl"], channels={"cdl C": cdl.build(model="B", speed_m_s=30.0)})
    assert not wrong_rays.passed
    slow = tdl.build(model="C", speed_m_s=30.0)
    slow.paths.draw = tdl.build(model="C", speed_m_s=15.0).paths.draw
    failed = failed_lines(certify(SMALL, only=["tdl"], channels={"tdl C": slow}))
    assert failed
    assert all("lag" in name or "frames" in name for name in failed)


def test_a_noise_variance_without_estimation_error_fails():
    def overconfident(channel, symbols, uses, snr_db, rng):
        received = channel.carry(symbols, uses, snr_db, rng)
        power = received.gains.abs().square().sum(2)
        return replace(received, noise_var=noise_variance(snr_db)[..., None] / power)

    channels = {"tdl ls": Wrapped(tdl.build(csi="ls", speed_m_s=30.0), overconfident)}
    certificate = certify(SMALL, only=["csi"], channels=channels)
    affected = [line.name for line in certificate.lines if "noise variance" in line.name]
    assert failed_lines(certificate) == affected


def test_shared_noise_of_a_broadcast_fails():
    def shared(channel, symbols, uses, snr_db, rng):
        received = channel.carry(symbols, uses, snr_db, rng)
        error = (received.symbols - symbols) / received.noise_var.sqrt()
        return replace(received, symbols=symbols + error[:, :1] * received.noise_var.sqrt())

    certificate = certify(SMALL, only=["broadcast"], channels={"broadcast": Wrapped(broadcast.build(), shared)})
    assert failed_lines(certificate) == ["broadcast: correlation of two users' noise"]


def test_wrong_rician_factor_fails():
    for wrong in (rician.build(k_factor_db=3.0, coherence_uses=1), rayleigh.build(coherence_uses=1)):
        assert not certify(SMALL, only=["gain"], channels={"rician": wrong}).passed


def test_table_and_figure():
    certificate = certify(0.02, only=["ber"], channels={"awgn": awgn.build()})
    written = json.loads(certificate.to_json())
    assert written["passed"] is True
    assert len(written["lines"]) == len(certificate.lines) == 55
    assert len(draw(certificate)) > 10_000
    assert "55 of 55 lines pass" in certificate.table()


def test_no_lines_and_nan_do_not_pass():
    assert not Certificate((), 0.0).passed
    assert not Line("x", math.nan, 1.0, math.nan).passed
    assert "FAIL" in Certificate((Line("x", 2.0, 1.0, 9.0),), 0.0).table()
    with pytest.raises(UsageError, match="only must be one of noise"):
        certify(only=["nonsense"])
    with pytest.raises(UsageError, match="scale"):
        certify(scale=0.0)


def test_every_channel_of_the_package_has_lines():
    lines = certify(0.02, only=["noise", "csi", "mimo", "relay", "interference", "waveform"]).lines
    assert unmeasured(STANDARD, lines) == []
    assert set(channel_names()) == set(subjects.VARIANTS)
    assert channel_names() == sorted(entries("channel"))


def test_a_new_channel_without_measurements_fails(tmp_path, monkeypatch):
    (tmp_path / "awgn.py").write_text("def build():\n    pass\n")
    (tmp_path / "arguments.py").write_text("def positive():\n    pass\n")
    monkeypatch.setattr(subjects, "FOLDER", tmp_path)
    assert list(standard_channels()) == ["awgn"]
    (tmp_path / "tunnel").mkdir()
    (tmp_path / "tunnel" / "__init__.py").write_text("def build(length_m: float = 100.0):\n    pass\n")
    with pytest.raises(UsageError, match="'tunnel' has no measurements"):
        certify()


def test_a_channel_without_any_line_fails(monkeypatch):
    monkeypatch.setattr(runner, "checks", lambda: {"nothing": lambda channels, modem, scale: iter(())})
    assert failed_lines(certify(channels={"awgn": awgn.build()})) == ["awgn: has measurements"]
