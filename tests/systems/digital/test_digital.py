import math

import numpy as np
import pytest
import torch

from channels import awgn, broadcast, modem, rayleigh
from channels.errors import UsageError
from channels.modem import link_adaptation, scheme_header
from channels.modem.interleaver import interleaver
from channels.rng import Rng, seed_for
from semcom.codecs import image_file
from semcom.images.files import to_bytes
from semcom.images.sources import load
from semcom.link import Link
from semcom.metrics.metric import measure
from semcom.system import Sample, uses_for
from semcom.systems import digital
from semcom.systems.digital import tuning


@pytest.fixture(scope="module")
def photos():
    return torch.stack([image.pixels for image in load("photos", 3, 64)])


def q_function(x):
    return 0.5 * math.erfc(x / math.sqrt(2))


def relative_efficiency(snr_db, mcs):
    """Spectral efficiency of a scheme relative to the capacity of AWGN."""
    return mcs.efficiency / math.log2(1 + 10 ** (snr_db / 10))


def test_interleaver_is_a_permutation_that_spreads_bursts():
    for uses in [0, 1, 2, 3, 17, 64, 192, 1000, 4013]:
        assert sorted(interleaver(uses).tolist()) == list(range(uses))
    order = interleaver(10_000)
    for start in range(0, 9000, 777):
        run = order[start : start + 1000]
        counts = torch.bincount(run // 1000, minlength=10)
        assert counts.min() > 90
        assert counts.max() < 110


def test_header_codewords_differ_in_half_of_their_bits():
    words = scheme_header._words().long()
    distance = (words[:, None] != words[None]).sum(-1)
    distance[range(128), range(128)] = 64
    assert int(distance.min()) == 64


def test_header_error_rate_follows_the_union_bound():
    rows, snr = 4000, 10**-0.8
    indices = torch.arange(rows) % 128
    noise = Rng([seed_for("header")]).complex_normal(rows * 64).view(rows, 64) / math.sqrt(snr)
    found = scheme_header.decode(scheme_header.encode(indices) + noise, torch.full((rows, 64), 1 / snr))
    failed = (found != indices).double().mean().item()
    pairwise = q_function(math.sqrt(64 * snr))  # 64 differing bits of energy 1/2 each
    bound = 127 * pairwise
    deviation = math.sqrt(bound * (1 - bound) / rows)
    assert 20 * pairwise < failed < bound + 4 * deviation


@pytest.mark.parametrize("codec", ["jpeg", "webp", "avif", "jpeg2000", "hevc", "jxl"])
def test_file_is_received_bit_for_bit(photos, codec):
    system = digital.build(cbr=1 / 4, codec=codec, adaptation="fixed", modulation="64qam", code_rate=0.75, speed=9)
    delivery = Link(system, awgn.build()).deliver(Sample(photos), 25.0, [1, 2, 3])
    limit = modem.transport_bits(uses_for(1 / 4, (64, 64)), modem.Mcs(6, 0.75)) // 8 - 1
    for row, image in enumerate(photos):
        file = image_file.fit(to_bytes(image), codec, limit, 9)
        assert file is not None
        assert len(file) <= limit
        shown = torch.from_numpy(image_file.decode(file, codec, (64, 64))).permute(2, 0, 1).float() / 255
        assert torch.equal(delivery.reception.images[row], shown)
    assert not delivery.reception.outage.any()
    assert delivery.reception.block_errors.sum() == 0


def test_threshold_is_close_to_capacity(photos):
    """All images are in outage 0.3 dB below the capacity limit, none 2.5 dB above it."""
    link = Link(
        digital.build(cbr=1 / 6, codec="webp", adaptation="fixed", modulation="16qam", code_rate=0.5), awgn.build()
    )
    limit_db = 10 * math.log10(2**2.0 - 1)
    sample = Sample(photos.repeat(8, 1, 1, 1))
    seeds = [seed_for("cliff", row) for row in range(24)]
    below = link.deliver(sample, limit_db - 0.3, seeds).reception
    assert below.outage.all()
    assert torch.equal(below.blocks, below.block_errors.clamp(min=1))
    assert bool((below.images == 0.5).all())
    above = link.deliver(sample, limit_db + 2.5, seeds).reception
    assert not above.outage.any()
    assert above.block_errors.sum() == 0


def test_adaptive_schemes_have_few_outages_and_are_close_to_capacity(photos):
    link = Link(digital.build(cbr=1 / 6, codec="webp"), awgn.build())
    sample = Sample(photos[:1].expand(100, -1, -1, -1))
    budget, lost = uses_for(1 / 6, (64, 64)), 0
    for snr_db in (-2.0, 2.4, 7.1, 12.3, 18.0):
        delivery = link.deliver(sample, snr_db, [seed_for("adaptive", row) for row in range(100)])
        lost += int(delivery.reception.outage.sum())
        mcs = link_adaptation.adaptive().schemes[link_adaptation.best(budget, snr_db)]
        assert 0.45 < relative_efficiency(snr_db, mcs) < 1
    assert lost <= 6  # of 500 at an image loss of 1e-3: probability of more below 1e-5


def test_rate_increases_with_snr_and_decreases_with_margin():
    chosen = [link_adaptation.best(5000, snr_db / 2) for snr_db in range(-30, 80)]
    assert chosen == sorted(chosen)
    assert chosen[0] == 0
    assert chosen[-1] == len(link_adaptation.adaptive().schemes) - 1
    assert len(link_adaptation.adaptive().schemes) <= scheme_header.INDICES
    images = torch.full((1, 3, 48, 48), 0.3)
    sent = [
        digital.build(cbr=1 / 6, codec="webp", margin_db=margin).transmitter.encode(
            Sample(images), torch.tensor([snr]), Rng([1])
        )
        for margin, snr in ((0.0, 7.0), (5.0, 12.0))
    ]
    assert torch.equal(sent[0].symbols, sent[1].symbols)


@pytest.mark.parametrize("adaptation", [{}, {"adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.4}])
def test_all_channel_uses_are_counted(adaptation):
    rng = np.random.default_rng(3)
    for _ in range(15):
        height, width = (int(side) for side in rng.integers(1, 60, 2))
        cbr = float(rng.choice([1 / 48, 1 / 16, 1 / 6, 1.0]))
        system = digital.build(cbr=cbr, codec="webp", **adaptation)
        images = torch.from_numpy(rng.random((2, 3, height, width), np.float32))
        snr_db = torch.tensor([1.0, 15.0])
        payload = system.transmitter.encode(Sample(images), snr_db, Rng([1, 2]))
        budget, frame = uses_for(cbr, (height, width)), system.transmitter.agreement.frame
        for row in range(2):
            index = link_adaptation.best(budget, float(snr_db[row])) if not adaptation else 0
            size = frame.payload_bytes(budget, index)
            assert int(payload.uses[row]) == (budget if size else 0)
            assert modem.transport_uses(8 * size, frame.schemes[index]) + frame.header_uses <= budget if size else True
            assert not payload.symbols[row, int(payload.uses[row]) :].any()
        assert torch.equal(payload.uses, payload.digital_uses)
        Link(system, awgn.build()).deliver(Sample(images), snr_db, [1, 2])  # checks energy and images


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (5, 3), (200, 2)])
@pytest.mark.parametrize("cbr", [1 / 16, 0.5, 3.0])
def test_any_size(size, cbr):
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    delivery = Link(digital.build(cbr=cbr), rayleigh.build(coherence_uses=7)).deliver(Sample(images), 20.0, [1])
    assert delivery.reception.images.shape == images.shape
    if delivery.uses.item() == 0:
        assert delivery.reception.outage.item()
        assert delivery.reception.blocks.item() == 0


@pytest.mark.parametrize("snr_db", [-20.0, -30.0, -33.0, -40.0, -100.0])
def test_very_low_snr_is_an_outage_of_every_block(photos, snr_db):
    system = digital.build(cbr=1 / 2, codec="webp", adaptation="fixed", modulation="64qam", code_rate=0.8)
    sample, seeds = Sample(photos.repeat(7, 1, 1, 1)), list(range(21))
    reception = Link(system, awgn.build()).deliver(sample, snr_db, seeds).reception
    assert reception.outage.all()
    assert torch.equal(reception.blocks, torch.full((21,), 4))
    assert torch.equal(reception.block_errors, reception.blocks)


@pytest.mark.parametrize("snr_db", [-40.0, -100.0])
def test_no_payload_is_accepted_after_random_headers(snr_db):
    """A header of noise decodes to a random scheme; many rows cover all schemes."""
    sample = Sample(torch.full((300, 3, 32, 32), 0.3))
    reception = Link(digital.build(cbr=1 / 6, codec="webp"), awgn.build()).deliver(sample, snr_db, range(300)).reception
    assert reception.outage.all()
    assert torch.equal(reception.block_errors, reception.blocks)


def bits_of(data):
    return np.unpackbits(np.frombuffer(data, np.uint8))


def test_bit_errors_equal_an_independent_count(photos):
    mcs, snr_db, seeds = modem.Mcs(4, 0.5), torch.linspace(4.5, 7.0, 12), [seed_for("ber", row) for row in range(12)]
    system = digital.build(cbr=1 / 6, codec="webp", adaptation="fixed", modulation="16qam", code_rate=0.5)
    sample = Sample(photos.repeat(4, 1, 1, 1))
    delivery = Link(system, awgn.build()).deliver(sample, snr_db, seeds)
    wrong, total = measure("ber", delivery)

    budget = uses_for(1 / 6, (64, 64))
    size = modem.transport_bits(budget, mcs) // 8
    files = [image_file.fit(to_bytes(image), "webp", size - 1) for image in sample.images]
    sent = np.stack([bits_of((file + b"\x80").ljust(size, b"\0")) for file in files])
    symbols = torch.empty(12, budget, dtype=torch.complex64)
    symbols[:, interleaver(budget)] = modem.encode(torch.from_numpy(sent), mcs, budget)
    received = awgn.build().carry(
        symbols[:, None], torch.full((12, 1), budget), snr_db[:, None], Rng(seeds).derive("carry")
    )
    equalized = received.symbols[:, 0, interleaver(budget)]
    found = modem.decode(equalized, 10 ** (-snr_db[:, None] / 10), mcs, 8 * size)
    assert wrong.tolist() == (found.bits.numpy() != sent).sum(1).tolist()
    assert total.tolist() == [8 * size] * 12
    assert 0 < int(found.ok.sum()) < 12
    assert torch.equal(wrong == 0, found.ok)
    assert float(wrong.sum() / total.sum()) < 0.2  # close to the decoding threshold


def test_bit_errors_are_zero_exactly_where_all_crcs_pass(photos):
    link = Link(digital.build(cbr=1 / 6, codec="webp", margin_db=-0.3), rayleigh.build(coherence_uses=600))
    sample = Sample(photos.repeat(8, 1, 1, 1))
    snr_db = torch.linspace(-8, 20, 24)
    delivery = link.deliver(sample, snr_db, list(range(24)))
    wrong, total = measure("ber", delivery)
    met = delivery.reception.block_errors == 0
    assert 2 < int(met.sum()) < 22
    assert torch.equal(wrong == 0, met)
    budget, frame = uses_for(1 / 6, (64, 64)), link_adaptation.adaptive()
    chosen = [link_adaptation.best(budget, snr + 0.3) for snr in snr_db.tolist()]
    assert total.tolist() == [7 + 8 * frame.payload_bytes(budget, index) for index in chosen]
    assert len(total.unique()) > 5


def test_bits_after_a_header_error_are_compared_by_position(photos):
    rows = 60
    system = digital.build(cbr=1 / 6, codec="webp")
    sample = Sample(photos[:1].expand(rows, -1, -1, -1))
    payload = system.transmitter.encode(sample, torch.full((rows,), 9.0), Rng(range(rows)))
    sent = payload.truth["bits"]
    assert scheme_header.to_bits(torch.arange(128)).unique(dim=0).shape == (128, 7)
    delivery = Link(system, awgn.build()).deliver(sample, torch.full((rows,), -30.0), list(range(rows)))
    assert not torch.equal(delivery.truth["bits"], sent)  # another scheme, of fewer bits
    wrong, total = measure("ber", delivery)
    assert bool((total == (delivery.truth["bits"] <= 1).sum(1)).all())
    assert 0.3 < float(wrong.sum() / total.sum()) < 0.7


def test_broadcast_users_have_separate_bit_errors(photos):
    system = digital.build(cbr=1 / 6, codec="webp", adaptation="fixed", modulation="16qam", code_rate=0.5)
    delivery = Link(system, broadcast.build()).deliver(Sample(photos[[0, 0]]), torch.tensor([25.0, -10.0]), [1, 2], 2)
    wrong, total = measure("ber", delivery)
    assert bool((wrong == 0)[delivery.reception.block_errors == 0].all())
    assert total[0] == total[1] > 0
    assert wrong[1] > 0.2 * total[1]


def test_images_without_channel_uses_have_no_bits():
    delivery = Link(digital.build(cbr=1 / 16, codec="webp"), awgn.build()).deliver(
        Sample(torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))), 20.0, [1]
    )
    assert delivery.uses.tolist() == [0]
    assert [part.tolist() for part in measure("ber", delivery)] == [[0], [0]]


