"""Transmission over a channel whose SNR is not the one that the transmitter was designed for."""

import pytest
import torch
from PIL import Image

from channels import UsageError, awgn, rayleigh, seed_for
from semcom import Link, Sample, sweep
from semcom.cli.main import main
from semcom.images import load
from semcom.images.files import save_png
from semcom.metrics import measure
from semcom.results import labels, table
from semcom.scenario.load import load_scenario, scenario_from, to_yaml
from semcom.systems import analog, capacity, digital

PHOTO = load("photos", count=1, size=64)[0]


def deliver(system, snr_db, designed_snr_db=None, channel=None):
    link = Link(system, channel or awgn.build())
    return link.deliver(Sample(PHOTO.pixels[None]), snr_db, [seed_for("designed", 0)], designed_snr_db=designed_snr_db)


def scenario(**changes):
    return {
        "systems": ["digital", "analog"],
        "channel": "awgn",
        "medium_cbr": 1 / 8,
        "sweep": {"snr_db": [7, 13], "designed_snr_db": [10, 13]},
        "images": {"source": "photos", "count": 1, "size": 64},
        "metrics": ["psnr", "outage"],
    } | changes


def test_digital_transmission_fails_below_its_designed_snr_and_gains_nothing_above():
    system = digital.build(cbr=1 / 8)
    designed = deliver(system, 10, 10)
    assert torch.equal(designed.reception.images, deliver(system, 10).reception.images)
    assert bool(deliver(system, 7, 10).reception.outage)
    assert torch.equal(deliver(system, 20, 10).reception.images, designed.reception.images)
    assert measure("psnr", deliver(system, 20)) > measure("psnr", designed) + 3


def test_analog_transmission_follows_the_actual_snr():
    psnrs_db = [measure("psnr", deliver(analog.build(cbr=1 / 8), snr_db, 10)).item() for snr_db in (7, 10, 13)]
    assert psnrs_db[0] + 0.5 < psnrs_db[1] < psnrs_db[2] - 0.5
    matched = measure("psnr", deliver(analog.build(cbr=1 / 8), 0)).item()
    assert measure("psnr", deliver(analog.build(cbr=1 / 8), 0, 20)).item() < matched, "the power allocation differs"


def test_the_transmitter_knows_the_fading_at_the_designed_average_snr():
    channel = rayleigh.build(csit="perfect")
    known = [deliver(analog.build(cbr=1 / 8), 5, designed, channel).transmitter_snr_db for designed in (None, 8)]
    assert known[1].item() == pytest.approx(known[0].item() + 3, abs=1e-3)


def test_a_bound_ignores_the_designed_snr():
    bound = capacity.build(cbr=1 / 8)
    assert torch.equal(deliver(bound, 7, 13).reception.images, deliver(bound, 7).reception.images)


@pytest.mark.parametrize("designed_snr_db", [float("nan"), 101.0])
def test_an_invalid_designed_snr_is_refused(designed_snr_db):
    with pytest.raises(UsageError, match="SNR out of range"):
        deliver(analog.build(cbr=1 / 8), 10, designed_snr_db)


def test_the_designed_snr_is_an_axis_of_a_sweep(tmp_path):
    swept = scenario_from(scenario())
    assert len(swept.points()) == 8
    rows = table.read(sweep.run(swept, tmp_path / "run"))
    outages = {
        (row["system"], row["designed_snr_db"], row["snr_db"]): row["outage.numerator"] for row in rows.to_pylist()
    }
    assert [outages["digital", designed, snr] for designed, snr in ((10, 7), (10, 13), (13, 7), (13, 13))] == [
        1,
        0,
        1,
        0,
    ]
    assert table.conditions(rows)["designed_snr_db"] == [10.0, 13.0]
    assert labels.condition("designed_snr_db", 10.0) == "designed for 10 dB"
    (tmp_path / "written.yaml").write_text(to_yaml(swept))
    assert load_scenario(tmp_path / "written.yaml") == swept


def test_offsets_of_users_are_added_to_the_designed_snr():
    changes = {"sweep": {"snr_db": 7, "users": 2, "designed_snr_db": 10}, "user_snr_offsets_db": [0, 5]}
    point = scenario_from(scenario(channel="broadcast", **changes)).points()[0]
    assert [point.designed_snr_db(user) for user in (0, 1)] == [10, 15]
    assert scenario_from(scenario(sweep={"snr_db": 7})).points()[0].designed_snr_db(0) is None


@pytest.mark.parametrize(("designed", "message"), [("[]", "is empty"), ("[ten]", "must be a number of dB")])
def test_a_wrong_axis_is_refused(designed, message):
    with pytest.raises(UsageError, match=message):
        scenario_from(scenario(), [f"sweep.designed_snr_db={designed}"])


def test_send_with_a_designed_snr_saves_the_image_of_the_sweep(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_png(PHOTO.pixels, "photo.png")
    command = ["send", "photo.png", "--system", "digital", "--cbr", "1/8", "--snr", "20"]
    assert main([*command, "--designed-snr", "10", "--out", "designed.png"]) == 0
    assert "designed_snr_db 10" in capsys.readouterr().out
    assert main([*command[:-1], "10", "--out", "matched.png"]) == 0
    with Image.open("designed.png") as first, Image.open("matched.png") as second:
        assert first.tobytes() == second.tobytes()
    assert main([*command, "--designed-snr", "200"]) == 2
    assert "--designed-snr must be a number of dB" in capsys.readouterr().err
