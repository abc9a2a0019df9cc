"""The link: inputs of the receiver, counted channel uses, energy and the realized SNR."""

import ast
import importlib
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from channels import UsageError, awgn, broadcast, rayleigh, rician, seed_for, uplink
from channels.rng import Rng
from semcom import Link, Payload, Receiver, Reception, Sample, System, Transmitter
from semcom.metrics.metric import measure

ROOT = Path(__file__).parents[1]
USES = 400


class RandomPhases(Transmitter):
    """Constant-modulus symbols with random phases."""

    def encode(self, sample, snr_db, rng):
        symbols = torch.polar(torch.ones(len(sample.images), USES), 2 * math.pi * rng.uniform(USES))
        uses = torch.full((len(symbols),), USES)
        return Payload(symbols, uses, torch.zeros_like(uses), truth={"message": torch.arange(len(symbols))})


class GrayReceiver(Receiver):
    """Mid-gray images with any number of counted uses; stores its input."""

    def __init__(self, count=lambda uses: uses):
        self.count, self.received = count, None

    def decode(self, received, size, rng):
        self.received = received
        return Reception(torch.full((len(received.uses), 3, *size), 0.5), self.count(received.uses))


def system(count=lambda uses: uses, repeats=False):
    return System("random_phases", "", RandomPhases(), GrayReceiver(count), "", repeats=repeats)


def deliver(subject, channel, rows=4, users=1, snr_db=7.0):
    seeds = [seed_for("link", row) for row in range(rows)]
    return Link(subject, channel).deliver(Sample(torch.zeros(rows, 3, 8, 8)), snr_db, seeds, users)


@pytest.mark.parametrize("channel", [awgn.build(), rayleigh.build(coherence_uses=1)], ids=["awgn", "rayleigh"])
def test_realized_snr_has_the_expected_mean_and_deviation(channel):
    """AWGN: 10 log10 of a mean of n exponentials has deviation 4.34 / sqrt(n) dB; fast fading doubles the variance."""
    rows = 600
    realized = deliver(system(), channel, rows).snr_realized_db
    fading = 2 if len(realized) and "Flat" in type(channel).__name__ else 1
    expected = 10 / math.log(10) * math.sqrt(fading / USES)
    assert realized.std().item() == pytest.approx(expected, rel=4 / math.sqrt(2 * rows))
    assert realized.mean().item() == pytest.approx(7.0, abs=4 * expected / math.sqrt(rows) + 0.02)


def test_receivers_do_not_get_energy_and_papr():
    subject = system()
    deliver(subject, awgn.build(clipping_db=3.0))
    assert subject.receiver.received.papr_db is None
    assert not subject.receiver.received.energy.any()


@pytest.mark.parametrize("count", [torch.zeros_like, lambda uses: uses - 1, lambda uses: uses + 1])
def test_all_transmitted_uses_must_be_counted(count):
    with pytest.raises(ValueError, match="and counts"):
        deliver(system(count), awgn.build())


