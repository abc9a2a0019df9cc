"""Recognition of the modulation of received symbols: likelihoods and a network, beside their bound."""

import math

import streamlit as st
from semcom_demo import downloads, parts, recognition, reproduce, signals, state
from semcom_demo.words import TOOLTIPS

from channels.rng import seed_for
from semcom.recognition.recording import CANDIDATES

parts.title(
    "Recognize a modulation",
    "Three recognizers decide which modulation the received symbols have.",
    "Bayes' rule over the likelihoods makes the fewest errors: with gain and noise known it is a bound for every "
    "recognizer. A network is beside it.",
)

left, right = st.columns(2)
# First, and explained below the charts instead of by a help button: few stops of the Tab key before the slider.
snr_db = left.slider("SNR (dB)", *state.SNR_RANGE_DB, **state.bound("snr", 10))
name = right.selectbox(
    "Modulation",
    CANDIDATES,
    format_func=recognition.NAMES.__getitem__,
    help=TOOLTIPS["modulation"],
    **state.bound("modulation", "16qam", CANDIDATES),
)
results = st.container()
uses = st.select_slider("Symbols of a frame", state.FRAME_LENGTHS, help=TOOLTIPS["frame"], **state.bound("frame", 256))
seed = parts.seed("awgn")

row = seed_for(seed, "frame")
angle = 2 * math.pi * (row % 360) / 360
symbols = recognition.frames(name, uses, snr_db, [row], angle)
posteriors = recognition.posteriors(symbols, snr_db, angle)
with results:
    left, right = st.columns(2)
    with left:
        signals.show_received(symbols[0])
    with right:
        recognition.show_posteriors(posteriors)
    decisions = {
        recognizer: recognition.NAMES[CANDIDATES[int(found[0].argmax())]] for recognizer, found in posteriors.items()
    }
    st.caption(
        f"Transmitted: {recognition.NAMES[name]}. Decisions: "
        + "; ".join(f"{recognizer}: {decision}" for recognizer, decision in decisions.items())
        + ". The carrier phase of the frame is random. SNR: mean symbol energy over noise energy per symbol, Es/N0."
    )
    if st.toggle("Accuracy at this SNR", key="recognition_accuracy"):
        with st.spinner("Recognizing more frames"):
            recognition.show_accuracy(recognition.accuracy(uses, snr_db, seed))
        st.caption(
            f"Share of correct decisions over {recognition.FRAMES} frames of each of {len(CANDIDATES)} modulations. "
            "The two recognizers below the bound know neither gain, phase nor noise."
        )
downloads.show_table(
    [
        {"modulation": name, "snr_db": snr_db, "uses": uses, "seed": seed, "recognizer": recognizer}
        | dict(zip(CANDIDATES, found[0].tolist(), strict=True))
        for recognizer, found in posteriors.items()
    ]
)
reproduce.show_scenario(
    recognition.scenario(uses, snr_db, seed),
    "A run of this scenario measures the same recognizers with its own frames.",
)
reproduce.show_script(
    "from semcom_demo.recognition import frames, posteriors\n\n"
    f"symbols = frames({name!r}, {uses}, {snr_db}, [{row}], {angle!r})\n"
    f"result = posteriors(symbols, {snr_db}, {angle!r})",
    [recognition.posteriors, recognition.frames],
    "semcom run scenario.yaml --out runs/scenario",
)
