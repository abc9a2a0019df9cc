"""Parts that several pages use: inputs of the link, images and numbers of a transmission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import streamlit as st

from semcom.scenario.model import Point
from semcom_demo import calls, live, photos, shots, stage, state, words
from semcom_demo.memory import Job
from semcom_demo.photos import Photo
from semcom_demo.shots import Shot
from semcom_demo.stage import Frame, Panel
from semcom_demo.words import CBR_LABELS, CHANNEL_LABELS, FADING_CHANNELS, SYSTEM_LABELS, TOOLTIPS

STYLE = """<style>
[data-testid="stMainBlockContainer"] { max-width: 1280px; padding: 4rem 2rem 2rem; }
[data-testid="stMainBlockContainer"] h1 { font-size: 2rem; padding: 0.25rem 0; }
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] * { color: inherit !important; opacity: 1; }
[data-testid="stMetricLabel"] * { color: inherit; opacity: 1; }
[data-testid="stVegaLiteChart"] svg text { fill: currentColor; }
[data-testid="stSliderThumbValue"], [data-testid="stSliderThumbValue"] * { color: inherit !important; }
/* Track of a slider, 3:1 to the page in both themes, below the gradient that Streamlit draws up to the value. */
[data-testid="stSlider"] [role="group"] > div > div:first-child {
  background-color: color-mix(in srgb, currentColor 60%, transparent);
}
/* Toggle that is off and radio button that is not selected, with as much contrast. */
[data-testid="stCheckbox"] label:has([role="switch"]:not(:checked)) > div:first-of-type {
  background-color: color-mix(in srgb, currentColor 60%, transparent);
}
[data-testid="stCheckbox"] label:has([role="switch"]:not(:checked)) > div:first-of-type > div {
  background-color: Canvas;
}
[data-testid="stRadioOption"]:not([data-selected]) > div > div:first-child {
  box-shadow: 0 0 0 2px color-mix(in srgb, currentColor 60%, transparent);
}
[data-testid="stSliderTickBar"], [data-testid="stSliderTickBar"] * { color: inherit; transition: none !important; }
[data-testid="stPageLink"] p { text-decoration: underline; }
:focus-visible, /* the inputs of toggles and radio buttons are not displayed themselves */
[data-testid="stCheckbox"] label:has(:focus-visible) > div:first-of-type,
[data-testid="stRadioOption"]:has(:focus-visible) > div > div:first-child {
  outline: 3px solid var(--st-primary-color, #0068c9) !important; outline-offset: 2px;
}
[data-testid="stElementToolbar"]:focus-within { opacity: 1; z-index: 2; } /* otherwise shown under the pointer only */
/* Closed list of pages on a phone: no stop of the Tab key. */
.stApp:has([data-testid="stExpandSidebarButton"]) [data-testid="stSidebar"] { visibility: hidden; }
[data-testid="stMain"] { scroll-padding: 4.5rem 0 3rem; } /* what the Tab key reaches is not below the menu */
[data-stale="true"] { opacity: 1 !important; } /* readable while a slow computer runs the script */
.st-key-scenario_text textarea { font-family: monospace; }
[data-testid="stFileChip"] [role="alert"] { /* show why the browser rejects a file, not only on hover */
  position: static; width: auto; height: auto; margin: 0 0.5rem; clip: auto; clip-path: none; white-space: normal;
}
.st-key-signals { min-height: 2.5rem; } /* room for progress */
.st-key-scroll { position: absolute; } /* takes no room */
.st-key-figure_phone, .st-key-preload { display: none; }
@media (max-width: 640px) {
  .st-key-figure { display: none; }
  .st-key-figure_phone { display: flex; }
  [data-testid="stExpandSidebarButton"]::after { content: "Pages"; margin-left: 0.25rem; } /* beside the arrows */
  [data-testid="stMainBlockContainer"] { padding: 3.5rem 1rem 1.5rem; }
  [data-testid="stMainBlockContainer"] h1 { font-size: 1.5rem; padding: 0.25rem 0; }
  [data-testid="stMetricValue"] { font-size: 1.5rem; }
  .st-key-introduction p { font-size: 0.9rem; line-height: 1.4; }
  .st-key-introduction .more { display: none; } /* image and slider stay on the first screen */
}
</style>"""

STAGE_AND_NUMBERS = (2.6, 1)  # column widths: images with their sliders, numbers to their right
_METRICS = {"psnr": "PSNR", "ms_ssim": "MS-SSIM", "snr_realized_db": "Realized SNR", "ber": "Bit error rate"}


# --- inputs ----------------------------------------------------------------------------------------------------------


def title(text: str, sentence: str, more: str = "") -> None:
    """Title of a page and its introduction.

    Args:
        text: Title.
        sentence: First sentence of the introduction.
        more: Further sentences, which a phone leaves out.
    """
    st.title(text, anchor=False)
    with st.container(key="introduction"):
        st.markdown(f'{sentence} <span class="more">{more}</span>', unsafe_allow_html=True)


@dataclass(frozen=True)
class Inputs:
    """Inputs of a transmission.

    Args:
        photo: Image.
        channel: Channel.
        cbr: Channel bandwidth ratio.
        seed: Random seed.
    """

    photo: Photo
    channel: str
    cbr: float
    seed: int

    def point(self, system: str, snr_db: int | None = None, users: int = 1, settings: Sequence[str] = ()) -> Point:
        """Operating point of a system at an SNR; by default at that of the slider."""
        return point(system, self.channel, self.cbr, self.seed, snr_db, users, settings)


def point(
    system: str,
    channel_name: str,
    cbr: float,
    seed: int,
    snr_db: int | None = None,
    users: int = 1,
    settings: Sequence[str] = (),
) -> Point:
    """Operating point of a system at an SNR, by default that of the slider, with the designed SNR of the slider."""
    values, designed = stage.current(), state.get("designed")
    level = values["snr"] if snr_db is None else snr_db
    return _made(system, channel_name, float(level), users, cbr, seed, tuple(settings), designed)


_made = lru_cache(maxsize=4096)(calls.make_point)  # a page needs the points of all its frames in every run


def link_inputs(cbr: float, max_pixels: int | None = None) -> Inputs:
    """Ask for image, channel, channel bandwidth ratio and realization.

    Args:
        cbr: Channel bandwidth ratio at the start.
        max_pixels: Largest number of pixels of the image.
    """
    photo = photos.choose(max_pixels)
    left, right = st.columns(2)
    with left:
        name = channel()
    with right:
        ratio = channel_bandwidth_ratio(cbr)
    return Inputs(photo, name, ratio, seed(name))


def system(names: Sequence[str]) -> str:
    """Ask for one of the available systems."""
    options = calls.available_systems(names)
    return st.selectbox(
        "System",
        options,
        format_func=lambda name: SYSTEM_LABELS.get(name, name),
        help=TOOLTIPS["system"],
        **state.bound("system", options[0], options),
    )


def channel() -> str:
    """Ask for a channel."""
    return st.selectbox(
        "Channel",
        list(CHANNEL_LABELS),
        format_func=CHANNEL_LABELS.__getitem__,
        help=TOOLTIPS["channel"],
        **state.bound("channel", "awgn"),
    )


def channel_bandwidth_ratio(start: float = 1 / 16) -> float:
    """Ask for the channel bandwidth ratio."""
    return st.selectbox(
        "Channel bandwidth ratio (CBR)",
        list(CBR_LABELS),
        format_func=lambda ratio: CBR_LABELS[ratio],
        help=TOOLTIPS["medium_cbr"],
        **state.bound("cbr", start),
    )


def seed(channel_name: str) -> int:
    """Ask for the random seed, which numbers the realizations of noise and fading."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        value = int(
            st.number_input(
                "Realization (random seed)", 0, state.MAX_SEED, help=TOOLTIPS["seed"], **state.bound("seed", 0)
            )
        )
        fading = channel_name in FADING_CHANNELS
        st.button("Another realization" if fading else "Another noise realization", on_click=next_seed)
    return value


