"""One picture over the air: as it was sent, as it arrives, what it cost and what it is worth."""

import streamlit as st
from semcom_demo import calls, parts
from semcom_demo.words import MEANINGS

st.title("Send a photo")
st.write("A photograph goes over simulated radio. Move the slider to make the air noisier, and see what arrives.")

shown = st.container()  # the pictures come first, the controls below them
snr_db = parts.snr_db("send")
photo = parts.photo("send")
left, middle, right = st.columns(3)
with left:
    system = parts.system("send", ["digital", "analog", "deepjscc", "carrier_image"])
with middle:
    channel = parts.channel("send")
with right:
    budget = parts.budget("send", 1 / 16)
with st.expander("More: users, seed"):
    users = st.slider("Users who share the medium", 1, 8, 1, key="send_users", help=MEANINGS["users"])
    seed = parts.seed("send")

with shown, parts.refusals(), photo.privately(), st.spinner("Sending"):
    point = calls.point_of(system, channel, snr_db, users, budget, seed)
    delivery = calls.send_photo(photo.picture, point)
    height, width = delivery.sample.size

pictures, numbers = shown.columns(parts.PAIR)
with pictures:
    parts.gallery(
        "pair_send",
        [
            (photo.picture.pixels, f"sent, {width} x {height} pixels"),
            (delivery.reception.images[0], parts.verdict(delivery)),
        ],
        width=400,
    )
with numbers:
    parts.scores(delivery)
parts.made_by(
    parts.call_of(calls.send_photo, "photo", point),
    [calls.send_photo, calls.point_of],
    parts.send_command(photo.picture, point),
    photo.picture,
)
