"""A sweep gives the same rows after interruptions, errors and extensions."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from toy import TOY

from channels import UsageError, awgn, seed_for
from semcom import cache, sweep, weights
from semcom.codecs import image_file
from semcom.images.sources import load
from semcom.link import Link
from semcom.results import table
from semcom.scenario.load import scenario_from
from semcom.sweep import transmission
from semcom.sweep.run_folder import RunFolder
from semcom.system import Sample


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "rows").iterdir()}


@pytest.fixture
def undisturbed(scenario_data, tmp_path):
    return parts(sweep.run(scenario_from(scenario_data), tmp_path / "undisturbed"))


def test_rows_are_one_for_each_image_and_user(scenario_data, tmp_path):
    rows = table.read(sweep.run(scenario_from(scenario_data), tmp_path / "out")).to_pylist()
    assert len(rows) == 2 * 2 * 3 * (1 + 2)  # repetitions, SNRs, images, users
    two = [row for row in rows if row["users"] == 2 and row["repetition"] == 0 and row["snr_db"] == 0]
    sent = {(row["user"], row["image"]) for row in two}
    assert len(sent) == 6, "each user sends each image"
    assert all(row["seconds"] > 0 for row in rows)
    assert len({row["image"] for row in rows if row["image_file"]}) == 1, "the strip shows one image"


def test_a_row_equals_a_direct_call_of_link(scenario_data, tmp_path):
    scenario_data |= {"channel": "awgn", "sweep": {"snr_db": [7]}, "repetitions": 1, "metrics": ["psnr", "cbr"]}
    rows = table.read(sweep.run(scenario_from(scenario_data), tmp_path / "out")).to_pylist()
    image = load("photos", 3, 32)[1]
    system = scenario_from(scenario_data).systems[0].entry.load()(cbr=0.125)
    delivery = Link(system, awgn.build()).deliver(Sample(image.pixels[None]), 7.0, [seed_for(0, 0, image.name, 0)])
    error = (delivery.reception.images - delivery.sample.images).square().mean()
    row = next(row for row in rows if row["image"] == image.name)
    assert row["psnr"] == pytest.approx(float(-10 * torch.log10(error)), abs=1e-4)
    assert row["cbr"] == pytest.approx(0.125)


def test_all_points_have_the_same_fading(scenario_data, tmp_path):
    """The same system with another label has the same rows."""
    scenario_data["systems"].append({"name": TOY, "label": "copy"})
    rows = table.read(sweep.run(scenario_from(scenario_data), tmp_path / "out")).to_pylist()
    where = ("snr_db", "users", "repetition", "image", "user")
    psnr = {(row["system"], *(row[name] for name in where)): row["psnr"] for row in rows}
    assert len(psnr) == len(rows)
    assert all(value == psnr["copy", *rest] for (system, *rest), value in psnr.items())
    assert len(set(psnr.values())) == len(rows) / 2, "and every repetition, image and user has its own"


def test_users_share_the_medium(scenario_data, tmp_path):
    scenario_data |= {"sweep": {"snr_db": [10], "users": [1, 2, 4]}, "metrics": ["cbr", "medium_cbr"]}
    rows = table.read(sweep.run(scenario_from(scenario_data), tmp_path / "out")).to_pylist()
    for row in rows:
        assert row["cbr"] == pytest.approx(0.125 / row["users"])
        assert row["medium_cbr"] == pytest.approx(0.125)


@pytest.mark.parametrize("workers", [2, None])
def test_workers_give_the_same_bytes_and_reuse_image_files(scenario_data, tmp_path, monkeypatch, workers):
    """Image files are encoded for the first SNR only; other SNRs and processes read them from the cache."""
    fixed = {"name": "digital", "codec": "jpeg", "adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.5}
    scenario_data["systems"].append(fixed)
    scenario_data |= {"sweep": {"snr_db": [0, 10, 20]}, "repetitions": 1}
    undisturbed = parts(sweep.run(scenario_from(scenario_data), tmp_path / "undisturbed"))
    before = {path: path.stat().st_ino for path in cache.folder().rglob("*") if path.is_file()}
    monkeypatch.setattr("semcom.sweep.workers._START_S", 1e-6)  # workers start after the first point
    monkeypatch.setattr("semcom.threads.cores", lambda: 3)
    assert parts(sweep.run(scenario_from(scenario_data), tmp_path / "out", workers)) == undisturbed
    assert before == {path: path.stat().st_ino for path in cache.folder().rglob("*") if path.is_file()}


def test_an_image_file_is_encoded_once_for_each_image_and_budget(scenario_data, tmp_path, monkeypatch):
    fitted = []

    class Search(image_file.Search):
        def run(self):
            fitted.append(self.budget_bytes)
            return super().run()

    monkeypatch.setattr(image_file, "Search", Search)
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    fixed = {"name": "digital", "codec": "jpeg", "adaptation": "fixed", "modulation": "qpsk", "code_rate": 0.5}
    scenario_data |= {"systems": [fixed], "sweep": {"snr_db": [0, 10, 20], "users": [1, 2]}, "repetitions": 2}
    sweep.run(scenario_from(scenario_data), tmp_path / "out")
    measured = 2 * 2  # the search of one image is counted and timed for each budget
    assert len(fitted) == 3 * 2 + measured, "one for each image and budget, not for each SNR, user or repetition"


def test_a_larger_sweep_reuses_the_rows_of_a_smaller_one(scenario_data, tmp_path):
    out = sweep.run(scenario_from(scenario_data, ["sweep.snr_db=[0]"]), tmp_path / "out")
    before = parts(out)
    assert before.items() < parts(sweep.run(scenario_from(scenario_data), out)).items()


@pytest.mark.parametrize("change", ["seed=1", "images.count=2", "batch=1", "toy.block=4", "sweep.snr_db=[0]"])
def test_rows_of_another_scenario_are_refused(scenario_data, tmp_path, change):
    out = sweep.run(scenario_from(scenario_data), tmp_path / "out")
    before = parts(out)
    with pytest.raises(UsageError, match="of another scenario"):
        sweep.run(scenario_from(scenario_data, [change]), out)
    assert parts(out) == before


def test_the_refusal_of_another_scenario_says_what_changed_and_both_ways_out(scenario_data, tmp_path):
    out = sweep.run(scenario_from(scenario_data, ["sweep.snr_db=[0, 10]"]), tmp_path / "out")
    with pytest.raises(UsageError) as caught:
        sweep.run(scenario_from(scenario_data, ["sweep.snr_db=[5]", "toy.block=4"]), out)
    for words in (
        "sweep.snr_db: [0, 10], now [5]",
        ".block: ",
        "choose another --out",
        f"or delete {out} and run",
    ):
        assert words in str(caught.value)
    assert "seed" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_refused(scenario_data, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write to"):
        sweep.run(scenario_from(scenario_data), tmp_path / "file" / "out")


def test_a_full_disk_leaves_complete_rows(scenario_data, undisturbed, tmp_path, monkeypatch):
    scenario, out, written = scenario_from(scenario_data), tmp_path / "out", []

    def fsync(descriptor):
        written.append(descriptor)
        if len(written) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UsageError, match="No space left on device"):
        sweep.run(scenario, out)
    monkeypatch.undo()
    assert table.read(out).num_rows > 0
    assert parts(out).items() < undisturbed.items()
    assert parts(sweep.run(scenario, out)) == undisturbed


@pytest.mark.parametrize(
    ("line", "name"),
    [("assert float(snr_db[0]) < 5", "AssertionError"), ("float(snr_db[0]) < 5 or exit(0)", "SystemExit")],
)
def test_a_failing_point_is_named_and_other_rows_are_saved(line, name, scenario_data, tmp_path):
    mine = tmp_path / "mine.py"
    text = Path(TOY).read_text()
    mine.write_text(text.replace("        budget =", f"        {line}\n        budget ="))
    scenario_data["systems"] = [{"name": str(mine), "label": "mine"}]
    with pytest.raises(sweep.PointError, match=rf"mine over rayleigh at 10 dB, 1 user.*{name}"):
        sweep.run(scenario_from(scenario_data), tmp_path / "out")
    assert {row["snr_db"] for row in table.read(tmp_path / "out").to_pylist()} == {0}


def test_a_budget_below_one_channel_use_is_refused(scenario_data, tmp_path):
    with pytest.raises(UsageError, match="raise medium_cbr"):
        sweep.run(scenario_from(scenario_data, ["images.size=1"]), tmp_path / "out")


def test_the_number_of_threads_of_the_caller_is_restored(scenario_data, tmp_path):
    before = torch.get_num_threads()
    sweep.run(scenario_from(scenario_data, [f"threads={before + 1}", "sweep.snr_db=0"]), tmp_path / "out")
    assert torch.get_num_threads() == before


def test_users_may_have_different_snrs(tmp_path):
    """Two users of a broadcast 12 dB apart: one row at its own SNR, and the higher one has the better image."""
    scenario = scenario_from(
        {
            "systems": ["analog"],
            "channel": "broadcast",
            "medium_cbr": 0.125,
            "sweep": {"snr_db": 0, "users": 2},
            "user_snr_offsets_db": [0, 12],
            "images": {"source": "photos", "count": 2, "size": 64},
            "metrics": ["psnr", "snr_realized_db"],
        }
    )
    rows = table.read(sweep.run(scenario, tmp_path)).to_pylist()
    assert [(row["user"], row["snr_db"]) for row in rows] == [(0, 0), (0, 0), (1, 12), (1, 12)]
    assert all(abs(row["snr_realized_db.numerator"] - row["snr_db"]) < 1 for row in rows)
    assert all(near["psnr"] > far["psnr"] + 3 for far, near in zip(rows[:2], rows[2:], strict=True))


# --- weights ---------------------------------------------------------------------------------------------------------

TRAINED = """
import sys
sys.path.insert(0, {folder!r})
import toy_system
from dataclasses import replace
from torch import nn
from semcom.weights import rebuild

