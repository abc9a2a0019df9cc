"""A receiver that generates several pictures and keeps one: all of them with their scores."""

import streamlit as st
from semcom_demo import calls, parts

SYSTEM = st.session_state.get("candidates_system", "multimodal_generation")

st.title("Candidates")
st.write(
    "Features of the picture, and of a sentence about it, go over the air as a wave. The receiver generates several "
    "pictures from what it heard, compares each with it in features and structure, and keeps the nearest one."
)

shown = st.container()
snr_db = parts.snr_db("candidates")
photo = parts.photo("candidates")
left, right = st.columns(2)
with left:
    channel = parts.channel("candidates")
with right:
    budget = parts.budget("candidates", 1 / 48)

with shown, parts.refusals(), photo.privately(), st.spinner("Generating"):
    point = calls.point_of(SYSTEM, channel, snr_db, medium_cbr=budget)
    delivery = calls.send_photo(photo.picture, point)
    found = calls.candidates_of(delivery)
chosen = next(number for number, (_, _, kept) in enumerate(found, 1) if kept)
with shown:
    parts.gallery(
        "candidates",
        [
            (photo.picture.pixels, "sent"),
            *(
                (pixels, f"{'**CHOSEN**, ' if kept else ''}candidate {number}: score {score:.3g}")
                for number, (pixels, score, kept) in enumerate(found, 1)
            ),
        ],
        width=226,
    )
    if sentence := calls.description_of(delivery):
        st.caption(f"The sentence, of the words that CLIP finds nearest to the picture: {sentence}")
    parts.scores(
        delivery,
        [
            ("Candidates", str(len(found)), "candidates"),
            ("Chosen", f"number {chosen}", "score"),
            ("Least score", f"{found[chosen - 1][1]:.3g}", "score"),
        ],
    )
parts.made_by(
    parts.call_of(calls.send_photo, "photo", point),
    [calls.send_photo, calls.candidates_of, calls.point_of],
    parts.send_command(photo.picture, point),
    photo.picture,
)
