"""Every system and channel has the required properties, and each property detects a violation."""

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import TOY

from channels import Channel, Medium, Rng, awgn, broadcast, rayleigh, tdl, uplink
from channels.modem.transport_block import map_bits
from channels.rng import seed_for
from semcom import contract, discover
from semcom.contract import channel_properties, runner, system_properties
from semcom.contract.common import NotApplicableError
from semcom.scenario.load import variant
from semcom.system import Payload, Receiver, Transmitter, uses_for
from semcom.systems import analog, digital


@pytest.fixture(autouse=True)
def _ignore_random(monkeypatch):
    """The type checks of these tests use `random`; another test checks it without them."""
    monkeypatch.setattr(random, "getstate", lambda: None)


ENTRIES = [
    (kind, name)
    for kind in ("channel", "system")
    for name, entry in discover.entries(kind).items()
    if not any(argument.required and key != "cbr" for key, argument in entry.arguments.items())
]  # the others require files; their own tests have them


# Further candidates and diffusion steps repeat the same operations; with the default the properties take 33 s.
FEWER = {"multimodal_generation": ["multimodal_generation.candidates=2", "multimodal_generation.steps=2"]}


@pytest.mark.parametrize(("kind", "name"), [*ENTRIES, ("system", TOY)])
def test_properties_hold(kind, name):
    checked = contract.check(variant(kind, name, FEWER.get(name, [])))
    problems = {result.name: result.problem for result in checked if result.problem}
    assert not problems


@pytest.mark.parametrize("override", ["channel.coherence_uses=1", "channel.coherence_uses=7"])
def test_properties_hold_for_any_coherence(override):
    assert not [result for result in contract.check(variant("channel", "rician", [override])) if result.problem]


@pytest.mark.parametrize("codec", ["hevc", "jxl"])
def test_properties_hold_for_codecs_of_plugins(codec):
    assert not [
        result for result in contract.check(variant("system", "digital", [f"digital.codec={codec}"])) if result.problem
    ]


CHANNELS = {"rayleigh": rayleigh.build(), "tdl": tdl.build(), "broadcast": broadcast.build(fading="rayleigh")}


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=CHANNELS)
@pytest.mark.parametrize("system", [analog, digital], ids=["analog", "digital"])
def test_properties_hold_over_any_channel(system, channel):
    trial = contract.Trial(system.build, 64, 1 / 8, channel)
    assert not [check.__name__ for check in contract.ANY_CHANNEL_PROPERTIES if check(trial)]


def test_systems_are_tested_over_rayleigh_fading():
    only = "receiver_needs_only_received_symbols (Rayleigh)"
    assert [result.name for result in contract.check(variant("system", TOY), only)] == [only]


@pytest.mark.parametrize("channel", [uplink.build(), broadcast.build()], ids=["superposed", "common"])
def test_independence_of_users_does_not_apply_to_shared_uses(channel):
    with pytest.raises(NotApplicableError, match=channel.medium.access):
        channel_properties.users_do_not_affect_each_other(channel)


def test_energy_does_not_apply_to_a_bound():
    assert not next(contract.check(variant("system", "capacity"), "symbols_have_unit_mean_energy")).applies


# --- channels with one fault each ----------------------------------------------------------------------------------


class Broken(Channel):
    """A Rayleigh channel with a fault."""

    medium = Medium()

    def __init__(self, medium=None, before=lambda *arguments: arguments, after=lambda received: received, draw=None):
        self.medium = medium or Medium()
        self.before, self.after, self.draw = before, after, draw

    def carry(self, symbols, uses, snr_db, rng):
        if self.draw:
            self.draw()
        return self.after(rayleigh.build(coherence_uses=4).carry(*self.before(symbols, uses, snr_db, rng)))


class Greedy(Medium):
    def budget(self, medium_uses, users):
        return medium_uses


def snr_of_the_batch(symbols, uses, snr_db, rng):
    return symbols, uses, snr_db.mean().expand_as(snr_db), rng


def one_seed_for_all(symbols, uses, snr_db, rng):
    return symbols, uses, snr_db, Rng([sum(rng.seeds) + i for i in range(len(rng.seeds))])


def everything_is_sent(symbols, uses, snr_db, rng):
    return symbols, torch.full_like(uses, symbols.shape[-1]), snr_db, rng


def fresh_seeds(symbols, uses, snr_db, rng):
    return symbols, uses, snr_db, Rng([random.SystemRandom().getrandbits(60) for _ in rng.seeds])


BROKEN_CHANNELS = {
    channel_properties.medium_uses_stay_within_the_budget: Broken(medium=Greedy()),
    channel_properties.draws_do_not_depend_on_the_batch: Broken(before=snr_of_the_batch),
    channel_properties.padding_is_not_transmitted: Broken(before=everything_is_sent),
    channel_properties.users_do_not_affect_each_other: Broken(before=one_seed_for_all),
    channel_properties.equal_seeds_give_equal_symbols: Broken(before=fresh_seeds),
    channel_properties.global_random_state_is_unchanged: Broken(draw=lambda: torch.rand(1)),
    channel_properties.noise_variance_is_correct: Broken(after=lambda r: replace(r, noise_var=1.05 * r.noise_var)),
    channel_properties.fading_has_unit_mean_power: Broken(after=lambda r: replace(r, gains=1.2 * r.gains)),
    channel_properties.channel_is_differentiable: Broken(after=lambda r: replace(r, symbols=r.symbols.detach())),
}


