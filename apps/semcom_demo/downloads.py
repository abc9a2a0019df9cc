"""Files of what a page shows: received images, one image with captions, an animation, and every number as CSV."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import streamlit as st
from PIL import Image

from semcom.images.animation import animation, difference_map
from semcom.images.comparison import Tile, comparison, tile
from semcom.images.files import to_tensor
from semcom.scenario.model import Point
from semcom_demo import parts, photos, shots, stage, state, words
from semcom_demo.parts import Inputs
from semcom_demo.shots import Shot
from semcom_demo.stage import Frame, Panel

_GAIN = 4.0  # of the difference map
_ACROSS = 5  # images in a row


def show(inputs: Inputs, points: Sequence[Point], results: Sequence[Shot], frames: Sequence[Frame]) -> None:
    """Offer the files of a page that transmits one image with one or several systems.

    Args:
        inputs: Inputs of the page.
        points: Operating point of each system.
        results: Result of each system.
        frames: Frames of the animation; none while they are not computed.
    """
    with st.expander("Downloads: images, captions, difference, animation, numbers"):
        with st.container(horizontal=True):
            for point, shot in zip(points, results, strict=True):
                name = point.system.name
                _button(f"Received by {words.title(name)} (PNG)", shot.png, f"received_{name}.png", "image/png")
                _button(
                    f"Difference of {words.title(name)}, {_GAIN:g} times (PNG)",
                    lambda shot=shot: difference(inputs, shot),
                    f"difference_{name}.png",
                    "image/png",
                )
            _button(
                "Side by side with captions (PNG)",
                lambda: side_by_side(inputs, points, results),
                "comparison.png",
                "image/png",
            )
            name = inputs.photo.image.name
            lines = [line(name, point, shot) for point, shot in zip(points, results, strict=True)]
            _button("Numbers (CSV)", as_csv(lines), "numbers.csv", "text/csv")
        sent = parts.sent_panel(inputs.photo)
        channel = words.CHANNEL_LABELS[inputs.channel].partition(":")[0]
        _offer_animation([replace(sent, caption=f"{sent.caption}. {channel}")], frames)


def show_panels(
    panels: Sequence[Panel], lines: Sequence[Mapping[str, object]], frames: Sequence[Frame] | None = None
) -> None:
    """Offer the files of a page whose images differ in more than their system.

    Args:
        panels: Images.
        lines: Lines of the CSV file.
        frames: Frames of the animation, whose panels take the place of the last ones; none while they are not
            computed, None without an animation.
    """
    with st.expander("Downloads: images, captions, animation, numbers"):
        with st.container(horizontal=True):
            _button("Images (ZIP of PNG files)", lambda: archive(panels), "images.zip", "application/zip")
            _button("Side by side with captions (PNG)", lambda: captioned(panels), "comparison.png", "image/png")
            _button("Numbers (CSV)", as_csv(lines), "numbers.csv", "text/csv")
        if frames is not None:
            _offer_animation(panels[: len(panels) - len(frames[0][1])] if frames else [], frames)


def _offer_animation(still: Sequence[Panel], frames: Sequence[Frame]) -> None:
    if not frames:
        st.caption("The animation can be downloaded as GIF or WebP when the images of all SNR values are computed.")
        return
    designed = state.get("designed")
    with st.container(horizontal=True):
        for kind in ("GIF", "WEBP"):
            _button(
                f"Animation ({kind})",
                lambda kind=kind: moving(still, frames, kind, designed),
                f"animation.{kind.lower()}",
                f"image/{kind.lower()}",
            )


def show_table(lines: Sequence[Mapping[str, object]]) -> None:
    """Offer the numbers of a page without images."""
    with st.expander("Download: numbers"):
        _button("Numbers (CSV)", as_csv(lines), "numbers.csv", "text/csv")


def captioned(panels: Sequence[Panel]) -> bytes:
    """PNG file of the images of a page, with their captions in the image."""
    return _as_png([_tile(panel.png, [panel.name, panel.caption]) for panel in panels])


def archive(panels: Sequence[Panel]) -> bytes:
    """ZIP file with the image of each panel, in their order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as folder:
        for number, panel in enumerate(panels, 1):
            folder.writestr(f"{number}_{re.sub(r'[^a-z0-9]+', '_', panel.name.lower())}.png", panel.png)
    return file.getvalue()


