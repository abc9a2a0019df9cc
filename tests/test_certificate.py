"""The certificate passes what is right and fails every planted fault; the faults live here and nowhere else."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from channels import awgn, broadcast, cdl, modem, rayleigh, rician, tdl, uplink
from channels._base import Channel, noise_variance
from channels._errors import UsageError
from channels.certificate import Certificate, Line, certify, draw, standard_channels
from channels.uplink import separated

SMALL = 0.05
STANDARD = standard_channels()


class Wrapped(Channel):
    """A channel with a fault: `fault(channel, symbols, uses, snr_db, rng)` does the carrying."""

    def __init__(self, channel, fault):
        self.channel, self.fault, self.medium = channel, fault, channel.medium

    def carry(self, symbols, uses, snr_db, rng):
        return self.fault(self.channel, symbols, uses, snr_db, rng)


def half_the_noise(channel, symbols, uses, snr_db, rng):
    """3 dB too little noise, and the label that was asked for."""
    heard = channel.carry(symbols, uses, snr_db + 10 * math.log10(2), rng)
    return replace(heard, noise_var=2 * heard.noise_var)


def half_the_noise_and_owned_up(channel, symbols, uses, snr_db, rng):
    return channel.carry(symbols, uses, snr_db + 10 * math.log10(2), rng)


def batch_mean_power(channel, symbols, uses, snr_db, rng):
    """Noise scaled by the mean power of the whole batch, as if the SNR were a batch's."""
    power = symbols.abs().square().mean()
    return channel.carry(symbols, uses, snr_db - 10 * torch.log10(power), rng)


def snr_of_the_faded_signal(channel, symbols, uses, snr_db, rng):
    """Noise scaled by the faded power of each row: fading disappears."""
    gains = channel.carry(symbols, uses, snr_db, rng).gains
    power = gains.abs().square().mean((2, 3))
    return channel.carry(symbols, uses, snr_db - 10 * torch.log10(power), rng)


def noise_once_per_user(channel, symbols, uses, snr_db, rng):
    """Receiver noise added again for each further user."""
    heard = channel.carry(symbols, uses, snr_db, rng)
    spread = noise_variance(snr_db)[:, 1:, None, None].sqrt()
    batch, users, length = symbols.shape
    again = rng.derive("again").complex_normal(heard.mixture.shape[1], length).unflatten(0, (batch, users))[:, 1:]
    return separated(replace(heard, mixture=heard.mixture + (spread * again).sum(1)))


def real_gains_only(channel, symbols, uses, snr_db, rng):
    """Noise in one dimension only."""
    heard = channel.carry(symbols, uses, snr_db, rng)
    error = heard.symbols - symbols
    return replace(heard, symbols=symbols + error.real * math.sqrt(2))


def modem_with(**faults):
    names = ("map_bits", "demap", "encode", "decode")
    return SimpleNamespace(**{name: getattr(modem, name) for name in names} | faults)


def failed_lines(certificate):
    return [line.name for line in certificate.lines if not line.passed]


@pytest.mark.parametrize(
    "group", ["noise", "realised_snr", "gain", "ber", "llr", "tdl", "cdl", "csi", "uplink", "broadcast"]
)
def test_what_is_right_passes_at_small_counts(group):
    scale = 0.02 if group == "ber" else SMALL
    certificate = certify(scale, only=[group])
    assert certificate.passed, certificate.table()


