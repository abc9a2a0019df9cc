"""Figures: lines and legend, axis labels, bounds, confidence bands and hollow markers."""

import math

import matplotlib.figure
import pyarrow as pa
import pytest
from matplotlib.colors import to_hex

from semcom import discover
from semcom.results import means, plot, style, table_formats
from semcom.results.intervals import Estimate

# Okabe and Ito, "Color universal design", 2008
OKABE_ITO = {"#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"}
SYSTEMS = ["files", "analog", "networks", "carriers", "scenes", "bits", "limit"]
TITLES = [discover.title("system", name) for name in SYSTEMS]  # those of bundled systems differ
SNRS_DB = [0.0, 5.0, 10.0]


@pytest.fixture(scope="module")
def rows():
    """Six systems and a bound over two channels, three SNRs, four images; the first system is in outage at 0 dB."""
    made = [
        {
            "system": system,
            "channel": channel,
            "medium_cbr_budget": 0.1,
            "users": 1,
            "snr_db": snr_db,
            "repetition": 0,
            "image": str(image),
            "user": 0,
            "bound": system == "limit",
            "weights": "",
            "point": "",
            "image_file": "",
            "psnr": 20 + number + snr_db + image,
            "ms_ssim": 0.5 + 0.01 * number,
            "outage.numerator": int(system == "files" and snr_db == 0),
            "outage.denominator": int(system != "limit"),
            "message_ber.numerator": 1,
            "message_ber.denominator": 100,
        }
        for number, system in enumerate(SYSTEMS)
        for channel in ("awgn", "rayleigh")
        for snr_db in SNRS_DB
        for image in range(4)
    ]
    units = {"psnr": "dB", "ms_ssim": ""} | {
        f"{name}.{part}": "" for name in ("outage", "message_ber") for part in ("numerator", "denominator")
    }
    plain = pa.Table.from_pylist(made)
    return plain.cast(
        pa.schema(
            field.with_metadata({"unit": units[field.name]}) if field.name in units else field for field in plain.schema
        )
    )


@pytest.fixture(scope="module")
def drawing(rows, tmp_path_factory):
    """The figure object of matplotlib, captured when it is saved."""
    caught = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matplotlib.figure.Figure, "savefig", lambda self, *_, **__: caught.append(self))
        plot.figure(rows, tmp_path_factory.mktemp("run"))
    return caught[0]


def lines_of(panel) -> dict:
    return {line.get_label(): line for line in panel.get_lines() if not line.get_label().startswith("_")}


def test_axes_have_titles_and_units(drawing):
    assert [panel.get_ylabel() for panel in drawing.axes if panel.get_ylabel()] == [
        "PSNR (dB)",
        "MS-SSIM",
        "Outage probability",
        "Message BER",
    ]
    assert {panel.get_xlabel() for panel in drawing.axes[-2:]} == {"SNR, Es/N0 (dB)"}
    assert [panel.get_title() for panel in drawing.axes[:2]] == ["AWGN", "Rayleigh fading"]
    assert [panel.get_yscale() for panel in drawing.axes[::2]] == ["linear", "linear", "linear", "log"]


def test_every_system_has_one_legend_entry(drawing):
    (legend,) = drawing.legends
    entries = [text.get_text() for text in legend.get_texts()]
    assert entries == [*TITLES, "Hollow marker: outage probability above 50 %"]


@pytest.mark.parametrize("label", ["files", "AVIF behind 16QAM of rate 1/2, chosen for 8 dB less"])
def test_the_legend_is_not_cut(rows, tmp_path, monkeypatch, label):
    names = [label if name == "files" else name for name in rows["system"].to_pylist()]
    rows = rows.set_column(0, "system", pa.array(names))
    caught = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda self, *_, **__: caught.append(self))
    plot.figure(rows, tmp_path, metrics=["psnr"])
    caught[0].canvas.draw()
    within, legend = caught[0].bbox, caught[0].legends[0].get_window_extent()
    assert within.x0 <= legend.x0 < legend.x1 <= within.x1


