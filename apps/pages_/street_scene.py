"""Label-map transmission of a street scene, beside an image file at equal channel uses."""

from dataclasses import replace

import streamlit as st
from semcom_demo import calls, downloads, live, parts, photos, reproduce, scenes, signals, stage, state
from semcom_demo.memory import Job
from semcom_demo.stage import Panel
from semcom_demo.words import TOOLTIPS

from semcom.images.source_image import SourceImage

parts.title(
    "Street scene",
    "Only the class of each pixel (road, car, tree ...) is transmitted, and a neural network generates an image from "
    "this label map.",
    "A WebP file with the same number of channel uses is shown beside it. No color is transmitted: compare which "
    "objects are where.",
)

results = st.container()
with results:
    place, progress = st.container(), live.progress_place()
with progress, st.spinner("Rendering street scenes"):
    streets = {image.name: image for image in photos.street_scenes(*photos.STREET_SOURCE)}
left, middle, right = st.columns(3)
image = streets[
    left.selectbox(
        "Street scene",
        list(streets),
        help=TOOLTIPS["street"],
        **state.bound("street", next(iter(streets)), list(streets)),
    )
]
with middle:
    channel = parts.channel()
with right:
    cbr = parts.channel_bandwidth_ratio(1 / 96)
seed = parts.seed(channel)

settings = calls.scene_settings()
scene = photos.Photo(image, f"{photos.STREET_SOURCE[0]} {image.name}")


def transmitted(snr_db: int) -> list[Job[scenes.Comparison]]:
    """Transmission of the scene at an SNR in dB."""
    points = [
        parts.point(name, channel, cbr, seed, snr_db, settings=own)
        for name, own in (("scene", settings), ("digital", scenes.WEBP))
    ]
    return [scenes.job(scene, *points)]


transmissions = live.Live(transmitted)
(compared,) = transmissions.results(progress)
point = parts.point("scene", channel, cbr, seed, settings=settings)
height, width = image.pixels.shape[1:]
panels = [Panel("Image sent", f"{width} x {height} pixels", scene.png), *compared.panels()]
with results:
    quiz = st.toggle("Quiz: what is in the scene? It hides the image sent.", key="street_quiz")
    hidden = quiz and not scenes.show_quiz(image)
    road = not hidden and st.toggle("Show the road in each image", key="street_road", help=TOOLTIPS["road"])
frames: list[stage.Frame] | None = None
if road and image.labels is not None:
    panels[0] = replace(panels[0], png=photos.to_png(scenes.with_road(image.pixels, image.labels)))
    panels[2:] = [
        scenes.with_found_road(image, panels[2], compared.labels),
        scenes.with_found_road(image, panels[3], compared.webp_labels),
    ]
    with place:
        stage.show("stage_street", panels)
elif hidden:
    transmissions.show("stage_street", place, progress, panels[2:], lambda found: found[0].panels()[1:], compare=False)
else:
    frames = transmissions.show("stage_street", place, progress, panels, lambda found: found[0].panels())
with place:
    scenes.show_legend()
with results:
    if not quiz:
        scenes.show_table(image, compared)
webp_point = parts.point("digital", channel, cbr, seed, settings=scenes.WEBP)
downloads.show_panels(
    panels,
    [
        downloads.line(image.name, point, compared.shot) | scenes.columns(compared.score, compared.map_bytes),
        downloads.line(image.name, webp_point, compared.webp_shot)
        | scenes.columns(compared.webp_score, compared.webp_bytes),
    ],
    frames,
)
signals.offer(scene, point)
source, count = photos.STREET_SOURCE
reproduce.show(
    [point],
    reproduce.script_of(
        calls.send_photo,
        (
            "from semcom.images import load",
            f"street = next(image for image in load({source!r}, {count}) if image.name == {image.name!r})",
        ),
        "street",
        point,
        settings,
    ),
    [calls.send_photo, calls.label_maps, calls.make_point],
    images={"source": source, "count": count},
    command=reproduce.send_command(SourceImage(f"{image.name}.png", image.pixels), [point], settings),
    settings=settings,
    metrics=("miou", "person_presence_accuracy", "car_presence_accuracy", "psnr"),
    note="The WebP file is the system `digital` with `codec: webp`.",
)
st.download_button(f"Download {image.name}.png, the image sent", scene.png, f"{image.name}.png", on_click="ignore")
