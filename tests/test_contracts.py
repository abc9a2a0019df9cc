"""Every system and channel keeps the laws of semcom.check, and every law catches what it is there for."""

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TOY

from channels import Channel, Medium, Rng, awgn, broadcast, rayleigh, tdl, uplink
from channels._rng import seed_for
from channels.modem import map_bits
from semcom import _laws_of_channels as of_channels
from semcom import _laws_of_systems as of_systems
from semcom import check, discover
from semcom._laws import NotApplicableError
from semcom.scenario import variant
from semcom.system import Payload, Receiver, Transmitter, uses_for
from semcom.systems import analog, digital


@pytest.fixture(autouse=True)
def _random_is_for_beartype(monkeypatch):
    """The type checks of these tests draw from `random` themselves; another test watches it without them."""
    monkeypatch.setattr(random, "getstate", lambda: None)


ENTRIES = [
    (kind, name)
    for kind in ("channel", "system")
    for name, entry in discover.entries(kind).items()
    if not any(argument.required and key != "cbr" for key, argument in entry.arguments.items())
]  # the others need files, which their own tests have


@pytest.mark.parametrize(("kind", "name"), [*ENTRIES, ("system", TOY)])
def test_the_laws_are_kept(kind, name):
    broken = {law.name: law.problem for law in check.check(variant(kind, name)) if law.problem}
    assert not broken


@pytest.mark.parametrize("override", ["channel.coherence_uses=1", "channel.coherence_uses=7"])
def test_fading_of_any_coherence_keeps_the_laws(override):
    assert not [law for law in check.check(variant("channel", "rician", [override])) if law.problem]


AIRS = {"rayleigh": rayleigh.build(), "tdl": tdl.build(), "broadcast": broadcast.build(fading="rayleigh")}


@pytest.mark.parametrize("air", AIRS.values(), ids=AIRS)
@pytest.mark.parametrize("system", [analog, digital], ids=["analog", "digital"])
def test_fading_paths_and_common_air_break_no_law(system, air):
    trial = check.Trial(system.build, 64, 1 / 8, air)
    assert not [law.__name__ for law in check.ANY_AIR_LAWS if law(trial)]


def test_systems_are_tried_over_fading_too():
    only = "the receiver needs only the air over rayleigh"
    assert [law.name for law in check.check(variant("system", TOY), only)] == [only]


@pytest.mark.parametrize("channel", [uplink.build(), broadcast.build()], ids=["superposed", "common"])
def test_users_without_shares_are_not_said_to_leave_each_other_alone(channel):
    with pytest.raises(NotApplicableError, match=channel.medium.access):
        of_channels.another_user_changes_nothing(channel)


def test_what_a_bound_sends_is_not_said_to_be_lawful():
    assert not next(check.check(variant("system", "capacity"), "power is as the rule says")).applies


# --- channels that are wrong in one way ----------------------------------------------------------------------------


class Broken(Channel):
    """A Rayleigh channel with a mistake in it."""

    medium = Medium()

    def __init__(self, medium=None, before=lambda *sent: sent, after=lambda received: received, draw=None):
        self.medium = medium or Medium()
        self.before, self.after, self.draw = before, after, draw

    def carry(self, symbols, uses, snr_db, rng):
        if self.draw:
            self.draw()
        return self.after(rayleigh.build(coherence_uses=4).carry(*self.before(symbols, uses, snr_db, rng)))


class Greedy(Medium):
    def granted(self, medium_uses, users):
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
    of_channels.medium_adds_up: Broken(medium=Greedy()),
    of_channels.channel_draws_ignore_the_batch: Broken(before=snr_of_the_batch),
    of_channels.padding_is_not_sent: Broken(before=everything_is_sent),
    of_channels.another_user_changes_nothing: Broken(before=one_seed_for_all),
    of_channels.same_seeds_same_air: Broken(before=fresh_seeds),
    of_channels.channel_leaves_global_state_alone: Broken(draw=lambda: torch.rand(1)),
    of_channels.noise_is_what_it_says: Broken(after=lambda heard: replace(heard, noise_var=1.05 * heard.noise_var)),
    of_channels.fading_has_unit_power: Broken(after=lambda heard: replace(heard, gains=1.2 * heard.gains)),
    of_channels.channel_is_differentiable: Broken(after=lambda heard: replace(heard, symbols=heard.symbols.detach())),
}