@pytest.mark.parametrize("check", contract.CHANNEL_PROPERTIES, ids=lambda check: check.__name__)
def test_property_detects_a_faulty_channel(check):
    assert check(awgn.build()) is None
    assert check(rayleigh.build()) is None
    try:
        problem = check(BROKEN_CHANNELS[check])
    except RuntimeError as error:  # no gradient at all
        problem = str(error)
    assert problem


def test_global_state_of_numpy_is_checked():
    assert channel_properties.global_random_state_is_unchanged(Broken(draw=np.random.rand))


def test_random_is_not_used_without_type_checks():
    code = f"""
import random
from semcom import contract
from semcom.contract.common import changed_generators
from semcom.scenario.load import variant
assert changed_generators(random.random) == "the global state of random changed"
for kind, name in {ENTRIES}:
    for result in contract.check(variant(kind, name), only="global_random_state_is_unchanged"):
        if result.problem:
            print(name, result.problem)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_bias_of_the_equalizer_is_detected():
    shrunk = Broken(after=lambda r: replace(r, symbols=r.symbols / (1 + r.noise_var)))
    assert channel_properties.noise_variance_is_correct(shrunk)


# --- systems with one fault each -----------------------------------------------------------------------------------


class Around(Transmitter, Receiver):
    """The toy system with a fault."""

    def __init__(self, system, send=lambda payload, sample: payload, receive=lambda reception, rng: reception):
        self.system, self.send, self.receive = system, send, receive

    def encode(self, sample, snr_db, rng):
        return self.send(self.system.transmitter.encode(sample, snr_db, rng), sample)

    def decode(self, received, size, rng):
        return self.receive(self.system.receiver.decode(received, size, rng), rng)


def trial_of(**faults):
    toy = discover.find("system", TOY).load()

    def build(cbr):
        system = toy(cbr=faults.get("cbr", cbr))
        around = Around(system, **{name: value for name, value in faults.items() if name != "cbr"})
        return replace(system, transmitter=around, receiver=around)

    return contract.Trial(build, 64, 1 / 8)


def darker(reception, by):
    return replace(reception, images=(reception.images - by).clamp(0, 1))


def peeking():
    """The receiver returns the transmitted image, which it got past the channel."""
    toy = discover.find("system", TOY).load()

    def build(cbr):
        images = []
        system = toy(cbr=cbr)
        around = Around(
            system,
            lambda payload, sample: (images.append(sample.images), payload)[1],
            lambda reception, rng: replace(reception, images=images[-1]) if images else reception,
        )
        return replace(system, transmitter=around, receiver=around)

    return contract.Trial(build, 64, 1 / 8)


def global_draw(payload, sample):
    np.random.rand()
    return payload


def over_budget():
    """Transmits more uses than its budget and counts only the budget, as if the others were repetitions."""

    def build(cbr):
        toy = discover.find("system", TOY).load()(cbr=1.1 * cbr)
        around = Around(
            toy,
            receive=lambda r, rng: replace(r, counted_uses=r.counted_uses.clamp(max=uses_for(cbr, (64, 64)))),
        )
        return replace(toy, transmitter=around, receiver=around, repeats=True)

    return contract.Trial(build, 64, 1 / 8)


def louder(payload, sample):
    return replace(payload, symbols=1.01 * payload.symbols)


def with_network(pixels):
    """A receiver with a network that sees `pixels` of the received images."""
    network = torch.nn.Conv2d(3, 4, 3)

    def receive(reception, rng):
        network(pixels(reception.images))
        return reception

    return trial_of(receive=receive)


BROKEN_SYSTEMS = {
    system_properties.draws_do_not_depend_on_the_batch: lambda: trial_of(
        receive=lambda r, rng: darker(r, 0.01 * len(r.images))
    ),
    system_properties.users_do_not_affect_each_other: lambda: trial_of(
        receive=lambda r, rng: darker(r, 0.01 * len(r.images))
    ),
    system_properties.equal_seeds_give_equal_images: lambda: trial_of(
        receive=lambda r, rng: darker(r, random.SystemRandom().random())
    ),
    system_properties.global_random_state_is_unchanged: lambda: trial_of(send=global_draw),
    system_properties.counted_uses_stay_within_the_budget: lambda: trial_of(cbr=1 / 7),
    system_properties.every_image_shape_is_supported: lambda: trial_of(
        receive=lambda r, rng: replace(r, images=r.images[..., :64, :48])
    ),
    system_properties.very_low_snr_is_handled: lambda: trial_of(receive=lambda r, rng: replace(r, images=2 * r.images)),
    system_properties.transmitted_uses_stay_within_the_budget: over_budget,
    system_properties.symbols_have_unit_mean_energy: lambda: trial_of(send=louder),
    system_properties.receiver_needs_only_received_symbols: peeking,
    system_properties.cost_is_proportional_to_the_images: lambda: with_network(lambda images: images[:1]),
    system_properties.cost_grows_with_the_area: lambda: with_network(lambda images: images[..., :40]),
}


@pytest.mark.parametrize("check", contract.SYSTEM_PROPERTIES, ids=lambda check: check.__name__)
def test_property_detects_a_faulty_system(check):
    try:
        problem = check(BROKEN_SYSTEMS[check]())
    except ValueError as error:  # from Link
        problem = str(error)
    assert problem


@pytest.mark.parametrize("check", ["cost_is_proportional_to_the_images", "cost_grows_with_the_area"])
def test_costs_of_a_network_hold(check):
    assert getattr(system_properties, check)(with_network(lambda images: images)) is None


def test_transmitted_and_counted_uses_are_both_limited():
    assert system_properties.counted_uses_stay_within_the_budget(over_budget()) is None
    assert "budget 1536" in system_properties.transmitted_uses_stay_within_the_budget(over_budget())


DIGITAL = {
    "adaptive": {"codec": "webp"},
    "16qam": {"codec": "webp", "adaptation": "fixed", "modulation": "16qam", "code_rate": 0.5},
    "256qam": {"codec": "webp", "adaptation": "fixed", "modulation": "256qam", "code_rate": 0.8},
}


def digital_of(energy, arguments):
    def build(cbr):
        system = digital.build(cbr=cbr, **arguments)
        around = Around(system, send=lambda payload, _: replace(payload, symbols=energy**0.5 * payload.symbols))
        return replace(system, transmitter=around)

    return contract.Trial(build, 64, 1 / 8)


@pytest.mark.parametrize("arguments", DIGITAL.values(), ids=DIGITAL)
def test_an_energy_error_of_three_per_cent_is_detected(arguments, monkeypatch):
    found = []
    measured = system_properties.mean_energy
    monkeypatch.setattr(system_properties, "mean_energy", lambda payload: found.append(measured(payload)) or found[-1])
    for energy in (0.97, 1.0, 1.03):
        assert (system_properties.symbols_have_unit_mean_energy(digital_of(energy, arguments)) is None) == (energy == 1)
        mean, deviation = found[-1]
        assert abs(mean - energy) < 3 * deviation  # the correct energy passes with a margin
        assert 5 * deviation < 0.03


def z_of_random_points(draw, bits_per_symbol, repeats):
    rng = Rng([seed_for("energy", draw, row) for row in range(12)])
    bits = (rng.uniform(bits_per_symbol * 240 // repeats) < 0.5).to(torch.uint8)
    symbols = map_bits(bits, bits_per_symbol).repeat(1, repeats)
    uses = torch.full((12,), 240)
    mean, deviation = system_properties.mean_energy(Payload(symbols, uses, digital_uses=uses))
    return (mean - 1) / deviation


@pytest.mark.parametrize("repeats", [1, 4])
@pytest.mark.parametrize("bits_per_symbol", [4, 8])
def test_standard_deviation_of_the_mean_energy_is_correct(bits_per_symbol, repeats):
    """Over 100 draws the mean of z^2 is about 1; the larger of two variance estimates lowers it a little."""
    squared = sum(z_of_random_points(draw, bits_per_symbol, repeats) ** 2 for draw in range(100)) / 100
    assert 1 - 4 * (2 / 100) ** 0.5 - 0.2 < squared < 1 + 4 * (2 / 100) ** 0.5


def test_equal_rows_are_used_once():
    points = map_bits((Rng([1]).uniform(8 * 240) < 0.5).to(torch.uint8), 8)
    uses = torch.full((6,), 240)
    several = system_properties.mean_energy(Payload(points.expand(6, -1), uses, uses))
    assert several == system_properties.mean_energy(Payload(points, uses[:1], uses[:1]))


def test_mean_energy_of_qpsk_and_of_empty_rows():
    uses = torch.tensor([240, 0])
    points = map_bits((Rng([1, 2]).uniform(2 * 240) < 0.5).to(torch.uint8), 2) * torch.tensor([[1.0], [0.0]])
    mean, deviation = system_properties.mean_energy(Payload(points, uses, uses))
    assert (mean, deviation) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    assert system_properties.mean_energy(Payload(points[1:], uses[1:], uses[1:])) == (1, 0)


def test_a_property_that_raises_does_not_hold(monkeypatch):
    def impossible(subject):
        """Never holds."""
        raise ZeroDivisionError("no")

    monkeypatch.setattr(runner, "CHANNEL_PROPERTIES", (impossible, *contract.CHANNEL_PROPERTIES[:1]))
    first, second = contract.check(variant("channel", "awgn"))
    assert (first.name, first.statement, first.problem) == ("impossible", "Never holds", "ZeroDivisionError: no")
    assert not second.problem
