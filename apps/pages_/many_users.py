"""One picture a user, as more and more users share a medium."""

import streamlit as st
from semcom_demo import calls, parts
from semcom_demo.words import MEANINGS

ACCESS = {
    "awgn": "by turns, noise only",
    "rayleigh": "by turns, fading",
    "uplink": "superposed, 8 antennas",
    "broadcast": "broadcast, one picture to all",
}
SETTINGS = {"uplink": ["uplink.antennas=8"]}
FIXED = ["digital.adaptation=fixed", "digital.modulation=qpsk", "digital.code_rate=0.5"]

st.title("Many users")
st.write("Each user has a picture, all share one medium and one number of channel uses. Add users and see who pays.")

shown = st.container()
users = st.slider("Users", 1, 8, 4, key="users_count", help=MEANINGS["users"])
snr_db = parts.snr_db("users")
left, middle, right = st.columns(3)
with left:
    system = parts.system("users", ["digital", "analog", "deepjscc"])
with middle:
    access = st.selectbox(
        "How they share", list(ACCESS), key="users_access", format_func=ACCESS.__getitem__, help=MEANINGS["access"]
    )
with right:
    budget = parts.budget("users", 1 / 8)

settings = [*SETTINGS.get(access, []), *(FIXED if (system, access) == ("digital", "uplink") else [])]
with shown, parts.refusals(), st.spinner("Sending"):
    point = calls.point_of(system, access, snr_db, users, budget, settings=settings)
    delivery = calls.send_photos(parts.squares(), point)
scores = [calls.score("psnr", delivery, row) or 0.0 for row in range(users)]
with shown:
    parts.gallery(
        "users",
        [
            (pixels, f"user {row + 1}: {parts.verdict(delivery, row)}")
            for row, pixels in enumerate(delivery.reception.images)
        ],
        width=226,
    )
    parts.numbers(
        [
            ("Users", str(users), "users"),
            ("Uses of each", f"{int(delivery.uses[0]):,}", "uses"),
            ("Uses of the medium", f"{int(delivery.medium_uses[0]):,}", "medium_uses"),
            ("Mean PSNR", f"{sum(scores) / users:.1f} dB", "mean_psnr"),
        ]
    )
    if FIXED[0] in settings:
        st.caption(
            "Superposed users meet each other's interference: the file is sent with a fixed scheme, two bits a symbol "
            "(QPSK), of which every second is redundancy (rate 1/2)."
        )
parts.made_by(
    parts.call_of(calls.send_photos, f"load('photos', {parts.EVERYDAY}, {parts.SIDE})", point, settings),
    [calls.send_photos, calls.point_of],
    parts.run_command(point, settings),
)
