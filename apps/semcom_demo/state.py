"""Inputs that all pages share. They are in the address of the page, so that a reload or a copied link restores them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from semcom_demo.words import ACCESS_LABELS, CBR_LABELS, CHANNEL_LABELS, SYSTEM_LABELS

SNR_RANGE_DB = (-10, 24)
MAX_USERS = 8
MAX_SEED = 9999
POWERS_MW = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
DISTANCES_M = (10, 20, 50, 100, 200, 300, 400, 500, 700, 1000, 1500, 2000)
SIDES = (64, 96, 128, 192, 256)
FRAME_LENGTHS = (64, 128, 256, 512, 1024)
_LATE_S = 10.0  # longest time from an action in the browser to the run that it causes
UPLOAD = "upload"
"""Value of `image` for an upload, which is in the memory of the session and not in the address."""


def _within(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _one_of(options: Mapping[Any, str]) -> Callable[[str], Any]:
    """The option that an address gives by its name; a ratio by its label."""
    by_text = {options[key] if isinstance(key, float) else key: key for key in options}
    return by_text.__getitem__


def _number_of(options: Sequence[int]) -> Callable[[str], int]:
    return {str(number): number for number in options}.__getitem__


def _systems(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_one_of(SYSTEM_LABELS)(name) for name in text.split(",") if name))


_PARSERS: dict[str, Callable[[str], Any]] = {
    "image": str,
    "street": str,
    "caption": str,
    "system": _one_of(SYSTEM_LABELS),
    "systems": _systems,
    "channel": _one_of(CHANNEL_LABELS),
    "access": _one_of(ACCESS_LABELS),
    "snr": _within(*SNR_RANGE_DB),
    "designed": _within(*SNR_RANGE_DB),
    "cbr": _one_of(CBR_LABELS),
    "users": _within(1, MAX_USERS),
    "seed": _within(0, MAX_SEED),
    "step": _within(1, 5),
    "power": _number_of(POWERS_MW),
    "distance": _number_of(DISTANCES_M),
    "size": _number_of(SIDES),
    "hardware": str,
    "modulation": str,
    "frame": _number_of(FRAME_LENGTHS),
}
"""Inputs and how the address writes them. An input that is not in the address has the default value of the page."""


def restore() -> list[str]:
    """Read the inputs from the address, if it is a new one.

    Returns:
        Parts that are not valid, as written, until the visitor sets an input: pages also run by themselves.
    """
    query = st.query_params.to_dict()
    if not query or query == st.session_state.get("address") or _is_late(query):
        # opening another page empties the address; the inputs stay
        return st.session_state.setdefault("invalid_parts", [])
    inputs, invalid = {}, []
    for name, text in query.items():
        try:
            inputs[name] = _PARSERS[name](text)
        except (KeyError, ValueError):
            invalid.append(f"{name}={text}")
    st.session_state["inputs"], st.session_state["invalid_parts"] = inputs, invalid
    return invalid


def write_address() -> None:
    """Write the inputs that differ from the defaults to the address."""
    address = {name: _text(name, value) for name, value in sorted(_inputs().items())}
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)
    if (before := st.session_state.get("address")) not in (None, address):
        st.session_state["replaced_addresses"] = [*_replaced_addresses(), (time.monotonic(), before)]
    st.session_state["address"] = address


def _is_late(query: dict[str, str]) -> bool:
    """Whether a run has the address that an earlier run replaced: the browser asked for it before it knew."""
    return any(query == address for _, address in _replaced_addresses())


def _replaced_addresses() -> list[tuple[float, dict[str, str]]]:
    """Addresses replaced in the last seconds, with the time."""
    oldest = time.monotonic() - _LATE_S
    return [entry for entry in st.session_state.get("replaced_addresses", []) if entry[0] > oldest]


def leave_story() -> None:
    """Let the two SNRs move together again on the pages after the story, whose steps set them apart."""
    if _inputs().pop("step", None) is not None:
        put("designed", None)


def get(name: str, default: Any = None) -> Any:
    """Value of an input, or the default value of the page."""
    return _inputs().get(name, default)


def put(name: str, value: Any) -> None:
    """Set an input; None removes it."""
    st.session_state["invalid_parts"] = []
    if value is None:
        _inputs().pop(name, None)
    else:
        _inputs()[name] = value


def bound(name: str, default: Any, options: object = None) -> dict[str, Any]:
    """Arguments of a widget that shows and sets an input: key and callback.

    Args:
        name: Input.
        default: Value of the widget while the input is not set.
        options: Values that the page offers, or None for all; the widget shows the default in place of another value.
    """
    key, value = f"input_{name}", get(name, default)
    if options is not None and value not in options:  # type: ignore[operator]
        if _PARSERS[name] is str and value != UPLOAD:  # no page has this option
            st.warning(f"The address has a part that is not valid and is ignored: {name}={value}")
        value = default
    st.session_state[key] = value
    return {"key": key, "on_change": _take_over, "args": (name, key)}


def bound_list(name: str, default: list[str], options: list[str]) -> dict[str, Any]:
    """Arguments of a widget that shows and sets a list of options."""
    key = f"input_{name}"
    st.session_state[key] = [value for value in get(name, default) if value in options]
    return {"key": key, "on_change": _take_over, "args": (name, key)}


def query(**inputs: Any) -> dict[str, str]:
    """The address of given inputs, for links between pages."""
    return {name: _text(name, value) for name, value in inputs.items()}


def is_partial_run() -> bool:
    """Whether only a part of the page runs. The widgets of its request may have values from before the last full run.

    The browser sends such requests by itself; one that waits for a full run would undo what that run has set.
    """
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


def _take_over(name: str, key: str) -> None:
    if is_partial_run():
        return
    value = st.session_state[key]
    put(name, tuple(value) if isinstance(value, list) else value)


def _inputs() -> dict[str, Any]:
    return st.session_state.setdefault("inputs", {})


def _text(name: str, value: Any) -> str:
    if name == "cbr":
        return CBR_LABELS[value]
    return ",".join(value) if isinstance(value, tuple) else str(value)
