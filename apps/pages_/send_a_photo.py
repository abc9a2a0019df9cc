"""One image through one channel: image sent, image received, quality and cost."""

import streamlit as st
from semcom_demo import calls, downloads, parts, reproduce, signals, state
from semcom_demo.words import TOOLTIPS

parts.title(
    "Send an image",
    "A photograph is transmitted over a simulated radio channel: move the signal-to-noise ratio (SNR) to see how the "
    "received image changes.",
    "Separate the two sliders to see a transmitter that assumes a wrong SNR.",
)

results, numbers = st.columns(parts.STAGE_AND_NUMBERS)  # filled last, shown above the inputs
system = parts.system(["digital", "analog", "deepjscc", "carrier_image"])
inputs = parts.link_inputs(1 / 16)
users = st.slider(
    "Number of users that share the channel", 1, state.MAX_USERS, help=TOOLTIPS["users"], **state.bound("users", 1)
)

with results:
    (shot,), frames = parts.show_stage("stage_send", inputs, [system], users)
with numbers:
    parts.show_metrics(shot)
point = inputs.point(system, users=users)
signals.offer(inputs.photo, point)
downloads.show(inputs, [point], [shot], frames)
reproduce.show(
    [point],
    reproduce.script_of(calls.send_photo, reproduce.load_photo(inputs.photo.image), "photo", point),
    [calls.send_photo, calls.make_point],
    sent=inputs.photo,
    command=reproduce.send_command(inputs.photo.image, [point]),
)