def test_systems_differ_in_color_and_in_marker(drawing):
    """Seven lines: colors distinguishable with any color vision, and markers for gray print."""
    lines = lines_of(drawing.axes[0])
    assert list(lines) == TITLES
    colors = [to_hex(line.get_color()) for line in lines.values()]
    assert set(colors) <= OKABE_ITO
    assert len(set(colors)) == len(SYSTEMS)
    markers = [line.get_marker() for name, line in lines.items() if name != "limit"]
    assert len(set(markers)) == len(markers)
    for panel in drawing.axes[1:]:  # the same in every panel
        for name, line in lines_of(panel).items():
            assert (line.get_color(), line.get_marker()) == (lines[name].get_color(), lines[name].get_marker())


def test_more_lines_than_colors_still_differ():
    looks = style.looks({str(system): [f"{system}, {argument}" for argument in range(3)] for system in range(14)})
    assert len({(look["color"], look["marker"]) for look in looks.values()}) == 42


def test_bounds_alone_are_dashed_and_have_no_markers(drawing):
    for panel in drawing.axes:
        for name, line in lines_of(panel).items():
            assert (line.get_linestyle() == "--") == (name == "limit")
            assert (line.get_marker() in ("None", "")) == (name == "limit")


def test_lines_and_bands_match_the_table(drawing, rows):
    panel = drawing.axes[0]  # PSNR over AWGN
    for name, title, band in zip(SYSTEMS, TITLES, panel.collections, strict=True):
        found = {
            line.conditions["snr_db"]: line.estimate
            for line in means.summarize(rows, "psnr")
            if line.system == name and line.conditions["channel"] == "awgn"
        }
        line = lines_of(panel)[title]
        assert list(line.get_xdata()) == SNRS_DB
        assert list(line.get_ydata()) == [found[snr_db].mean for snr_db in SNRS_DB]
        corners = {(x, y) for x, y in band.get_paths()[0].vertices.tolist()}
        assert corners >= {(snr_db, end) for snr_db in SNRS_DB for end in (found[snr_db].low, found[snr_db].high)}
        assert to_hex(band.get_facecolor()[0]) == to_hex(line.get_color())


def test_a_single_point_has_a_bar_in_the_place_of_a_band():
    panel = matplotlib.figure.Figure().subplots()
    plot.draw_band(panel, [10.0], [Estimate(2.0, 1.0, 4.0, 8, 8)], "black", words=False)
    (bar,) = panel.collections
    assert bar.get_segments()[0].tolist() == [[10.0, 1.0], [10.0, 4.0]]


def test_the_marker_is_hollow_where_most_images_are_in_outage(drawing):
    hollow = [
        line for line in drawing.axes[0].get_lines() if line.get_markerfacecolor() == "white" and len(line.get_xdata())
    ]
    assert [list(line.get_xdata()) for line in hollow] == [[0.0]]
    assert to_hex(hollow[0].get_color()) == to_hex(lines_of(drawing.axes[0])["files"].get_color())


def test_a_bound_has_no_outage(drawing, rows):
    assert "limit" not in lines_of(drawing.axes[4])
    assert all(not math.isnan(line.estimate.low) for line in means.summarize(rows, "outage"))


def test_a_metric_that_does_not_apply_has_no_panels(rows, tmp_path, monkeypatch):
    nothing = rows
    for part in ("numerator", "denominator"):
        place = rows.schema.get_field_index(f"message_ber.{part}")
        zeros = pa.array([0] * len(rows), rows.schema.field(place).type)
        nothing = nothing.set_column(place, rows.schema.field(place), zeros)
    saved = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda self, *_, **__: saved.append(self))
    plot.figure(nothing, tmp_path, x="snr_db", metrics=["psnr", "message_ber"])
    labels = [axis.get_ylabel() for axis in saved[0].axes if axis.get_ylabel()]
    assert labels == ["PSNR (dB)"]
    assert table_formats.as_text(nothing, "message_ber") == "not applicable to these images"
