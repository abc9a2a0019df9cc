"""Code that repeats what a page shows: a scenario with its images, a command, and a Python script."""

from __future__ import annotations

import inspect
import io
import shlex
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any

import streamlit as st

from semcom.images.source_image import SourceImage
from semcom.scenario.document import dump, parse_value
from semcom.scenario.model import Point
from semcom_demo import calls
from semcom_demo.photos import Photo

_FOLDER = "images"


def show(
    points: Sequence[Point],
    script: str,
    functions: Sequence[Callable[..., object]],
    *,
    images: dict[str, Any] | None = None,
    sent: Photo | None = None,
    command: str = "",
    settings: Sequence[str] = (),
    metrics: Sequence[str] = ("psnr", "ms_ssim"),
    note: str = "",
) -> None:
    """Show the scenario, the command and the script of a page.

    Args:
        points: Operating point of each system.
        script: Python script with the same result.
        functions: Functions of `calls` whose source is shown.
        images: Key `images` of the scenario; None for a folder with the image sent.
        sent: Image sent, to be downloaded with the scenario; None if the scenario has a built-in image source.
        command: `semcom send` command with the same images, or "".
        settings: Settings that the points were made with.
        metrics: Metrics of the scenario.
        note: Sentence on a difference between the page and the scenario.
    """
    text = scenario_text(points, images or {"source": f"folder:{_FOLDER}"}, settings, metrics)
    show_scenario(text, f"A run of this scenario gives the numbers above, one row per image. {note}".strip(), sent)
    show_script(script, functions, command)
    if sent is not None:
        name = sent.image.name
        st.download_button(f"Download {name}, the image sent", sent.png, name, "image/png", on_click="ignore")


def show_scenario(text: str, note: str, sent: Photo | None = None) -> None:
    """Show a scenario and the command that runs it.

    Args:
        text: Scenario.
        note: Sentence on the results of a run.
        sent: Image sent, to be downloaded with the scenario; None if the scenario has a built-in image source.
    """
    with st.expander("Open as scenario: YAML and command"):
        st.caption(note)
        st.code(text, "yaml", wrap_lines=True)
        if sent is None:
            st.code("semcom run scenario.yaml --out runs/scenario", "bash", wrap_lines=True)
            st.download_button("Download scenario.yaml", text, "scenario.yaml", on_click="ignore")
        else:
            st.code(
                "unzip scenario.zip -d scenario\nsemcom run scenario/scenario.yaml --out runs/scenario",
                "bash",
                wrap_lines=True,
            )
            st.download_button(
                "Download scenario.zip: scenario and image",
                partial(archive, text, sent),
                "scenario.zip",
                "application/zip",
                on_click="ignore",
            )


def show_systems(photo: Photo, points: Sequence[Point]) -> None:
    """Show the scenario, the command and the script of a page that sends one image with several systems."""
    show(
        points,
        script_of_systems(photo.image, points),
        [calls.send_photo, calls.make_point],
        sent=photo,
        command=send_command(photo.image, points),
    )


def show_script(script: str, functions: Sequence[Callable[..., object]], command: str) -> None:
    """Show a command, a Python script and the source of its functions."""
    with st.expander("Reproduce: command, Python script, source code"):
        if command:
            st.caption("Equivalent command")
            st.code(command, "bash", wrap_lines=True)
        st.caption("Python script, to be run in the folder apps/ of semcom. It reads files from the same folder.")
        st.code(script, "python", wrap_lines=True)
        st.caption("Source code of the functions")
        st.code("\n\n".join(inspect.getsource(function) for function in functions), "python", wrap_lines=True)