def test_header_errors_are_outages():
    images = torch.full((300, 3, 16, 16), 0.3)
    system = digital.build(cbr=80 / 768, codec="webp")
    assert any(system.transmitter.agreement.frame.payload_bytes(80, index) == 0 for index in range(20))
    assert link_adaptation.best(80, 30.0) > 20
    payload = system.transmitter.encode(Sample(images), torch.full((300,), 30.0), Rng(range(300)))
    received = awgn.build().carry(
        payload.symbols[:, None], payload.uses[:, None], torch.full((300, 1), -25.0), Rng(range(300))
    )
    reception = system.receiver.decode(received.fold(), (16, 16), Rng(range(300)))
    assert reception.outage.all()
    assert bool((reception.blocks == 1).all())
    assert bool((reception.block_errors == 1).all())


def test_a_payload_without_an_image_is_an_outage(photos, monkeypatch):
    for file in (b"", b"\x00garbage", b"\x80\x80", None):
        monkeypatch.setattr(image_file, "fit", lambda *_, file=file: file)
        system = digital.build(cbr=1 / 6, codec="webp")
        reception = Link(system, awgn.build()).deliver(Sample(photos[:1]), 20.0, [1]).reception
        assert reception.outage.all()
        assert reception.block_errors.sum() == 0
        assert bool((reception.images == 0.5).all())