def next_seed() -> None:
    """Take the next realization of noise and fading."""
    state.put("seed", (state.get("seed", 0) + 1) % (state.MAX_SEED + 1))


# --- images and numbers ----------------------------------------------------------------------------------------------


def panel(system_name: str, shot: Shot, name: str = "") -> Panel:
    """Panel of a received image; by default its name is that of the system."""
    return Panel(name or words.title(system_name), shot.sentence(system_name), shot.png, system_name, bool(shot.outage))


def sent_panel(photo: Photo) -> Panel:
    """Panel of the image sent."""
    height, width = photo.image.pixels.shape[1:]
    return Panel("Image sent", f"{width} x {height} pixels", photo.png)


def show_stage(key: str, inputs: Inputs, systems: Sequence[str], users: int = 1) -> tuple[list[Shot], list[Frame]]:
    """Transmit an image with each system and show the results; return them, and the frames once all are computed."""
    place, progress = st.container(), live.progress_place()

    def at(snr_db: int) -> list[Job[Shot]]:
        return [shots.job(inputs.photo, inputs.point(name, snr_db, users)) for name in systems]

    def panels(results: Sequence[Shot]) -> list[Panel]:
        return [panel(name, shot) for name, shot in zip(systems, results, strict=True)]

    transmissions = live.Live(at, ahead=set(systems) <= set(shots.LIVE_SYSTEMS))
    results = transmissions.results(progress)
    frames = transmissions.show(key, place, progress, [sent_panel(inputs.photo), *panels(results)], panels)
    gains_db = [shot.gain_db for shot in results if shot.gain_db is not None]
    if inputs.channel in FADING_CHANNELS and gains_db:
        st.caption(
            f"Fading of this realization: |h|² is {gains_db[0]:+.1f} dB, averaged over the transmission. Its mean over "
            "all realizations is 0 dB."
        )
    return results, frames


def show_numbers(numbers: Sequence[tuple[str, str, str]]) -> None:
    """Show numbers side by side, each given as label, value and key of its tooltip."""
    with st.container(horizontal=True, gap="medium"):
        for label, value, tooltip in numbers:
            st.metric(label, value, help=TOOLTIPS[tooltip], width="content")


def show_metrics(shot: Shot, first: Sequence[tuple[str, str, str]] = ()) -> None:
    """Show the page's own numbers (label, value, key of the tooltip), then quality and cost of a transmission."""
    uses = [("Channel uses", f"{shot.uses:,}", "uses")]
    if shot.medium_uses != shot.uses:
        uses.append(("Channel uses in total", f"{shot.medium_uses:,}", "medium_uses"))
    metrics = [(_METRICS[name], with_unit(name, value), name) for name, value in shot.values.items()]
    show_numbers([*first, *metrics[:2], *uses, *metrics[2:]])


def with_unit(metric: str, value: float | None) -> str:
    """Value of a metric with its unit."""
    if value is None:
        return "none"
    digits = f"{value:.1f}" if calls.unit(metric) == "dB" else f"{value:.3g}"
    return f"{digits} {calls.unit(metric)}".strip()
