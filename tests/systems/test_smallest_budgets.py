"""Budgets below the smallest transmission of a system: an outage without channel uses, or one line."""

import pytest

from channels import awgn
from channels.errors import UsageError
from semcom import Link, Sample, discover
from semcom.cli.main import main
from semcom.images.sources import load

# Systems that are built without an argument other than the budget.
SYSTEMS = [
    name
    for name, entry in discover.entries("system").items()
    if not any(argument.required for word, argument in entry.arguments.items() if word != discover.BUDGET)
]


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("uses", [1, 40])
def test_a_row_is_transmitted_or_in_outage_or_refused(name, uses):
    images = load("photos", 1, 32)[0].pixels[None]
    try:
        system = discover.find("system", name).load()(cbr=uses / images.numel())
        delivery = Link(system, awgn.build()).deliver(Sample(images, captions=("a photograph",)), 10.0, [1])
    except UsageError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert "cbr" in message
        return
    assert 0 <= int(delivery.uses) <= uses
    if not delivery.uses.any():
        assert delivery.reception.outage is not None
        assert delivery.reception.outage.all()
        assert (delivery.reception.images == 0.5).all()


def test_send_says_which_systems_transmit_nothing(tmp_path, monkeypatch, capsys):
    from semcom.images.files import to_pil

    monkeypatch.chdir(tmp_path)
    to_pil(load("photos", 1, 32)[0].pixels).save("a.png")
    command = ["send", "a.png", "--system", "analog", "--system", "harmonic_inpainting", "--snr", "10", "--cbr", "0.01"]
    assert main(command) == 0
    notes = [text for text in capsys.readouterr().out.splitlines() if text.startswith("note")]
    assert len(notes) == 1
    assert "analog transmits nothing" in notes[0]
