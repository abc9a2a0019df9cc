"""A receiver that generates several images and selects one: all candidates with their errors, and baselines."""

from collections.abc import Sequence

import streamlit as st
from semcom_demo import calls, downloads, generation, live, parts, reproduce, signals, state
from semcom_demo.generation import Generation
from semcom_demo.memory import Job
from semcom_demo.stage import Panel
from semcom_demo.words import TOOLTIPS

SYSTEM = st.session_state.get("candidates_system", "multimodal_generation")

parts.title(
    "Generated candidates",
    "Only features of an image and of a sentence are transmitted, and the receiver generates several candidate images "
    "from them.",
    "The features are sent as analog symbols. The receiver selects the candidate whose own features are nearest to the "
    "received ones.",
)

results = st.container()
caption = st.text_input(
    "Sentence that describes the image",
    placeholder="a woman in an orange suit",
    help=TOOLTIPS["caption"],
    **state.bound("caption", ""),
)
inputs = parts.link_inputs(1 / 48)
photo = inputs.photo.with_caption(caption.strip()) if caption.strip() else inputs.photo

with results:
    place, progress = st.container(), live.progress_place()


def transmitted(snr_db: int) -> list[Job[Generation]]:
    """Transmission of the features at an SNR in dB."""
    return [generation.job(photo, inputs.point(SYSTEM, snr_db))]


transmissions = live.Live(transmitted, generation.LEVELS_DB)
(generated,) = transmissions.results(progress, "Generating")
point, others = inputs.point(SYSTEM), []
with results:
    if st.toggle("Baselines at equal channel uses", key="candidates_baselines", help=TOOLTIPS["baselines"]):
        with progress, st.spinner("Transmitting the baselines"):
            others = generation.baselines(photo, inputs)


def received_panels(found: Sequence[Generation]) -> list[Panel]:
    """Panels of the candidates and of the baselines, which are those of the last exact result."""
    return [*found[0].panels(SYSTEM), *others]


panels = [parts.sent_panel(photo), *received_panels([generated])]
frames = transmissions.show("stage_candidates", place, progress, panels, received_panels)
with results:
    sentence = generated.description
    if sentence and photo.image.caption is None:
        st.caption(
            "No sentence is given: the text features are those of the words that the small CLIP finds nearest to the "
            f"image, which are often wrong: {sentence}"
        )
    parts.show_metrics(
        generated.shot,
        [
            ("Candidates", str(len(generated.candidates)), "candidates"),
            ("Selected candidate", f"number {generated.chosen + 1}", "score"),
            ("Lowest score", f"{generated.candidates[generated.chosen][1]:.3g}", "score"),
        ],
    )
    generation.show_errors(generated)
# The baselines belong to one SNR.
downloads.show_panels(panels, generation.lines(photo.image.name, point, generated), None if others else frames)
signals.offer(photo, point, lambda image, point: generated.delivery)
reproduce.show(
    [point],
    reproduce.script_of(calls.send_photo, reproduce.load_photo(photo.image), "photo", point),
    [calls.send_photo, calls.candidates, calls.make_point],
    sent=photo,
    command=reproduce.send_command(photo.image, [point]),
    metrics=("clip_image_similarity", "psnr"),
)
