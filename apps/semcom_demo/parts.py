"""Pieces that pages share: choosing a picture and a link, showing pictures and numbers, and how they were made."""

from __future__ import annotations

import hashlib
import inspect
import io
import shlex
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import streamlit as st
import yaml
from torch import Tensor

from channels import UsageError
from semcom import Delivery
from semcom.cache import kept_in
from semcom.images import Picture, load, to_bytes, to_pil, to_tensor
from semcom.scenario import Point
from semcom_demo import calls, uploads
from semcom_demo.words import BUDGETS, CHANNELS, MEANINGS, SYSTEMS

PIXELS = 256 * 192  # of a photograph: what a slider can follow on two cores
SIDE = 192  # of the square photographs of many users
STREETS = ("streets:test", 12)  # drawn scenes that no network was trained on
EVERYDAY = 7  # photographs; those after them are of microscopes and telescopes

STYLE = """<style>
[data-testid="stMainBlockContainer"] { max-width: 1280px; padding: 4.5rem 2rem 2rem; }
.st-key-scenario_text textarea { font-family: monospace; }
[data-testid="stFileChip"] [role="alert"] { /* why the browser did not even send a file: else only under the pointer */
  position: static; width: auto; height: auto; margin: 0 0.5rem; clip: auto; clip-path: none; white-space: normal;
}
@media (max-width: 1280px) {
  [class*="st-key-gallery_pair"] [data-testid="stElementContainer"] { flex: 0 0 calc(50% - 0.5rem) !important; }
}
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding: 3.5rem 1rem 1.5rem; }
  [data-testid="stMainBlockContainer"] h1 { font-size: 1.9rem; padding: 0.5rem 0; }
  [data-testid="stMetricValue"] { font-size: 1.5rem; }
  [class*="st-key-gallery"] [data-testid="stElementContainer"] {
    flex: 0 0 calc(50% - 0.5rem) !important; width: calc(50% - 0.5rem) !important; min-width: 0 !important;
  }
  [class*="st-key-gallery"] [data-testid="stElementContainer"] * { max-width: 100%; }
}
</style>"""

PAIR = (2.3, 1)  # columns of two pictures side by side, and of the numbers to their right

_SCORES = {"psnr": "PSNR", "ms_ssim": "MS-SSIM", "snr_realised_db": "SNR met", "ber": "Bit errors"}


# --- choosing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Photo:
    """A photograph that somebody chose.

    Args:
        picture: what is sent.
        key: differs for different pictures.
        memory: where results that show an upload are kept, with this visitor alone; None for a built-in photograph.
    """

    picture: Picture
    key: str
    memory: MutableMapping[str, bytes] | None

    def privately(self) -> AbstractContextManager[None]:
        """Within it nothing that shows an upload reaches the disk."""
        return nullcontext() if self.memory is None else kept_in(self.memory)


def photo(key: str, most_pixels: int = PIXELS) -> Photo:
    """Ask for a photograph, one of the built-in ones or an upload; say kindly what is wrong with an upload."""
    names = list(photographs(most_pixels))
    left, right = st.columns(2)
    name = left.selectbox("Photograph", names, key=f"{key}_photo", format_func=lambda name: name.removesuffix(".png"))
    file = right.file_uploader(
        "or one of your own",
        type=list(uploads.SUFFIXES),
        key=f"{key}_upload",
        max_upload_size=uploads.MOST_MEGABYTES,
        help="It stays in this computer's memory while the page is open, and is never written to disk.",
    )
    if file is None:
        return Photo(photographs(most_pixels)[name], name, None)
    data = file.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    try:
        picture = uploads.picture(file.name, data, most_pixels)
    except UsageError as error:  # the page goes on, so that nothing that was chosen on it is forgotten
        complain(error)
        return Photo(photographs(most_pixels)[name], name, None)
    if st.session_state.get("upload_digest") != digest:
        st.session_state["upload_digest"], st.session_state["upload_results"] = digest, {}
    return Photo(picture, digest, st.session_state["upload_results"])


@st.cache_resource(show_spinner=False)
def photographs(most_pixels: int) -> dict[str, Picture]:
    """The built-in photographs, by the name of the PNG file as which each can be saved."""
    small = {
        f"{picture.name}.png": to_tensor(uploads.shrunk(to_pil(picture.pixels), most_pixels))
        for picture in load("photos", EVERYDAY)
    }
    return {name: Picture(name, pixels) for name, pixels in small.items()}


@st.cache_resource(show_spinner=False)
def squares() -> list[Picture]:
    """The built-in photographs, all of one shape."""
    return load("photos", EVERYDAY, SIDE)


@st.cache_resource(show_spinner="Drawing streets")
def streets(source: str, count: int) -> list[Picture]:
    """The first street scenes of a source."""
    return load(source, count)


def system(key: str, names: Sequence[str]) -> str:
    """Ask for one of the systems that are built."""
    built = calls.systems(names)
    return st.selectbox(
        "System", built, key=f"{key}_system", format_func=lambda name: SYSTEMS[name], help=MEANINGS["system"]
    )


def channel(key: str) -> str:
    """Ask for a channel."""
    return st.selectbox(
        "Channel", list(CHANNELS), key=f"{key}_channel", format_func=CHANNELS.__getitem__, help=MEANINGS["channel"]
    )


def snr_db(key: str, start: int = 10) -> float:
    """Ask for the signal-to-noise ratio."""
    return float(
        st.slider(
            "SNR in dB", -4, 24, start, key=f"{key}_snr", help=MEANINGS["snr_db"], format="%d dB", width="stretch"
        )
    )