def test_trailing_bytes_of_a_file_are_separated_from_the_padding(photos, monkeypatch):
    seen = []
    for file in (b"abc\x00\x00", b"abc\x80", b"abc\x80\x00"):
        monkeypatch.setattr(image_file, "fit", lambda *_, file=file: file)
        monkeypatch.setattr(
            image_file, "decode", lambda data, codec, size: seen.append(data) or np.zeros((*size, 3), np.uint8)
        )
        system = digital.build(cbr=1 / 6, codec="webp")
        Link(system, awgn.build()).deliver(Sample(photos[:1]), 20.0, [1])
        assert seen.pop() == file


def test_results_do_not_depend_on_the_batch(photos):
    link = Link(digital.build(cbr=1 / 6, codec="webp"), rayleigh.build(coherence_uses=50))
    snr_db = torch.tensor([4.0, 11.0, 19.0])
    together = link.deliver(Sample(photos), snr_db, [1, 2, 3])
    for row in range(3):
        alone = link.deliver(Sample(photos[row : row + 1]), snr_db[row : row + 1], [row + 1])
        assert torch.equal(alone.reception.images[0], together.reception.images[row])
        assert alone.reception.outage[0] == together.reception.outage[row]


def test_receiver_decodes_the_scheme_from_the_header(photos):
    payload = digital.build(cbr=1 / 6, codec="webp").transmitter.encode(
        Sample(photos), torch.tensor([2.0, 9.0, 20.0]), Rng([1, 2, 3])
    )
    received = awgn.build().carry(
        payload.symbols[:, None], payload.uses[:, None], torch.full((3, 1), 30.0), Rng([4, 5, 6])
    )
    receiver = digital.build(cbr=1 / 6, codec="webp", margin_db=6.0).receiver
    assert not receiver.decode(received.fold(), (64, 64), Rng([1, 2, 3])).outage.any()