@pytest.mark.parametrize("law", check.CHANNEL_LAWS, ids=lambda law: law.__name__)
def test_each_law_catches_a_channel_that_breaks_it(law):
    assert law(awgn.build()) is None
    assert law(rayleigh.build()) is None
    try:
        problem = law(BROKEN_CHANNELS[law])
    except RuntimeError as error:  # no gradient at all
        problem = str(error)
    assert problem


def test_the_global_state_of_numpy_is_watched_too():
    assert of_channels.channel_leaves_global_state_alone(Broken(draw=np.random.rand))


def test_without_type_checks_nothing_draws_from_random():
    code = f"""
import random
from semcom import _laws, check
from semcom.scenario import variant
assert _laws.touched(random.random) == "the global state of random changed"
for kind, name in {ENTRIES}:
    for verdict in check.check(variant(kind, name), only=kind + " leaves global state alone"):
        if verdict.problem:
            print(name, verdict.problem)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_bias_of_the_equaliser_is_caught():
    shrunk = Broken(after=lambda heard: replace(heard, symbols=heard.symbols / (1 + heard.noise_var)))
    assert of_channels.noise_is_what_it_says(shrunk)


# --- systems that are wrong in one way -----------------------------------------------------------------------------


class Around(Transmitter, Receiver):
    """The toy system with a mistake in it."""

    def __init__(self, system, sent=lambda payload, sample: payload, heard=lambda reception, rng: reception):
        self.system, self.sent, self.heard = system, sent, heard

    def encode(self, sample, snr_db, rng):
        return self.sent(self.system.transmitter.encode(sample, snr_db, rng), sample)

    def decode(self, received, size, rng):
        return self.heard(self.system.receiver.decode(received, size, rng), rng)


def trial_of(**mistakes):
    toy = discover.find("system", TOY).load()

    def build(cbr):
        system = toy(cbr=mistakes.get("cbr", cbr))
        around = Around(system, **{name: value for name, value in mistakes.items() if name != "cbr"})
        return replace(system, transmitter=around, receiver=around)

    return check.Trial(build, 64, 1 / 8)


def darker(reception, by):
    return replace(reception, images=(reception.images - by).clamp(0, 1))


def peeking():
    """The receiver takes the picture that its transmitter was given, past the channel."""
    toy = discover.find("system", TOY).load()

    def build(cbr):
        seen = []
        system = toy(cbr=cbr)
        around = Around(
            system,
            lambda payload, sample: (seen.append(sample.images), payload)[1],
            lambda reception, rng: replace(reception, images=seen[-1]) if seen else reception,
        )
        return replace(system, transmitter=around, receiver=around)

    return check.Trial(build, 64, 1 / 8)


def global_draw(payload, sample):
    np.random.rand()
    return payload


def hoarding():
    """Sends more than it was granted, and is then charged what it was granted, as if the rest had not been needed."""

    def build(cbr):
        toy = discover.find("system", TOY).load()(cbr=1.1 * cbr)
        around = Around(
            toy,
            heard=lambda heard, rng: replace(heard, uses_charged=heard.uses_charged.clamp(max=uses_for(cbr, (64, 64)))),
        )
        return replace(toy, transmitter=around, receiver=around, repeats=True)

    return check.Trial(build, 64, 1 / 8)


def louder(payload, sample):
    return replace(payload, symbols=1.01 * payload.symbols)


BROKEN_SYSTEMS = {
    of_systems.system_draws_ignore_the_batch: lambda: trial_of(heard=lambda r, rng: darker(r, 0.01 * len(r.images))),
    of_systems.another_sender_changes_nothing: lambda: trial_of(heard=lambda r, rng: darker(r, 0.01 * len(r.images))),
    of_systems.same_seeds_same_picture: lambda: trial_of(
        heard=lambda r, rng: darker(r, random.SystemRandom().random())
    ),
    of_systems.system_leaves_global_state_alone: lambda: trial_of(sent=global_draw),
    of_systems.it_spends_what_it_is_granted: lambda: trial_of(cbr=1 / 7),
    of_systems.any_shape_comes_back: lambda: trial_of(heard=lambda r, rng: replace(r, images=r.images[..., :64, :48])),
    of_systems.hopeless_air_is_survived: lambda: trial_of(heard=lambda r, rng: replace(r, images=2 * r.images)),
    of_systems.it_sends_what_it_is_granted: hoarding,
    of_systems.power_is_as_the_rule_says: lambda: trial_of(sent=louder),
    of_systems.the_receiver_needs_only_the_air: peeking,
}


@pytest.mark.parametrize("law", check.SYSTEM_LAWS, ids=lambda law: law.__name__)
def test_each_law_catches_a_system_that_breaks_it(law):
    try:
        problem = law(BROKEN_SYSTEMS[law]())
    except ValueError as error:  # what Link refuses
        problem = str(error)
    assert problem


def test_what_is_sent_is_counted_beside_what_is_charged():
    assert of_systems.it_spends_what_it_is_granted(hoarding()) is None
    assert "granted 1536" in of_systems.it_sends_what_it_is_granted(hoarding())


DIGITAL = {
    "adaptive": {"codec": "webp"},
    "16qam": {"codec": "webp", "adaptation": "fixed", "modulation": "16qam", "code_rate": 0.5},
    "256qam": {"codec": "webp", "adaptation": "fixed", "modulation": "256qam", "code_rate": 0.8},
}


def digital_of(energy, arguments):
    def build(cbr):
        system = digital.build(cbr=cbr, **arguments)
        around = Around(system, sent=lambda sent, _: replace(sent, symbols=energy**0.5 * sent.symbols))
        return replace(system, transmitter=around)

    return check.Trial(build, 64, 1 / 8)


@pytest.mark.parametrize("arguments", DIGITAL.values(), ids=DIGITAL)
def test_a_digital_transmitter_three_per_cent_off_breaks_the_power_rule(arguments, monkeypatch):
    found = []
    measured = of_systems.mean_energy
    monkeypatch.setattr(of_systems, "mean_energy", lambda payload: found.append(measured(payload)) or found[-1])
    for energy in (0.97, 1.0, 1.03):
        assert (of_systems.power_is_as_the_rule_says(digital_of(energy, arguments)) is None) == (energy == 1)
        mean, deviation = found[-1]
        assert abs(mean - energy) < 3 * deviation  # an honest one passes with a margin
        assert 5 * deviation < 0.03


def z_of_random_points(draw, bits_per_symbol, repeats):
    rng = Rng([seed_for("energy", draw, row) for row in range(12)])
    bits = (rng.uniform(bits_per_symbol * 240 // repeats) < 0.5).to(torch.uint8)
    symbols = map_bits(bits, bits_per_symbol).repeat(1, repeats)
    uses = torch.full((12,), 240)
    mean, deviation = of_systems.mean_energy(Payload(symbols, uses, digital_uses=uses))
    return (mean - 1) / deviation


@pytest.mark.parametrize("repeats", [1, 4])
@pytest.mark.parametrize("bits_per_symbol", [4, 8])
def test_the_deviation_of_the_mean_energy_is_the_right_one(bits_per_symbol, repeats):
    """Over 100 draws the mean of z^2 is 1, but for the larger of two estimates of the variance."""
    squared = sum(z_of_random_points(draw, bits_per_symbol, repeats) ** 2 for draw in range(100)) / 100
    assert 1 - 4 * (2 / 100) ** 0.5 - 0.2 < squared < 1 + 4 * (2 / 100) ** 0.5


def test_equal_rows_are_one_draw():
    points = map_bits((Rng([1]).uniform(8 * 240) < 0.5).to(torch.uint8), 8)
    uses = torch.full((6,), 240)
    several = of_systems.mean_energy(Payload(points.expand(6, -1), uses, uses))
    assert several == of_systems.mean_energy(Payload(points, uses[:1], uses[:1]))


def test_qpsk_has_no_deviation_and_silence_nothing_to_measure():
    uses = torch.tensor([240, 0])
    points = map_bits((Rng([1, 2]).uniform(2 * 240) < 0.5).to(torch.uint8), 2) * torch.tensor([[1.0], [0.0]])
    mean, deviation = of_systems.mean_energy(Payload(points, uses, uses))
    assert (mean, deviation) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    assert of_systems.mean_energy(Payload(points[1:], uses[1:], uses[1:])) == (1, 0)


def test_a_law_that_cannot_be_tried_is_broken(monkeypatch):
    def impossible(subject):
        """Nothing is like this."""
        raise ZeroDivisionError("no")

    monkeypatch.setattr(check, "CHANNEL_LAWS", (impossible, *check.CHANNEL_LAWS[:1]))
    first, second = check.check(variant("channel", "awgn"))
    assert (first.name, first.says, first.problem) == ("impossible", "Nothing is like this", "ZeroDivisionError: no")
    assert not second.problem