def budget(key: str, start: float = 1 / 16) -> float:
    """Ask for the channel uses that may be spent."""
    return st.selectbox(
        "Channel uses per sample",
        list(BUDGETS),
        index=list(BUDGETS).index(start),
        key=f"{key}_cbr",
        format_func=lambda ratio: BUDGETS[ratio],
        help=MEANINGS["medium_cbr"],
    )


def seed(key: str) -> int:
    """Ask for the seed of the draws."""
    return int(st.number_input("Seed", 0, 9999, 0, key=f"{key}_seed", help=MEANINGS["seed"]))


@contextmanager
def refusals() -> Iterator[None]:
    """Say a wrong input in one line, and show nothing more."""
    try:
        yield
    except UsageError as error:
        complain(error)
        st.stop()


def complain(error: UsageError) -> None:
    """Say what is wrong in one line."""
    st.error(" ".join(str(error).split()), icon=":material/info:")


# --- showing ---------------------------------------------------------------------------------------------------------


def gallery(key: str, pictures: Sequence[tuple[Tensor, str]], width: int = 190) -> None:
    """Pictures [3, h, w] with their captions, as many in a row as the window has room for, two on a phone."""
    with st.container(horizontal=True, key=f"gallery_{key}"):
        for pixels, caption in pictures:
            st.image(to_bytes(pixels), caption, width=width, output_format="PNG")


def numbers(items: Sequence[tuple[str, str, str]]) -> None:
    """Label, value and meaning of each number, as many in a row as there is room for."""
    with st.container(horizontal=True, gap="medium"):
        for label, value, meaning in items:
            st.metric(label, value, help=MEANINGS[meaning], width="content")


def scores(delivery: Delivery, before: Sequence[tuple[str, str, str]] = ()) -> None:
    """What a delivery cost and what it is worth, after numbers of the page's own."""
    uses = [("Channel uses", f"{int(delivery.uses[0]):,}", "uses")]
    if delivery.medium_uses[0] != delivery.uses[0]:
        uses.append(("Uses of the medium", f"{int(delivery.medium_uses[0]):,}", "medium_uses"))
    values = {name: calls.score(name, delivery) for name in _SCORES}
    measured = [(_SCORES[name], written(name, value), name) for name, value in values.items() if value is not None]
    numbers([*before, *measured[:2], *uses, *measured[2:]])


def written(metric: str, value: float | None) -> str:
    """A value with its unit."""
    if value is None:
        return "none"
    digits = f"{value:.1f}" if calls.unit(metric) == "dB" else f"{value:.3g}"
    return f"{digits} {calls.unit(metric)}".strip()


def verdict(delivery: Delivery, row: int = 0) -> str:
    """What to write below a received picture."""
    outage = delivery.reception.outage
    if outage is not None and bool(outage[row]):
        return "lost: nothing could be decoded"
    return f"received, {written('psnr', calls.score('psnr', delivery, row))}"


# --- how it was made -------------------------------------------------------------------------------------------------


def made_by(call: str, functions: Sequence[Callable[..., object]], command: str, sent: Picture | None = None) -> None:
    """The call that made a picture, its source, and the command that makes the same."""
    with st.expander("How this was made: source and command"):
        st.caption("The call")
        st.code(call, "python", wrap_lines=True)
        st.caption("Its source")
        st.code("\n\n".join(inspect.getsource(function) for function in functions), "python", wrap_lines=True)
        st.caption("The same from the command line")
        st.code(command, "bash", wrap_lines=True)
        if sent is not None:
            st.download_button(
                f"Save {sent.name} as it was sent", png(sent.pixels), sent.name, "image/png", on_click="ignore"
            )


def call_of(function: Callable[..., object], what: str, point: Point, settings: Sequence[str] = ()) -> str:
    """A call of a function with a point, as one would write it."""
    arguments = [f"{name}={value!r}" for name, value in calls.arguments_of(point).items()]
    arguments += [f"settings={list(settings)!r}"] if settings else []
    return f"{function.__name__}({what}, point_of({', '.join(arguments)}))"


def send_command(sent: Picture, point: Point, settings: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """The `semcom send` that makes the same picture."""
    words = ["semcom", "send", sent.name, "--system", point.system.name, "--channel", point.channel.name]
    words += ["--snr", f"{point.snr_db:g}", "--cbr", repr(point.medium_cbr)]
    words += ["--users", str(point.users)] if point.users > 1 else []
    words += ["--seed", str(point.seed)] if point.seed else []
    words += [word for setting in settings for word in ("--set", setting)]
    return shlex.join([*words, *more, "--out", "received.png"])


def run_command(point: Point, settings: Sequence[str] = ()) -> str:
    """The `semcom run`, with its scenario, whose first rows are the same transmission of square photographs."""
    scenario = {
        "systems": [point.system.name],
        "channel": point.channel.name,
        "medium_cbr": point.medium_cbr,
        "sweep": {"snr_db": [point.snr_db], "users": [point.users]},
        "images": {"source": "photos", "count": EVERYDAY, "size": SIDE},
        "metrics": ["psnr"],
        "seed": point.seed,
    }
    overrides = [word for setting in settings for word in ("--set", setting)]
    text = yaml.safe_dump(scenario, sort_keys=False, default_flow_style=None)
    return f"cat > users.yaml <<END\n{text}END\n{shlex.join(['semcom', 'run', 'users.yaml', *overrides])}"


def png(pixels: Tensor) -> bytes:
    """A picture as a PNG file."""
    file = io.BytesIO()
    to_pil(pixels).save(file, format="PNG")
    return file.getvalue()
