"""A street as the classes of its pixels: what is sent, what is painted from it, and a photograph of as many bytes."""

import streamlit as st
from semcom_demo import calls, parts

from semcom.images import Picture
from semcom.systems.scene.classes import CLASSES, PALETTE

st.title("Street scene")
st.write(
    "Only the class of each pixel is sent (road, car, tree ...), and a network paints a street from it. Beside it, the "
    "picture as an ordinary file (WebP) of as many bytes, as if the air had lost nothing of it. No colour was sent: "
    "what counts is what is where."
)

streets = {picture.name: picture for picture in parts.streets(*parts.STREETS)}
shown = st.container()
snr_db = parts.snr_db("street", 12)
left, middle, right = st.columns(3)
picture = streets[left.selectbox("Street", list(streets), key="street_name")]
with middle:
    channel = parts.channel("street")
with right:
    budget = parts.budget("street", 1 / 48)

settings = calls.scene_settings()
with shown, parts.refusals(), st.spinner("Sending"):
    point = calls.point_of("scene", channel, snr_db, medium_cbr=budget, settings=settings)
    delivery = calls.send_photo(picture, point)
    sent_map, received_map = calls.maps_of(delivery)
    webp, size_bytes = calls.webp_at_equal_bytes(picture, delivery)

with shown:
    coarser = 2 ** int(delivery.truth["coarseness"][0])
    shrunk = f", shrunk {coarser} times" if coarser > 1 else ""
    pictures = [
        (picture.pixels, "the street"),
        (sent_map, f"map as sent, {size_bytes} bytes{shrunk}" if size_bytes else "no map is small enough to be sent"),
        (received_map, "map as received; black: lost"),
        (delivery.reception.images[0], f"painted: {parts.verdict(delivery)}"),
    ]
    if webp is not None:
        pictures.append((webp, f"WebP file, {size_bytes} bytes"))
    parts.gallery("street", pictures, width=226)
    keys = [
        f'<span style="white-space: nowrap"><span style="color:rgb{colour}">&#9632;</span> {name}</span>'
        for name, colour in zip(CLASSES, PALETTE, strict=False)
    ]
    st.html(f'<div style="line-height:1.9">{" &emsp; ".join(keys)}</div>')
    smaller = f"{picture.pixels.numel() / size_bytes:.0f} times" if size_bytes else "none"
    parts.scores(
        delivery,
        [
            ("Label map", f"{size_bytes} bytes", "label_map"),
            ("Smaller than raw by", smaller, "compression_ratio"),
        ],
    )
parts.made_by(
    parts.call_of(calls.send_photo, "street", point, settings),
    [calls.send_photo, calls.maps_of, calls.webp_at_equal_bytes, calls.point_of],
    parts.send_command(Picture(f"{picture.name}.png", picture.pixels), point, settings),
)