FLAT_GROUPS = ("noise", "realised_snr", "gain", "ber")
FAULTS = {
    "3 dB too little noise": (half_the_noise, "awgn", ("noise", "realised_snr", "ber")),
    "3 dB too little noise, told": (half_the_noise_and_owned_up, "awgn", ("noise", "realised_snr", "ber")),
    "batch-mean power": (batch_mean_power, "awgn", ("noise",)),
    "SNR of the faded signal": (snr_of_the_faded_signal, "rayleigh block", ("noise", "realised_snr", "ber")),
    "noise in one dimension": (real_gains_only, "awgn", ("noise", "ber")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_of_flat_channels_fail(name):
    fault, victim, groups = FAULTS[name]
    channels = {victim: Wrapped(STANDARD[victim], fault)}
    for group in groups:
        certificate = certify(0.02, only=[group], channels=channels)
        assert not certificate.passed, f"{group} passed\n{certificate.table()}"
        assert failed_lines(certificate)


AIR_FAULTS = {
    "3 dB too little noise": half_the_noise,
    "3 dB too little noise, told": half_the_noise_and_owned_up,
    "batch-mean power": batch_mean_power,
    "SNR of the faded signal": snr_of_the_faded_signal,
    "noise in one dimension": real_gains_only,
}
UNFADED = ("awgn", "broadcast")


@pytest.mark.parametrize("fault", AIR_FAULTS)
@pytest.mark.parametrize("name", STANDARD)
def test_planted_faults_fail_on_every_channel(name, fault):
    if name in UNFADED and fault == "SNR of the faded signal":
        pytest.skip("nothing fades")
    group = "csi" if name.endswith(("ls", "lmmse")) else "noise"
    certificate = certify(0.02, only=[group], channels={name: Wrapped(STANDARD[name], AIR_FAULTS[fault])})
    assert not certificate.passed, certificate.table()


@pytest.mark.parametrize("name", ["tdl D", "cdl A"])
def test_multipath_that_cannot_be_read_fails_and_is_measured(name):
    def untouched(channel, symbols, uses, snr_db, rng):
        return channel.carry(symbols, uses, snr_db, rng)

    own = STANDARD[name]
    certificate = certify(SMALL, only=[name[:3]], channels={name: Wrapped(own, untouched)})
    assert failed_lines(certificate) == [f"{name}: paths can be read"]
    assert len(certificate.lines) == 6
    other = (tdl if name[:3] == "tdl" else cdl).build(model="B", speed_m_s=30.0)
    seen = failed_lines(certify(SMALL, only=[name[:3]], channels={name: Wrapped(other, untouched)}))
    assert len(seen) > 1


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


def test_an_estimate_that_forgets_its_error_fails():
    def overconfident(channel, symbols, uses, snr_db, rng):
        heard = channel.carry(symbols, uses, snr_db, rng)
        power = heard.gains.abs().square().sum(2)
        return replace(heard, noise_var=noise_variance(snr_db)[..., None] / power)

    channels = {"tdl ls": Wrapped(tdl.build(csi="ls", speed_m_s=30.0), overconfident)}
    certificate = certify(SMALL, only=["csi"], channels=channels)
    told = [line.name for line in certificate.lines if "told" in line.name or "noise variance" in line.name]
    assert failed_lines(certificate) == told


def test_shared_noise_of_a_broadcast_fails():
    def shared(channel, symbols, uses, snr_db, rng):
        heard = channel.carry(symbols, uses, snr_db, rng)
        error = (heard.symbols - symbols) / heard.noise_var.sqrt()
        return replace(heard, symbols=symbols + error[:, :1] * heard.noise_var.sqrt())

    certificate = certify(SMALL, only=["broadcast"], channels={"broadcast": Wrapped(broadcast.build(), shared)})
    assert failed_lines(certificate) == ["broadcast: correlation of two users' noise"]


def test_wrong_rician_factor_fails():
    for wrong in (rician.build(k_factor_db=3.0, coherence_uses=1), rayleigh.build(coherence_uses=1)):
        assert not certify(SMALL, only=["gain"], channels={"rician": wrong}).passed


def test_the_certificate_writes_what_it_found(tmp_path):
    certificate = certify(0.02, only=["ber"], channels={"awgn": awgn.build()})
    certificate.write(tmp_path / "certificate.json")
    written = json.loads((tmp_path / "certificate.json").read_text())
    assert written["passed"] is True
    assert len(written["lines"]) == len(certificate.lines) == 55
    draw(certificate, tmp_path / "certificate.png")
    assert (tmp_path / "certificate.png").stat().st_size > 10_000
    assert "55 of 55 lines pass" in certificate.table()


def test_nothing_measured_and_nothing_known_do_not_pass():
    assert not Certificate((), 0.0).passed
    assert not Line("x", math.nan, 1.0, math.nan).passed
    assert "FAIL" in Certificate((Line("x", 2.0, 1.0, 9.0),), 0.0).table()
    with pytest.raises(UsageError, match="no group"):
        certify(only=["nonsense"])
    with pytest.raises(UsageError, match="scale"):
        certify(scale=0.0)
