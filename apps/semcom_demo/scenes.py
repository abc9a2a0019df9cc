"""Scores of street scenes: mIoU, presence of objects, bytes, and the legend of the classes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st
import torch
from PIL import Image
from torch import Tensor

from semcom import Delivery, devices
from semcom.images.files import to_tensor
from semcom.images.source_image import SourceImage
from semcom.images.street_classes import CLASSES, PALETTE, StreetClass
from semcom.scenario.model import Point, Variant
from semcom.systems.scene.metrics import evaluated_labels
from semcom_demo import calls, shots
from semcom_demo.memory import Job, Memory
from semcom_demo.photos import Photo, to_png
from semcom_demo.shots import Shot
from semcom_demo.stage import Panel

WEBP = ["digital.codec=webp"]
SYMBOL_RATE_HZ = 1e6
_PRESENCE = {"person_presence_accuracy": "Pedestrians", "car_presence_accuracy": "Cars"}


@dataclass(frozen=True)
class Score:
    """What a segmentation network, which no training used, finds in a received image.

    Args:
        miou: Mean intersection over union of the classes; None without a true label map.
        ceiling: mIoU of the image sent.
        presence: Whether the received image shows a kind of object if and only if the scene has it, by kind.
        seconds: Run time of transmitter and receiver, under the keys "encode" and "decode".
    """

    miou: float | None
    ceiling: float | None
    presence: dict[str, bool]
    seconds: Mapping[str, float]


def score(delivery: Delivery) -> Score:
    """Score of the first row."""
    presence = {name: calls.metric_value(metric, delivery) for metric, name in _PRESENCE.items()}
    return Score(
        calls.metric_value("miou", delivery),
        calls.metric_value("miou_ceiling", delivery),
        {name: bool(value) for name, value in presence.items() if value is not None},
        delivery.seconds,
    )


@dataclass(frozen=True)
class Comparison:
    """Transmission of a scene as a label map, and as a WebP file with as many channel uses.

    Args:
        shot: Result of the label map.
        score: Its score.
        map_png: PNG file of the label map received.
        map_sentence: Size of the label map, in one sentence.
        map_bytes: Bytes of the label map.
        labels: Class of each pixel of the generated image as the evaluation network finds it, uint8 [h, w].
        webp_shot: Result of the WebP file.
        webp_score: Its score.
        webp_bytes: Bytes of the WebP file.
        webp_labels: Class of each pixel of the image of the WebP file.
    """

    shot: Shot
    score: Score
    map_png: bytes
    map_sentence: str
    map_bytes: int
    labels: Tensor
    webp_shot: Shot
    webp_score: Score
    webp_bytes: int
    webp_labels: Tensor

    def panels(self) -> list[Panel]:
        """Panels of what is received."""
        return [
            Panel("Label map received", self.map_sentence, self.map_png),
            _panel("Generated from the label map", self.shot, self.score, "scene"),
            _panel("WebP, equal channel uses", self.webp_shot, self.webp_score, "digital"),
        ]


_memory: Memory[Comparison] = Memory("scenes", most=300, most_of_upload=0)
_loaded: set[Variant] = set()  # systems that have transmitted: the first time loads their networks, which is not shown


def job(scene: Photo, point: Point, webp_point: Point) -> Job[Comparison]:
    """Transmission of a scene as a label map and as a WebP file."""
    return Job(_memory, scene, point, lambda: _compared(scene.image, point, webp_point))


def _compared(image: SourceImage, point: Point, webp_point: Point) -> Comparison:
    if point.system not in _loaded:
        calls.send_photo(image, point)
        _loaded.add(point.system)
    delivery, webp = calls.send_photo(image, point), calls.send_photo(image, webp_point)
    map_bytes, factor = int(delivery.truth["map_bytes"][0]), int(delivery.truth["downsampling"][0])
    resolution = f", at 1/{factor} of the width and height" if factor > 1 else ""
    sentence = f"{map_bytes} bytes{resolution}. Black: not decoded."
    if not map_bytes:
        sentence = "No label map was sent: even the coarsest one exceeds the available channel uses."
    _, received_map = calls.label_maps(delivery)
    return Comparison(
        shots.shot_of(delivery),
        score(delivery),
        to_png(received_map),
        sentence,
        map_bytes,
        _found_labels(delivery),
        shots.shot_of(webp),
        score(webp),
        file_bytes(webp),
        _found_labels(webp),
    )


def _found_labels(delivery: Delivery) -> Tensor:
    return evaluated_labels(devices.moved(delivery.reception.images[:1], "cpu"))[0].to(torch.uint8)


def _panel(name: str, shot: Shot, found: Score, system: str) -> Panel:
    return Panel(name, sentence(found, shot, system), shot.png, system, bool(shot.outage))


def sentence(found: Score, shot: Shot, system: str) -> str:
    """Result in one sentence."""
    if shot.outage:
        return shot.sentence(system)
    return f"mIoU {found.miou:.2f}." if found.miou is not None else shot.sentence(system)


def file_bytes(delivery: Delivery) -> int:
    """Bytes of the image file that the first row sent, padding included."""
    return int((delivery.truth["bits"][0] <= 1).sum()) // 8


def columns(found: Score, size_bytes: int) -> dict[str, object]:
    """Columns of a CSV file: score and bytes of a transmission."""
    miou = "" if found.miou is None else found.miou
    presence = {name: found.presence.get(kind, "") for name, kind in _PRESENCE.items()}
    return {"miou": miou, **presence, "bytes": size_bytes}


def show_table(image: SourceImage, compared: Comparison) -> None:
    """Show a table of both transmissions: score, bytes, cost and run time."""
    rows = [
        ("Label map", compared.score, compared.shot, compared.map_bytes),
        ("WebP", compared.webp_score, compared.webp_shot, compared.webp_bytes),
    ]
    correct = {True: "correct", False: "wrong", None: "none"}
    head = ["", *(name for name, *_ in rows)]
    lines = [head, ["---"] * len(head)]
    lines += [["mIoU", *("none" if found.miou is None else f"{found.miou:.2f}" for _, found, _, _ in rows)]]
    lines += [[kind, *(correct[found.presence.get(kind)] for _, found, _, _ in rows)] for kind in _PRESENCE.values()]
    lines += [["PSNR", *(f"{shot.values['psnr']:.1f} dB" for _, _, shot, _ in rows)]]
    lines += [["Size", *(f"{size_bytes:,} bytes" for *_, size_bytes in rows)]]
    lines += [["Compression ratio", *(_ratio(image, size_bytes) for *_, size_bytes in rows)]]
    lines += [["Channel uses", *(f"{shot.uses:,}" for _, _, shot, _ in rows)]]
    lines += [["Transmitter run time", *(f"{1000 * found.seconds['encode']:.0f} ms" for _, found, _, _ in rows)]]
    lines += [["Channel time", *(f"{1000 * shot.medium_uses / SYMBOL_RATE_HZ:.2f} ms" for _, _, shot, _ in rows)]]
    lines += [["Receiver run time", *(f"{1000 * found.seconds['decode']:.0f} ms" for _, found, _, _ in rows)]]
    st.markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))
    ceiling = rows[0][1].ceiling
    if ceiling is not None:
        st.caption(
            "Mean intersection over union (mIoU) and the presence of pedestrians and cars are measured by a "
            f"segmentation network that no training used. It has an mIoU of {ceiling:.2f} on the image sent. PSNR "
            "compares colors, which a label map does not convey."
        )
    st.caption(
        "Run time on this computer of the transmitter (segmentation or image file) and the receiver (generation or "
        f"image file), and duration of the channel uses at {SYMBOL_RATE_HZ / 1e6:g} MHz. An image file that an earlier "
        "transmission has fitted is not encoded again."
    )


def _ratio(image: SourceImage, size_bytes: int) -> str:
    return f"{image.pixels.numel() / size_bytes:.0f}" if size_bytes else "none"


def questions(image: SourceImage) -> list[tuple[str, tuple[str, ...], str]]:
    """Questions about a scene, their options and the right answers, from its true label map."""
    labels = image.labels
    if labels is None:
        return []
    least = labels.numel() / 1600  # as few pixels as a distant pedestrian has
    found = [
        (f"Is there a {kind.name.lower()}?", ("yes", "no"), "yes" if int((labels == kind).sum()) >= least else "no")
        for kind in (StreetClass.BICYCLIST, StreetClass.PEDESTRIAN, StreetClass.CAR)
    ]
    thirds = [int((part == StreetClass.ROAD).sum()) for part in labels.tensor_split(3, dim=1)]
    places = ("left", "middle", "right")
    return [*found, ("Where is most of the road?", places, places[thirds.index(max(thirds))])]


def with_road(pixels: Tensor, labels: Tensor) -> Tensor:
    """An image with its road in yellow.

    Args:
        pixels: Image, float32 [3, h, w].
        labels: Class of each pixel, int64 [h, w].
    """
    yellow = torch.tensor([0.94, 0.89, 0.26])[:, None, None]
    return torch.where(labels == StreetClass.ROAD, 0.5 * pixels + 0.5 * yellow, pixels)


def road_iou(labels: Tensor, truth: Tensor) -> float | None:
    """Intersection over union of the road in two label maps; None without a road."""
    found, there = labels == StreetClass.ROAD, truth == StreetClass.ROAD
    union = int((found | there).sum())
    return int((found & there).sum()) / union if union else None


def with_found_road(image: SourceImage, panel: Panel, labels: Tensor) -> Panel:
    """A panel of a received image with the road that the evaluation network finds in it.

    Args:
        image: Image sent.
        panel: Panel of the received image.
        labels: Class of each pixel of the received image.
    """
    received = to_tensor(Image.open(io.BytesIO(panel.png)).convert("RGB"))
    overlap = None if image.labels is None else road_iou(labels, image.labels)
    note = "" if overlap is None else f" IoU of the road {overlap:.2f}."
    return replace(panel, caption=f"{panel.caption}{note}", png=to_png(with_road(received, labels)))


def show_quiz(image: SourceImage) -> bool:
    """Ask what the received images show, and compare the answers with the scene; return whether all are given."""
    asked = questions(image)
    answers = []
    with st.container(horizontal=True):
        for question, options, _ in asked:
            answers.append(
                st.radio(question, options, index=None, horizontal=True, key=f"quiz {image.name} {question}")
            )
    given = [(answer, right, question) for answer, (question, _, right) in zip(answers, asked, strict=True) if answer]
    answered = bool(asked) and len(given) == len(asked)
    if answered:
        wrong = [f"{question} {right}" for answer, right, question in given if answer != right]
        correct = len(given) - len(wrong)
        hint = f" The scene: {'; '.join(wrong)}." if wrong else ""
        st.info(f"{correct} of {len(given)} answers are correct.{hint} Show the road to compare its place.")
    return answered


def show_legend() -> None:
    """Show the colors of the classes."""
    entries = [
        f'<span style="white-space: nowrap; margin-right: 1.2em">'
        f'<span style="background:rgb{color};border:1px solid;display:inline-block;width:0.8em;height:0.8em" '
        f'aria-hidden="true"></span> {name}</span>'
        for name, color in zip(CLASSES, PALETTE, strict=False)
    ]
    st.html(f'<div style="font-size:0.875rem;line-height:1.7">{" ".join(entries)}</div>')
