"""A file travels in the choice of the patches of a photograph that are sent: payload in, payload out."""

import streamlit as st
from semcom_demo import calls, parts, uploads
from semcom_demo.words import MEANINGS

PIXELS = 384 * 384  # nine tiles, each with a message

st.title("Hide a file in a photo")
st.write(
    "Half of the patches of a photograph are sent, and which half spells a file. The receiver reads the file from the "
    "choice, and paints the patches that are missing."
)

shown = st.container()
snr_db = parts.snr_db("hide")
left, right = st.columns(2)
text = left.text_area("A message", "Meet me at the harbour at nine.", key="hide_text", help=MEANINGS["payload"])
file = right.file_uploader(
    "or a small file", key="hide_file", max_upload_size=uploads.MOST_MEGABYTES, help=MEANINGS["payload"]
)
name, payload = ("message.txt", text.encode()) if file is None else (file.name, file.getvalue())
photo = parts.photo("hide", PIXELS)
left, right = st.columns(2)
with left:
    channel = parts.channel("hide")
with right:
    budget = parts.budget("hide", 1 / 8)
if not payload:
    shown.info("Write a message, or choose a file that is not empty.")
    st.stop()

with shown, parts.refusals(), photo.privately(), st.spinner("Sending"):
    point = calls.point_of("carrier_image", channel, snr_db, medium_cbr=budget)
    room = calls.capacity_bytes(photo.picture, point)
    hidden = calls.hide_file(photo.picture, payload, point)
pictures, numbers = shown.columns(parts.PAIR)
with pictures:
    parts.gallery(
        "pair_hide",
        [
            (photo.picture.pixels, f"sent, and in it {name}, {len(payload)} bytes"),
            (hidden.delivery.reception.images[0], parts.verdict(hidden.delivery)),
        ],
        width=400,
    )
with numbers:
    if hidden.payload is None:
        st.error(f"{name} did not arrive: its checksum does not hold, and nothing is given in its place.")
    else:
        st.success(f"{name} arrived: {len(hidden.payload)} bytes, checksum holds.")
        if file is None:
            st.code(hidden.payload.decode(errors="replace"), None, wrap_lines=True)
        st.download_button(f"Save {name} as it arrived", hidden.payload, name, on_click="ignore")
    parts.scores(hidden.delivery, [("This photograph carries at most", f"{room} bytes", "capacity")])
parts.made_by(
    parts.call_of(calls.hide_file, f"photo, {'payload' if file else repr(payload)}", point),
    [calls.hide_file, calls.capacity_bytes, calls.point_of],
    parts.send_command(photo.picture, point, more=["--payload", name, "--payload-out", f"received_{name}"]),
    photo.picture,
)
