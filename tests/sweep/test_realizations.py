"""Many realizations of one image, and recorded signals, without a sweep."""

import pytest
import torch

from channels import UsageError
from semcom.images import load
from semcom.metrics import measure
from semcom.scenario.load import scenario_from
from semcom.sweep.single import deliver_image, deliver_realizations, link_for

PHOTO = load("photos", count=1, size=64)[0]


def linked(system, users=1):
    point = scenario_from(
        {
            "systems": [system],
            "channel": "rayleigh",
            "medium_cbr": 1 / 8,
            "sweep": {"snr_db": 10, "users": users},
            "images": {"source": "photos"},
            "metrics": ["psnr"],
        }
    ).points()[0]
    channel = point.channel.entry.load()()
    return point, link_for(point, channel, PHOTO)


@pytest.mark.parametrize("system", ["digital", "analog", "deepjscc", "capacity"])
def test_realizations_are_those_of_single_transmissions(system):
    point, link = linked(system)
    together = deliver_realizations(link, point, PHOTO, range(3, 7))
    apart = [deliver_image(link, point, PHOTO, index, None) for index in range(3, 7)]
    images = torch.cat([delivery.reception.images for delivery in apart])
    assert (together.reception.images - images).abs().max() < 1e-5
    assert system == "capacity" or len({float(value) for value in measure("psnr", together)}) > 1


def test_realizations_have_one_user():
    point, link = linked("analog", users=2)
    with pytest.raises(UsageError, match="realizations require one user, not 2"):
        deliver_realizations(link, point, PHOTO, range(2))


def test_signals_are_recorded_on_request():
    point, link = linked("analog")
    assert deliver_image(link, point, PHOTO, 0, None).signals is None
    signals = deliver_image(link, point, PHOTO, 0, None, record_signals=True).signals
    assert signals.sent.shape == signals.received.symbols.shape