def build(cbr: float, weights: str, block: int = 8):
    network, used = rebuild(weights, "mine", lambda: nn.Linear(2, 2))
    return replace(toy_system.build(cbr, block), weights=used)
"""


@pytest.fixture
def trained(scenario_data, tmp_path):
    """A scenario with a system that has weights, and a function that trains them again."""

    def train(seed):
        with weights.seeded(seed):
            return weights.save(tmp_path / "mine.safetensors", torch.nn.Linear(2, 2), "mine", {}, {}).id

    (tmp_path / "mine.py").write_text(TRAINED.format(folder=str(Path(TOY).parent)))
    mine = {"name": str(tmp_path / "mine.py"), "label": "mine", "weights": str(tmp_path / "mine.safetensors")}
    scenario_data |= {"systems": [mine], "repetitions": 1}
    return scenario_data, train


def test_rows_of_other_weights_are_refused(trained, tmp_path):
    data, train = trained
    first = train(1)
    out = sweep.run(scenario_from(data, ["sweep.snr_db=[0]"]), tmp_path / "out")
    before, second = parts(out), train(2)
    for overrides in ([], ["sweep.snr_db=[0]"], ["sweep.mine.block=[8, 16]"]):  # also if no point is missing
        with pytest.raises(UsageError) as raised:
            sweep.run(scenario_from(data, overrides), out)
        if "block" not in str(overrides):  # the rows are also of another scenario then
            assert f"contains rows of mine with weights {first}, but they are now {second}; choose" in str(raised.value)
        assert parts(out) == before
    assert train(1) == first
    rows = table.read(sweep.run(scenario_from(data), out))
    assert set(rows["weights"].to_pylist()) == {first}


def test_weights_that_change_during_a_run_end_it(trained, tmp_path, monkeypatch):
    data, train = trained
    first = train(1)
    write_part = RunFolder.write_part

    def then_train(*arguments):
        write_part(*arguments)
        train(2)

    monkeypatch.setattr(RunFolder, "write_part", then_train)
    with pytest.raises(UsageError, match=f"contains rows of mine with weights {first}, but they are now mine@"):
        sweep.run(
            scenario_from(data), tmp_path / "out"
        )  # with two users the budget differs, and the system is built again
    assert set(table.read(tmp_path / "out")["weights"].to_pylist()) == {first}


def test_the_whole_table_has_the_columns_of_all_systems(scenario_data, tmp_path):
    """Programs that read rows/ as one data set see the columns of its first file only."""
    pandas = pytest.importorskip("pandas")
    scenario_data |= {"systems": ["analog", "digital"], "repetitions": 1, "metrics": ["psnr"]}
    scenario_data["sweep"] = {"snr_db": [10], "digital.codec": ["webp", "jpeg"]}
    out = sweep.run(scenario_from(scenario_data), tmp_path / "out")
    read = pandas.read_parquet(out / "rows.parquet")
    assert sorted(read["digital.codec"].dropna()) == ["jpeg"] * 3 + ["webp"] * 3
    assert list(read.columns) == table.read(out).column_names
    assert len(read) == 9
    before = (out / "rows.parquet").read_bytes()
    sweep.run(scenario_from(scenario_data), out)
    assert (out / "rows.parquet").read_bytes() == before


def test_threads_build_a_system_once(scenario_data, monkeypatch):
    """As two visitors of the demo do."""
    builds, build = [], transmission.build_variant

    def slow(variant, **budget):
        builds.append(variant)
        time.sleep(0.1)  # longer than the other thread needs to begin
        return build(variant, **budget)

    monkeypatch.setattr(transmission, "build_variant", slow)
    (variant, *_) = scenario_from(scenario_data).systems
    transmission.forget()
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(transmission.build_system, [variant] * 2, [0.125] * 2)
    assert first is second
    assert builds == [variant]
