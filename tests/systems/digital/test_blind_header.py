"""Digital transmission without a header: what it saves, which schemes are tried, and that the CRC decides."""

import pytest
import torch

from channels import Rng, awgn, modem, rayleigh, seed_for
from channels.errors import UsageError
from channels.modem.link_adaptation import adaptive
from semcom import Link, Sample
from semcom.systems import digital
from semcom.systems.digital import blind_header


def sample(side=48):
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    return Sample(torch.stack([x, y, (8 * x).sin().abs()])[None])


@pytest.mark.parametrize(("snr_db", "channel"), [(3.0, awgn), (12.0, awgn), (20.0, rayleigh)])
def test_scheme_is_found_without_a_header(snr_db, channel):
    seeds = [seed_for("blind", 2)]
    found = {}
    for header in ("sent", "blind"):
        link = Link(digital.build(cbr=1 / 6, codec="webp", header=header, margin_db=6.0), channel.build())
        found[header] = link.deliver(sample(), snr_db, seeds)
    sent, blind = found["sent"], found["blind"]
    assert not blind.reception.outage[0]
    assert blind.uses.tolist() == sent.uses.tolist()
    assert blind.parts["header"].tolist() == [0.0]
    assert sent.parts["header"].tolist() == [64.0]
    data = {name: delivery.parts["data"] + delivery.parts["padding"] for name, delivery in found.items()}
    assert data["blind"] > data["sent"]


def test_candidates_are_of_the_likely_modulation():
    frame = digital.scheme_frame("average_snr", None, None, None)
    schemes = frame.schemes
    index = next(i for i, scheme in enumerate(schemes) if scheme.bits_per_symbol == 4)
    bits = torch.randint(0, 2, (1, 4 * 1000), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    noise = 10**-1.1
    received = modem.map_bits(bits, 4) + noise**0.5 * Rng([4]).complex_normal(1000)
    (order,) = blind_header.orders(received, torch.full((1, 1000), noise), frame)
    assert {schemes[i].bits_per_symbol for i in order} == {4}
    assert index in order
    (lost,) = blind_header.orders(received, torch.full((1, 1000), 1e4), frame)
    assert len(lost) == len(adaptive().schemes)  # nothing is known of a frame under noise: all are tried


def test_crc_decides():
    """Trials continue until a scheme passes; rows that never pass have their first candidate."""
    frame = digital.scheme_frame("average_snr", None, None, None)
    received, noise_var = Rng([1, 2]).complex_normal(400), torch.full((2, 400), 100.0)
    orders = blind_header.orders(received, noise_var, frame)
    target, tried = orders[0][7], []

    def passes(rows, index):
        tried.append((rows.tolist(), index))
        return (rows == 0) & (index == target)

    found = blind_header.find(received, noise_var, frame, passes)
    assert found.tolist() == [target, orders[1][0]]
    assert sum(0 in rows for rows, _ in tried) == 8
    assert sum(1 in rows for rows, _ in tried) == len(orders[1])


@pytest.mark.parametrize(
    "options",
    [{"harq": "chase"}, {"adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.5}],
)
def test_wrong_arguments_are_refused(options):
    with pytest.raises(UsageError, match="header"):
        digital.build(cbr=1 / 6, header="blind", **options)
