"""Several users, each with an image, that share one channel."""

from collections.abc import Sequence

import streamlit as st
from semcom_demo import calls, downloads, live, parts, photos, reproduce, shots, stage, state
from semcom_demo.memory import Job, Memory
from semcom_demo.photos import Photo
from semcom_demo.shots import Shot
from semcom_demo.words import ACCESS_LABELS, TOOLTIPS

SETTINGS = {"uplink": ["uplink.antennas=8"]}
FIXED_MCS = ["digital.adaptation=fixed", "digital.modulation=qpsk", "digital.code_rate=0.5"]


@st.cache_resource(show_spinner=False)
def memory() -> Memory[list[Shot]]:
    """Results in memory, shared by all visitors."""
    return Memory("users", most=200, most_of_upload=0)


parts.title(
    "Many users",
    "All users share one channel and a fixed total number of channel uses.",
    "Add users to see how the quality of each image changes.",
)

results = st.container()
users = st.slider("Number of users", 1, state.MAX_USERS, help=TOOLTIPS["users"], **state.bound("users", 4))
left, middle, right = st.columns(3)
with left:
    system = parts.system(["digital", "analog", "deepjscc"])
with middle:
    access = st.selectbox(
        "Multiple access",
        list(ACCESS_LABELS),
        format_func=ACCESS_LABELS.__getitem__,
        help=TOOLTIPS["access"],
        **state.bound("access", "awgn"),
    )
with right:
    cbr = parts.channel_bandwidth_ratio(1 / 8)
seed = parts.seed(access)

settings = [*SETTINGS.get(access, []), *(FIXED_MCS if (system, access) == ("digital", "uplink") else [])]
images = photos.square_photographs()
with results:
    place, progress = st.container(), live.progress_place()

names = [image.name for image in images]
sent = [names[0 if access == "broadcast" else row % len(names)] for row in range(users)]


def transmitted(snr_db: int) -> list[Job[list[Shot]]]:
    """Transmission of all images at an SNR in dB."""
    level = parts.point(system, access, cbr, seed, snr_db, users, settings)

    def compute() -> list[Shot]:
        delivery = calls.send_photos(images, level)
        return [shots.shot_of(delivery, row) for row in range(users)]

    return [Job(memory(), Photo(images[0], "square photographs"), level, compute)]


def received_panels(found: Sequence[list[Shot]]) -> list[stage.Panel]:
    """Panel of each user."""
    return [parts.panel(system, shot, f"User {row + 1}, {sent[row]}") for row, shot in enumerate(found[0])]


transmissions = live.Live(transmitted)
(received,) = transmissions.results(progress)
point, panels = parts.point(system, access, cbr, seed, users=users, settings=settings), received_panels([received])
frames = transmissions.show("stage_users", place, progress, panels, received_panels, compare=False)
with results:
    if access == "broadcast":
        st.caption(f"One transmission of one image, {names[0]}, reaches all users over independent channels.")
    elif users > len(names):
        st.caption(f"There are {len(names)} photographs: user {len(names) + 1} transmits the first one again.")
    parts.show_numbers(
        [
            ("Number of users", str(users), "users"),
            ("Channel uses per user", f"{received[0].uses:,}", "uses"),
            ("Channel uses in total", f"{received[0].medium_uses:,}", "medium_uses"),
            ("Mean PSNR", f"{sum(shot.values['psnr'] for shot in received) / users:.1f} dB", "mean_psnr"),
        ]
    )
    if FIXED_MCS[0] in settings:
        st.caption(
            "Superposed users interfere with each other. The image file is therefore sent with a fixed modulation and "
            "code rate: QPSK (2 bits per symbol), rate 1/2."
        )
downloads.show_panels(
    panels,
    [downloads.line(sent[row], point, shot) | {"user": row + 1} for row, shot in enumerate(received)],
    frames,
)
reproduce.show(
    [point],
    reproduce.script_of(
        calls.send_photos,
        ("from semcom.images import load", f"photos = load('photos', {photos.PHOTO_COUNT}, {photos.SIDE})"),
        "photos",
        point,
        settings,
    ),
    [calls.send_photos, calls.make_point],
    images={"source": "photos", "count": photos.PHOTO_COUNT, "size": photos.SIDE},
    settings=settings,
    note=f"Its first {users} rows are the users of this page.",
)