def test_margin_0_db_is_best_over_awgn(photos):
    settings = [{"margin_db": margin} for margin in (6.0, 0.0, 3.0)]
    trials = tuning.compare(settings, 1 / 6, "webp", awgn.build(), [4.0, 12.0], list(photos[:1]), repetitions=4)
    assert [trial.arguments["margin_db"] for trial in trials] == [0.0, 3.0, 6.0]
    assert trials[0].outage == 0


def test_the_best_fixed_scheme_is_below_capacity(photos):
    snr_db = 6.0
    schemes = tuning.fixed_schemes()
    best, *others = tuning.compare(schemes, 1 / 6, "webp", awgn.build(), [snr_db], list(photos[:1]), repetitions=2)
    chosen = modem.Mcs(digital.MODULATIONS[best.arguments["modulation"]], best.arguments["code_rate"])
    assert 0.5 < relative_efficiency(snr_db, chosen) < 1
    assert best.outage == 0
    assert others[-1].outage == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"codec": "gif"}, "gif"),
        ({"adaptation": "fixed"}, "requires modulation"),
        ({"adaptation": "fixed", "modulation": "8psk", "code_rate": 0.5}, "8psk"),
        ({"adaptation": "fixed", "modulation": "qpsk", "code_rate": 1.5}, "rate"),
        ({"adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.5, "margin_db": 1.0}, "margin_db"),
        ({"modulation": "qpsk"}, "fixed"),
        ({"adaptation": "often"}, "often"),
        ({"speed": 11}, "speed"),
        ({"cbr": -1.0}, "cbr"),
    ],
)
def test_wrong_arguments(arguments, message):
    build = getattr(digital.build, "__wrapped__", digital.build)  # without the type checks of the tests
    with pytest.raises(UsageError, match=message):
        build(**({"cbr": 1 / 16} | arguments))
