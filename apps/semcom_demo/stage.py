"""The component that shows images with their SNR sliders: side by side, as a curtain, as a difference, animated."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime import get_instance

from semcom_demo import state
from semcom_demo.words import SYSTEM_COLORS, TOOLTIPS

SECONDS_PER_FRAME = 0.2
Frame = tuple[int, "Sequence[Panel]"]  # SNR in dB, and the images received at it


@dataclass(frozen=True)
class Panel:
    """An image of the page.

    Args:
        name: Short name, which the caption begins with.
        caption: Result in one sentence.
        png: Content of the PNG file.
        system: System whose color marks the caption, or "" for none.
        outage: Whether nothing was decoded, so that the image is gray.
    """

    name: str
    caption: str
    png: bytes
    system: str = ""
    outage: bool = False

    def shown(self) -> dict[str, Any]:
        """Address, texts and color, as the script of the component expects them."""
        return {
            "name": self.name,
            "caption": self.caption,
            "alt": f"{self.name}: {self.caption}",
            "src": _address(self.png, "image/png"),
            "color": SYSTEM_COLORS.get(self.system, ""),
            "outage": self.outage,
        }


def show(
    key: str,
    panels: Sequence[Panel],
    *,
    compare: bool = True,
    frames: Sequence[Frame] = (),
    levels: Sequence[int] = (),
) -> None:
    """Show images and the sliders that set the inputs `snr` and `designed`.

    Args:
        key: Key of the component.
        panels: Images; the first is the one sent, with which the others are compared.
        compare: Whether the first image is the one that the others are compared with.
        frames: SNR in dB and the images received at it, in place of the last panels.
        levels: SNRs in dB that the button Play shows one after the other, computing what is missing; () for no button.
    """
    session, inputs = st.session_state, current()
    low, high = state.SNR_RANGE_DB
    scale = {"min": low, "max": high, "step": 1}
    sliders = [
        {"name": "snr", "label": "Actual SNR", "help": TOOLTIPS["snr_db"], "range": scale},
        {"name": "designed", "label": "Designed SNR", "help": TOOLTIPS["designed"], "range": scale},
    ]
    _component()(
        key=key,
        data={
            "panels": [panel.shown() for panel in panels],
            "sliders": sliders,
            "values": {**inputs, "together": state.get("designed") is None},
            "sequence": session.get("stage_sequence", 0),
            "frames": [{"snr": snr, "panels": [panel.shown() for panel in row]} for snr, row in frames],
            "comparable": compare,
            "playable": {"high": max(levels), "low": min(levels)} if levels else None,
            "concealable": any(panel.system for panel in panels),
            "play": session.get("stage_play", 0),
            "secondsPerFrame": SECONDS_PER_FRAME,
        },
        on_inputs_change=lambda: _take_over(key),
        on_play_change=_ask_to_play,
    )


def current() -> dict[str, int]:
    """Actual and designed SNR in dB."""
    snr = state.get("snr", 10)
    return {"snr": snr, "designed": state.get("designed", snr)}


def asked_to_play() -> bool:
    """Whether the visitor has just asked to play frames that are not computed yet."""
    return bool(st.session_state.pop("stage_asked", False))


def _take_over(key: str) -> None:
    if state.is_partial_run():
        return
    inputs = st.session_state[key]["inputs"]
    state.put("snr", int(inputs["snr"]))
    state.put("designed", None if inputs["designed"] is None else int(inputs["designed"]))
    st.session_state["stage_sequence"] = inputs["sequence"]


def _ask_to_play() -> None:
    st.session_state["stage_asked"] = True
    st.session_state["stage_play"] = st.session_state.get("stage_play", 0) + 1
    st.session_state["stage_sequence"] = st.session_state.get("stage_sequence", 0) + 1


def _component() -> Any:
    return st.components.v2.component(
        "semcom_stage", js=_text("stage.js"), css=_text("stage.css"), isolate_styles=False
    )


@lru_cache(maxsize=4)
def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _address(content: bytes, kind: str) -> str:
    """Address under which the server of the demo delivers an image, as long as the page shows it."""
    return get_instance().media_file_mgr.add(content, kind, coordinates=hashlib.sha256(content).hexdigest())
