"""Systems at equal channel uses: what each delivers at one SNR, and the curve over all, drawn point by point."""

import streamlit as st
from semcom_demo import calls, curves, parts
from semcom_demo.words import MEANINGS, SYSTEMS

SNRS_DB = range(-4, 25, 4)

st.title("Compare")
st.write("The same picture, noise and number of channel uses for each system.")

shown = st.container()
snr_db = parts.snr_db("compare")
photo = parts.photo("compare")
systems = st.multiselect(
    "Systems",
    calls.systems(["digital", "analog", "deepjscc", "carrier_image", "capacity"]),
    ["digital", "analog", "deepjscc", "capacity"],
    key="compare_systems",
    format_func=SYSTEMS.__getitem__,
    help=f"{MEANINGS['system']}\n\n{MEANINGS['bound']}",
)
left, right = st.columns(2)
with left:
    channel = parts.channel("compare")
with right:
    budget = parts.budget("compare")
if not systems:
    shown.info("Choose one or more systems.")
    st.stop()

with shown, parts.refusals(), photo.privately(), st.spinner("Sending"):
    points = {name: calls.point_of(name, channel, snr_db, medium_cbr=budget) for name in systems}
    deliveries = {name: calls.send_photo(photo.picture, point) for name, point in points.items()}
with shown:
    parts.gallery(
        "compare",
        [
            (photo.picture.pixels, "sent"),
            *((found.reception.images[0], f"{name}: {parts.verdict(found)}") for name, found in deliveries.items()),
        ],
        width=226,
    )

metric = st.segmented_control(
    "Curve", ["psnr", "ms_ssim"], default="psnr", key="compare_metric", format_func=curves.NAMES.__getitem__,
    help=f"{MEANINGS['psnr']} {MEANINGS['ms_ssim']}",
) or "psnr"  # fmt: skip
place = st.empty()
parts.made_by(
    f"for system in {systems!r}:\n    " + parts.call_of(calls.send_photo, "photo", points[systems[0]]).replace(
        f"system={systems[0]!r}", "system=system"
    ),
    [calls.send_photo, calls.point_of],
    "\n".join(parts.send_command(photo.picture, point) for point in points.values()),
    photo.picture,
)  # fmt: skip

known = st.session_state.setdefault("compare_known", {})
if len(known) > 2000:
    known.clear()
rows = []
for level in SNRS_DB:
    for name in systems:
        point = calls.point_of(name, channel, float(level), medium_cbr=budget)
        if (photo.key, point.key) not in known:
            with parts.refusals(), photo.privately():
                delivery = calls.send_photo(photo.picture, point)
            known[photo.key, point.key] = {name: calls.score(name, delivery) for name in curves.NAMES}
        rows.append({"system": name, "snr_db": level, "value": known[photo.key, point.key][metric]})
    curves.draw(place, rows, metric, systems, snr_db, (SNRS_DB[0], SNRS_DB[-1]))
