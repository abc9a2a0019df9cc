"""Errors of generated candidates, what the selection changed, and baselines at equal channel uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from channels import UsageError
from semcom import Delivery
from semcom.scenario.model import Point
from semcom.systems.multimodal_generation.selection import CandidateErrors
from semcom_demo import calls, charts, downloads, shots
from semcom_demo.memory import Job, Memory
from semcom_demo.parts import Inputs
from semcom_demo.photos import Photo, to_png
from semcom_demo.shots import Shot
from semcom_demo.stage import Panel
from semcom_demo.words import SYSTEM_COLORS

_SYSTEM = "multimodal_generation"
BASELINES: dict[str, tuple[str, Sequence[str]]] = {
    "AVIF file": ("digital", ()),
    "Caption only": (_SYSTEM, (f"{_SYSTEM}.image_stream=none", f"{_SYSTEM}.text_stream=caption")),
    "Nearest neighbor in a gallery": (_SYSTEM, (f"{_SYSTEM}.generator=retrieval", f"{_SYSTEM}.gallery_count=500")),
}
"""Name of each baseline, its system and settings."""


LEVELS_DB = range(20, -11, -5)
"""SNRs of the frames; a generation takes more than a second."""


@dataclass(frozen=True)
class Generation:
    """What the receiver generated for one image.

    Args:
        shot: Result of the selected candidate.
        candidates: PNG file and score of each candidate.
        chosen: Index of the selected one.
        description: Sentence whose text features were sent, or "".
        errors: Image error and text error of each candidate; None if the receiver has none.
        delivery: Transmission, without the pixels of the candidates.
    """

    shot: Shot
    candidates: list[tuple[bytes, float]]
    chosen: int
    description: str
    errors: list[tuple[float, float]] | None
    delivery: Delivery

    def panels(self, system: str) -> list[Panel]:
        """Panel of each candidate; the selected one has the color of the system."""
        return [
            Panel(
                f"Candidate {number + 1}{', selected' if number == self.chosen else ''}",
                f"Score {score:.3g}",
                content,
                system if number == self.chosen else "",
            )
            for number, (content, score) in enumerate(self.candidates)
        ]


_memory: Memory[Generation] = Memory("generations", most=100, most_of_upload=50)  # about a megabyte each


def job(photo: Photo, point: Point) -> Job[Generation]:
    """Transmission of the features of an image, and generation of its candidates."""
    return Job(_memory, photo, point, lambda: _generated(calls.send_photo(photo.image, point)))


def _generated(delivery: Delivery) -> Generation:
    candidates, details = calls.candidates(delivery), delivery.reception.details
    errors = None
    if isinstance(details, CandidateErrors):
        errors = list(zip(details.image_errors[0].tolist(), details.text_errors[0].tolist(), strict=True))
    return Generation(
        shots.shot_of(delivery),
        [(to_png(pixels), score) for pixels, score, _ in candidates],
        next(number for number, (_, _, is_chosen) in enumerate(candidates) if is_chosen),
        calls.description(delivery),
        errors,
        replace(delivery, reception=replace(delivery.reception, candidates=None)),
    )


def baselines(photo: Photo, inputs: Inputs) -> list[Panel]:
    """Images that other systems deliver with as many channel uses; without those whose data set is missing."""
    panels = []
    for name, (system, settings) in BASELINES.items():
        try:
            with photo.private_cache():
                delivery = calls.send_photo(photo.image, inputs.point(system, settings=settings))
        except UsageError:
            st.caption(f"{name}: not available here, because its data set is not installed.")
            continue
        similarity = calls.metric_value("clip_image_similarity", delivery)
        shot = shots.shot_of(delivery)
        sentence = shot.sentence(system) if shot.outage else f"CLIP similarity {similarity:.2f}, {shot.uses:,} uses"
        panels.append(Panel(name, sentence, shot.png, system if system == "digital" else ""))
    return panels


def lines(image: str, point: Point, generation: Generation) -> list[dict[str, object]]:
    """Lines of a CSV file, one for each candidate; the metrics are those of the selected one."""
    shared = downloads.line(image, point, generation.shot)
    errors: Sequence[tuple[object, object]] = generation.errors or [("", "")] * len(generation.candidates)
    return [
        shared
        | {"candidate": number + 1, "selected": number == generation.chosen, "score": score}
        | {"image_error": image_error, "text_error": text_error}
        for number, ((_, score), (image_error, text_error)) in enumerate(
            zip(generation.candidates, errors, strict=True)
        )
    ]


def show_errors(generation: Generation) -> None:
    """Draw the two errors of each candidate, and state what the selection changed."""
    if generation.errors is None:
        return
    chosen, scores = generation.chosen, [score for _, score in generation.candidates]
    rows = [
        {
            "image": image,
            "text": text,
            "score": score,
            "number": str(number),
            "kind": "selected" if number == chosen + 1 else "candidate",
        }
        for number, ((image, text), score) in enumerate(zip(generation.errors, scores, strict=True), 1)
    ]
    shape = {"type": "quantitative", "scale": {"zero": False, "padding": 20}, "axis": {"tickCount": 5}}
    encoding = {
        "x": {"field": "image", "title": "Image error", **shape},
        "y": {"field": "text", "title": "Text error", **shape},
    }
    color = {
        "field": "kind",
        "type": "nominal",
        "title": None,
        "scale": {"domain": ["candidate", "selected"], "range": ["#808080", SYSTEM_COLORS[_SYSTEM]]},
        "legend": {"orient": "bottom"},
    }
    label = {"type": "text", "dx": 12, "color": "#808080"}
    charts.show(
        {
            "height": 380,
            "layer": [
                {
                    "mark": {"type": "point", "filled": True, "size": 120, "opacity": 1},
                    "encoding": {**encoding, "color": color},
                },
                {"mark": label, "encoding": {**encoding, "text": {"field": "number"}}},
            ],
        },
        rows,
    )
    first, best = scores[0], scores[chosen]
    changed = (
        "the first candidate is the selected one" if chosen == 0 else f"the score falls from {first:.3g} to {best:.3g}"
    )
    st.caption(
        "Distance of the features of each candidate from the received features, for image and text. The score weights "
        "both, relative to the typical distance of a candidate; lower is better. Compared with a receiver that takes "
        f"the first candidate, {changed}."
    )
