"""Energy, delay and quality of systems, for a radio, a distance and a processor."""

from pathlib import PurePath

import streamlit as st
from semcom_demo import calls, downloads, energy, errors, live, parts, photos, reproduce, shots, state
from semcom_demo.words import SYSTEM_LABELS, TOOLTIPS

from channels.propagation.path_loss import snr_db
from semcom.budget import hardware_names, load_hardware

SNR_RANGE_DB = (-20, 40)  # beyond it nothing changes
COST_SNR_DB = 10  # at which the computation is counted

parts.title(
    "Budget",
    "What one image costs a camera: energy of computation and radio, delay, and quality.",
    "The power that the antenna radiates and the distance give the signal-to-noise ratio (SNR); the amplifier consumes "
    "more.",
)

left, right = st.columns(2)
# Explained above, not by a help button, which would be one more stop of the Tab key before the slider.
power_mw = left.select_slider("Radiated power (mW)", state.POWERS_MW, **state.bound("power", 100))
distance_m = right.select_slider(
    "Distance (m)", state.DISTANCES_M, help=TOOLTIPS["distance"], **state.bound("distance", 500)
)
results = st.container()
left, right = st.columns(2)
side = left.select_slider("Image size (pixels a side)", state.SIDES, help=TOOLTIPS["size"], **state.bound("size", 128))
names = hardware_names()
hardware_name = right.selectbox(
    "Hardware",
    names,
    format_func=lambda name: energy.with_power(load_hardware(name), power_mw / 1e3).title,
    help=TOOLTIPS["hardware"],
    **state.bound("hardware", names[0], names),
)
options = calls.available_systems(["digital", "analog", "deepjscc", "carrier_image"])
systems = st.multiselect(
    "Systems to compare",
    options,
    format_func=SYSTEM_LABELS.__getitem__,
    help=TOOLTIPS["system"],
    **state.bound_list("systems", ["digital", "analog", "deepjscc"], options),
)
cbr = parts.channel_bandwidth_ratio(1 / 16)
if not systems:
    results.info("Select at least one system.")
    st.stop()

hardware = energy.with_power(load_hardware(hardware_name), power_mw / 1e3)
level = snr_db(power_mw / 1e3, float(distance_m), hardware.symbol_rate_hz.value or 1.0)
level = float(min(SNR_RANGE_DB[1], max(SNR_RANGE_DB[0], round(level))))
image = photos.square_photographs(side)[0]
photo = photos.Photo(image, f"square {side} {image.name}")
with results:
    place, progress = st.container(), live.progress_place()
points = [calls.make_point(name, "awgn", level, medium_cbr=cbr) for name in systems]
lines = []
with progress, errors.stop_on_usage_error(), st.spinner("Transmitting, and counting operations"):
    for point in points:
        name = point.system.name
        measured = energy.cost(photo, calls.make_point(name, "awgn", COST_SNR_DB, medium_cbr=cbr))
        shot = shots.transmit(photo, point)
        lines.append(energy.line(measured, shot, name, hardware))
with place:
    st.metric("SNR of the link", f"{level:g} dB", help=TOOLTIPS["link_budget"])
    energy.show_charts(lines)
    st.caption(energy.sentence(lines))
    energy.show_table(lines)
    st.caption(
        "Computation: multiplications with additions of the networks of the transmitter, and one read of each of their "
        "parameters. The work of image files, transforms and channel codes is not counted as operations: compare the "
        "processor times, measured on this computer on one thread without cached results. Channel: "
        f"{(hardware.symbol_rate_hz.value or 0) / 1e6:g} MHz."
    )
    with st.expander("Constants and their sources"):
        for constant, value in hardware.constants.items():
            st.markdown(f"* `{constant}` = {'unknown' if value.value is None else f'{value.value:g}'}: {value.source}")
downloads.show_table(
    [
        downloads.line(image.name, point, one.shot)
        | {"radiated_w": power_mw / 1e3, "distance_m": distance_m, "hardware": hardware_name}
        | {"compute_j": "" if one.compute_j is None else one.compute_j, "radio_j": one.radio_j}
        | dict(zip(("transmitter_s", "channel_s", "receiver_s"), one.seconds, strict=True))
        for point, one in zip(points, lines, strict=True)
    ]
)
reproduce.show(
    points,
    reproduce.script_of(
        calls.send_photo,
        ("from semcom.images import load", f"(photo,) = load('photos', 1, {side})"),
        "photo",
        points[0],
    ),
    [calls.send_photo, calls.make_point],
    images={"source": "photos", "count": 1, "size": side},
    command=f"semcom budget {' '.join(systems)} --size {side} --cbr {cbr!r} --hardware {PurePath(hardware_name).stem}",
    note="The columns of the rows whose names begin with tx_ and rx_ have the costs.",
)
