"""A file hidden in an image: it selects the patches that are sent, and the receiver recovers it from the patch mask."""

from collections.abc import Sequence
from pathlib import PurePath

import streamlit as st
from semcom_demo import calls, downloads, errors, live, parts, reproduce, shots, signals, stage, uploads
from semcom_demo.memory import Job, Memory
from semcom_demo.shots import Shot
from semcom_demo.words import TOOLTIPS

PIXELS = 384 * 384  # nine tiles, each with a message
Result = tuple[Shot, bytes | None]  # image and file received


@st.cache_resource(show_spinner=False)
def memory() -> Memory[Result]:
    """Results in memory; those of a file belong to its session."""
    return Memory("hidden_files", most=1, most_of_upload=100)


parts.title(
    "Hide a file in an image",
    "Half of the patches of the image are transmitted, and the hidden file selects which half.",
    "The receiver recovers the file from the positions of the patches, and a neural network reconstructs the missing "
    "patches.",
)

results, numbers = st.columns(parts.STAGE_AND_NUMBERS)
left, right = st.columns(2)
text = left.text_area(
    "Text to hide",
    "Meet me at the harbor at nine.",
    key="hide_text",
    help=TOOLTIPS["payload"],
    persist_state="session",
)
file = right.file_uploader(
    "Upload a small file to hide instead",
    key="hide_file",
    max_upload_size=uploads.MAX_MEGABYTES,
    help=TOOLTIPS["payload"],
)
name, payload = ("message.txt", text.encode()) if file is None else (PurePath(file.name).name, file.getvalue())
inputs = parts.link_inputs(1 / 8, PIXELS)
if not payload:
    results.info("Enter a text, or upload a file that is not empty.")
    st.stop()

photo, image, point = inputs.photo.with_secret(payload), inputs.photo.image, inputs.point("carrier_image")
with results, errors.stop_on_usage_error():
    capacity = calls.capacity_bytes(image, point)
if len(payload) > capacity:
    results.error(
        f"{name} has {len(payload)} bytes, but this image holds {capacity}: shorten it, or choose a larger image",
        icon=":material/info:",
    )
    st.stop()


def transmitted(snr_db: int) -> list[Job[Result]]:
    """Transmission of the image with the file at an SNR in dB."""
    level = inputs.point("carrier_image", snr_db)

    def compute() -> Result:
        hidden = calls.hide_file(image, payload, level)
        return shots.shot_of(hidden.delivery), hidden.payload

    return [Job(memory(), photo, level, compute)]


def received_panels(found: Sequence[Result]) -> list[stage.Panel]:
    """Panel of the image received."""
    return [parts.panel("carrier_image", found[0][0], "Image received")]


with results:
    place, progress = st.container(), live.progress_place()
transmissions = live.Live(transmitted)
((shot, received),) = transmissions.results(progress)
panels = [parts.sent_panel(inputs.photo), *received_panels([(shot, received)])]
frames = transmissions.show("stage_hide", place, progress, panels, received_panels)
with numbers:
    if received is None:
        st.error(f"{name} could not be decoded: wrong checksum. No file is delivered.")
    else:
        st.success(f"{name} received: {len(received)} bytes, checksum correct.")
        if file is None:
            st.code(received.decode(errors="replace"), None, wrap_lines=True)
        st.download_button(f"Download {name} as received", received, name, on_click="ignore")
    parts.show_metrics(
        shot,
        [
            ("Hidden file", f"{len(payload)} bytes", "payload"),
            ("Largest file that fits", f"{capacity} bytes", "capacity"),
        ],
    )
line = downloads.line(image.name, point, shot) | {"file_bytes": len(payload), "file_received": received is not None}
downloads.show_panels(panels, [line], frames)
signals.offer(photo, point, lambda image, point: calls.hide_file(image, payload, point).delivery)
imports, statements = reproduce.load_photo(image)
if file is None:
    statements += f"\npayload = {payload!r}"
else:
    imports = f"from pathlib import Path\n\n{imports}"
    statements += f"\npayload = Path({name!r}).read_bytes()"
reproduce.show(
    [point],
    reproduce.script_of(calls.hide_file, (imports, statements), "photo, payload", point),
    [calls.hide_file, calls.capacity_bytes, calls.make_point],
    sent=inputs.photo,
    command=reproduce.send_command(image, [point], more=["--payload", name, "--payload-out", f"received_{name}"]),
    metrics=("psnr", "ms_ssim", "message_success_rate"),
    note="Its hidden message is random, so that its PSNR differs slightly from that of this page.",
)