def scenario_text(
    points: Sequence[Point],
    images: dict[str, Any],
    settings: Sequence[str] = (),
    metrics: Sequence[str] = ("psnr", "ms_ssim"),
) -> str:
    """Scenario whose first rows are the transmissions of the points, which differ in their systems only."""
    point = points[0]
    designed = point.designed_snr_db(0)
    scenario = {
        "title": "Scenario of the demo",
        "systems": [_variant(one.system.name, settings) for one in points],
        "channel": [_variant(point.channel.name, settings)],
        "medium_cbr": point.medium_cbr,
        "sweep": {"snr_db": [point.snr_db], "users": [point.users]}
        | ({} if designed is None else {"designed_snr_db": [designed]}),
        "images": images,
        "metrics": list(metrics),
        "seed": point.seed,
    }
    return dump(scenario)


def archive(text: str, sent: Photo) -> bytes:
    """Content of a ZIP file with a scenario and its image."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as folder:
        folder.writestr("scenario.yaml", text)
        folder.writestr(f"{_FOLDER}/{PurePath(sent.image.name).name}", sent.png)
    return file.getvalue()


def _variant(name: str, settings: Sequence[str]) -> dict[str, Any]:
    """Name of a system or channel with the arguments that settings such as "uplink.antennas=8" give it."""
    pairs = [setting.split("=", 1) for setting in settings if setting.startswith(f"{name}.")]
    return {"name": name} | {key.partition(".")[2]: parse_value(value) for key, value in pairs}


def script_of(
    function: Callable[..., object], setup: tuple[str, str], arguments: str, point: Point, settings: Sequence[str] = ()
) -> str:
    """Python script that repeats a call of a function of `calls`.

    Args:
        function: Function of `calls`, whose last argument is the point.
        setup: Import statements, and statements that define the other arguments.
        arguments: The other arguments, as written in the call.
        point: Operating point.
        settings: Settings that the point was made with.
    """
    imports, statements = setup
    names = ", ".join(sorted(["make_point", function.__name__]))
    call = f"result = {function.__name__}({arguments}, {point_call(point, settings)})"
    return f"{imports}\nfrom semcom_demo.calls import {names}\n\n{statements}\n{call}"


def script_of_systems(image: SourceImage, points: Sequence[Point]) -> str:
    """Python script that repeats the transmission of one image with several systems."""
    imports, statements = load_photo(image)
    names = [point.system.name for point in points]
    call = point_call(points[0]).replace(f"system={names[0]!r}", "system=system")
    return (
        f"{imports}\nfrom semcom_demo.calls import make_point, send_photo\n\n{statements}\n"
        f"results = {{system: send_photo(photo, {call}) for system in {names!r}}}"
    )


def point_call(point: Point, settings: Sequence[str] = ()) -> str:
    """Call of `make_point` that gives a point."""
    arguments = [f"{name}={value!r}" for name, value in calls.point_arguments(point).items()]
    arguments += [f"settings={list(settings)!r}"] if settings else []
    return f"make_point({', '.join(arguments)})"


def load_photo(image: SourceImage) -> tuple[str, str]:
    """Import statement, and statement that reads the downloaded image."""
    caption = "" if image.caption is None else f", {image.caption!r}"
    return (
        "from semcom.images import SourceImage, open_image, to_tensor",
        f"photo = SourceImage({image.name!r}, to_tensor(open_image({image.name!r})){caption})",
    )


def send_command(
    sent: SourceImage, points: Sequence[Point], settings: Sequence[str] = (), more: Sequence[str] = ()
) -> str:
    """`semcom send` command that gives the same images; several systems write one folder."""
    point, designed = points[0], points[0].designed_snr_db(0)
    words = ["semcom", "send", sent.name]
    words += [word for one in points for word in ("--system", one.system.name)]
    words += ["--channel", point.channel.name, "--snr", f"{point.snr_db:g}"]
    words += [] if designed is None else ["--designed-snr", f"{designed:g}"]
    words += ["--cbr", repr(point.medium_cbr)]
    words += ["--users", str(point.users)] if point.users > 1 else []
    words += ["--seed", str(point.seed)] if point.seed else []
    words += ["--caption", sent.caption] if sent.caption is not None else []
    words += [word for setting in settings for word in ("--set", setting)]
    return shlex.join([*words, *more, "--out", "received.png" if len(points) == 1 else "received"])
