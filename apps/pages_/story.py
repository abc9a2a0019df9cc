"""The first page: a story of five steps, each with one gesture."""

import streamlit as st
from semcom_demo import calls, downloads, parts, photos, reproduce, scroll, state, story

parts.title(
    "Images over a radio channel",
    "A photograph is sent over a simulated radio channel, in five steps. The signal-to-noise ratio (SNR) says how good "
    "the channel is, PSNR and MS-SSIM how similar the received image is to the one sent: higher is better.",
)


def start_step(following: int | None = None) -> None:
    """Set the inputs of a step, by default of the chosen one."""
    if following is None and state.is_partial_run():
        return
    number = st.session_state["story_step"] if following is None else following
    step = story.STEPS[number - 1]
    st.session_state["inputs"] = {"step": number, **step.inputs}


number = state.get("step", 1)
if "step" not in st.session_state.setdefault("inputs", {}):
    st.session_state["inputs"] = {**story.STEPS[0].inputs, **st.session_state["inputs"], "step": 1}
    state.write_address()
step = story.STEPS[number - 1]
st.session_state["story_step"] = number
results = st.container()
with results:
    with st.container(horizontal=True, vertical_alignment="center"):  # above the images, which the button changes
        st.markdown(f"**{number}. {step.task}**", width="content")
        if "channel" in step.inputs:
            st.button("Another realization", on_click=parts.next_seed)
    scroll.to_top_after(number)  # before the images are computed
systems = calls.available_systems(step.systems)
inputs = parts.Inputs(photos.selected(), state.get("channel", "awgn"), state.get("cbr", 1 / 16), state.get("seed", 0))
with results:
    shots, frames = parts.show_stage("stage_story", inputs, systems)
    st.write(step.result)
    if number < len(story.STEPS):
        label = f"Next step: {number + 1}. {story.STEPS[number].title}"
        st.button(label, on_click=start_step, args=(number + 1,), type="primary")
st.radio(
    "Step",
    range(1, len(story.STEPS) + 1),
    format_func=lambda number: f"{number}. {story.STEPS[number - 1].title}",
    key="story_step",
    on_change=start_step,
    horizontal=True,
)
st.page_link(
    "pages_/compare.py",
    label="Continue on the page Compare systems",
    query_params=state.query(systems=tuple(systems), **{name: state.get(name) for name in step.inputs}),
)
for kind, path in (("Notebook", step.notebook), ("Documentation", step.document)):
    if text := story.text_of(path):
        with st.expander(f"{kind}: {path}"):
            st.markdown(text)
points = [inputs.point(name) for name in systems]
downloads.show(inputs, points, shots, frames)
reproduce.show_systems(inputs.photo, points)