def test_repetitions_that_were_not_needed_are_not_counted():
    delivery = deliver(system(lambda uses: uses // 4, repeats=True), awgn.build())
    assert delivery.uses.tolist() == [USES // 4] * 4
    with pytest.raises(ValueError, match="and counts"):
        deliver(system(lambda uses: uses + 1, repeats=True), awgn.build())


@pytest.mark.parametrize("offset_db", [0.0, 10.0])
def test_energy_is_that_of_the_counted_uses(offset_db):
    """Symbols of rising energy, of which the first k uses are counted: k (k + 1) / (USES + 1)."""
    ramp = 2 * torch.arange(1, USES + 1) / (USES + 1)

    class RisingEnergy(RandomPhases):
        def encode(self, sample, snr_db, rng):
            payload = super().encode(sample, snr_db, rng)
            return replace(payload, symbols=payload.symbols * ramp.sqrt())

    counted = torch.tensor([0, 1, USES // 4, USES])
    subject = replace(system(lambda uses: counted, repeats=True), transmitter=RisingEnergy())
    delivery = deliver(subject, uplink.build(antennas=1, power_offsets_db=(offset_db,)))
    expected = counted * (counted + 1) / (USES + 1) * 10 ** (offset_db / 10)
    torch.testing.assert_close(delivery.energy, expected, rtol=1e-5, atol=0)
    assert torch.equal(delivery.uses, counted)


def test_papr_is_that_of_the_oversampled_waveform():
    """Reference: the sum of tones at four instants per use; channels without clipping have no PAPR."""
    subject, rows, clipped = system(), 3, awgn.build(clipping_db=3.0)
    delivery = deliver(subject, clipped, rows)
    seeds = [seed_for("link", row) for row in range(rows)]
    sent = RandomPhases().encode(delivery.sample, delivery.snr_db, Rng(seeds).derive("encode")).symbols.numpy()
    tones = np.arange(-USES // 2, USES // 2)
    instants, uses = np.arange(4 * USES) / 4, np.arange(USES)
    spectrum = sent @ np.exp(-2j * np.pi * np.outer(uses, tones) / USES)
    power = np.abs(spectrum @ np.exp(2j * np.pi * np.outer(tones, instants) / USES)) ** 2
    expected = 10 * np.log10(power.max(1) / power.mean(1))
    assert (expected > 3).all()
    values, counts = measure("papr_db", delivery)
    assert values.tolist() == pytest.approx(expected.tolist(), abs=1e-3)
    assert counts.tolist() == [1] * rows
    without = deliver(subject, awgn.build(phase_error_deg=3.0), rows)
    assert without.papr_db is None
    assert [part.tolist() for part in measure("papr_db", without)] == [[0] * rows] * 2


@pytest.mark.parametrize("channel", [rayleigh, rician, awgn], ids=["rayleigh", "rician", "awgn"])
def test_noise_variance_with_imperfect_csi(channel):
    """|error|^2 |known|^2 is |g - known|^2, reported as 0.3, which is its mean for every channel. For Rayleigh fading,
    where g is Gaussian, it is also the mean over weak and over strong known gains; for g = 1 it is not."""
    rows, variance = 20_000, 0.3
    sent, uses = torch.ones(rows, 1, 1, dtype=torch.complex64), torch.ones(rows, 1, dtype=torch.int64)
    rng = Rng([seed_for("unknown gain", row) for row in range(rows)])
    received = channel.build(csi_error_variance=variance).carry(sent, uses, torch.full((rows, 1), 60.0), rng)
    known = received.gains.abs().square().flatten()
    missing = (received.symbols - sent).abs().square().flatten() * known
    torch.testing.assert_close(received.noise_var.flatten() * known, torch.full((rows,), variance), rtol=1e-4, atol=0)

    def z(part):
        return float((part.mean() - variance) / part.std()) * math.sqrt(len(part))

    weak, strong = (missing[part] for part in (known < known.median(), known >= known.median()))
    assert abs(z(missing)) < 4
    assert (max(abs(z(weak)), abs(z(strong))) < 4) == (channel is rayleigh)


def test_truth_of_a_common_transmission_is_repeated_for_its_users():
    delivery = deliver(system(), broadcast.build(), rows=4, users=2)
    assert delivery.truth["message"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("loops", ["rng_kernel", "rng_numpy"])
def test_fading_gain_is_never_zero(monkeypatch, loops):
    """A uniform number that float32 rounds to 1 (logarithm 0) gives a finite received symbol."""
    from channels import rng

    chosen = importlib.import_module(f"channels.{loops}")
    monkeypatch.setattr(chosen, "fill_polar", lambda states, level, phase: (level.fill(1), phase.fill(0)))
    monkeypatch.setattr(rng.Rng, "_loops", lambda self: chosen)
    symbols = torch.ones(1, 1, 8, dtype=torch.complex64)
    received = rayleigh.build().carry(symbols, torch.tensor([[8]]), torch.tensor([[0.0]]), rng.Rng([1]))
    assert received.symbols.isfinite().all()
    assert received.noise_var.isfinite().all()


@pytest.mark.parametrize("snr_db", [math.nan, math.inf, 100.5, -500.0])
def test_invalid_snr_is_refused(snr_db):
    with pytest.raises(UsageError, match="SNR"):
        deliver(system(), awgn.build(), snr_db=snr_db)


def test_too_much_energy_is_refused():
    class Amplified(RandomPhases):
        def encode(self, sample, snr_db, rng):
            payload = super().encode(sample, snr_db, rng)
            return replace(payload, symbols=1.01 * payload.symbols)

    with pytest.raises(ValueError, match="power constraint"):
        deliver(replace(system(), transmitter=Amplified()), awgn.build())


def test_each_key_of_truth_is_documented_in_payload():
    keys = set()
    for path in (ROOT / "semcom").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "truth" and isinstance(node.value, ast.Dict):
                keys |= {ast.literal_eval(key) for key in node.value.keys if key is not None}
            if isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] == "truth":
                key = node.slice.value if isinstance(node.slice, ast.Constant) else None
                keys |= {key} if isinstance(key, str) else set()
    documented = set(re.findall(r"^ {4}([a-z_]+) {2,}\S", Payload.__doc__, re.MULTILINE)) - {"key"}
    assert keys == documented