def difference(inputs: Inputs, shot: Shot) -> bytes:
    """PNG file of the difference map to the image sent."""
    received = to_tensor(Image.open(io.BytesIO(shot.png)))
    return photos.to_png(difference_map(inputs.photo.image.pixels, received, _GAIN))


def side_by_side(inputs: Inputs, points: Sequence[Point], results: Sequence[Shot]) -> bytes:
    """PNG file of the image sent and all received ones, with their captions in the image."""
    return _as_png(_tiles(inputs, points, results))


def line(image: str, point: Point, shot: Shot) -> dict[str, object]:
    """Line of a CSV file: inputs, cost and metrics of a transmission."""
    designed = point.designed_snr_db(0)
    return {
        "image": image,
        "system": point.system.name,
        "channel": point.channel.name,
        "snr_db": point.snr_db,
        "designed_snr_db": point.snr_db if designed is None else designed,
        "medium_cbr": point.medium_cbr,
        "users": point.users,
        "seed": point.seed,
        "uses": shot.uses,
        "medium_uses": shot.medium_uses,
        "outage": "" if shot.outage is None else shot.outage,
    } | {name: shot.values.get(name, "") for name in shots.METRICS}


def as_csv(lines: Sequence[Mapping[str, object]]) -> str:
    """CSV file of lines with the same columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def moving(
    still: Sequence[Panel], frames: Sequence[Frame], kind: Literal["GIF", "WEBP"], designed_snr_db: int | None = None
) -> bytes:
    """Animation over the SNR.

    Args:
        still: Images that are the same in each frame.
        frames: SNR in dB and the other images of each frame.
        kind: Format of the file.
        designed_snr_db: SNR that the transmitter assumes; None for that of the channel.
    """
    policy = "" if designed_snr_db is None else f", designed {designed_snr_db} dB"
    rows = []
    for snr_db, panels in frames:
        tiles = [_tile(panel.png, [panel.name, panel.caption]) for panel in (*still, *panels)]
        tiles[0] = replace(tiles[0], caption=(f"SNR {snr_db} dB{policy}", *tiles[0].caption))
        rows.append(tiles)
    # Frames of an animation have one size: a caption has as many lines as the longest one.
    most = max(len(one.caption) for row in rows for one in row)
    rows = [[replace(one, caption=one.caption + ("",) * (most - len(one.caption))) for one in row] for row in rows]
    return animation(rows, kind, stage.SECONDS_PER_FRAME)


def _tiles(inputs: Inputs, points: Sequence[Point], results: Sequence[Shot]) -> list[Tile]:
    """Image sent and received images, with captions of equally many lines."""
    sent = parts.sent_panel(inputs.photo)
    tiles = [_tile(sent.png, [sent.name, sent.caption, words.CHANNEL_LABELS[inputs.channel].partition(":")[0]])]
    for point, shot in zip(points, results, strict=True):
        quality = "Outage" if shot.outage else f"PSNR {shot.values['psnr']:.1f} dB"
        designed = point.designed_snr_db(0)
        policy = "" if designed is None else f", designed {designed:g} dB"
        tiles.append(_tile(shot.png, [words.title(point.system.name), f"SNR {point.snr_db:g} dB{policy}", quality]))
    return tiles


def _as_png(tiles: Sequence[Tile]) -> bytes:
    file = io.BytesIO()
    comparison([tiles[start : start + _ACROSS] for start in range(0, len(tiles), _ACROSS)]).save(file, "PNG")
    return file.getvalue()


def _tile(content: bytes, caption: Sequence[str]) -> Tile:
    return tile(to_tensor(Image.open(io.BytesIO(content)).convert("RGB")), caption)


def _button(label: str, content: object, name: str, kind: str) -> None:
    st.download_button(label, content, name, kind, on_click="ignore", key=f"download_{name}")  # type: ignore[arg-type]
