"""Names of version 0.1 and their present equivalents, so that finished runs stay readable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_COLUMNS = {
    "car_told": "car_presence_accuracy",
    "class_accuracy_of_photo": "class_accuracy_ceiling",
    "keep": "visible_ratio",
    "map_miou": "label_map_miou",
    "medium_cbr_granted": "medium_cbr_budget",
    "miou_of_photo": "miou_ceiling",
    "payload_ber": "message_ber",
    "payload_bits": "message_bits",
    "payload_ok": "message_success_rate",
    "person_told": "person_presence_accuracy",
    "picture": "image_file",
    "pixel_accuracy_of_photo": "pixel_accuracy_ceiling",
    "snr_realised_db": "snr_realized_db",
}
_SYSTEMS = {"bits_beside": "multiplexed_message"}
_ARGUMENTS = {
    "carrier_image": {
        "keep": "visible_ratio",
        "mask_code_rate": "code_rate",
        "sequence": "sent_tokens",
        "wire": "mask_code",
    },
    "harmonic_inpainting": {"keep": "visible_ratio"},
    "keras": {"normalise": "normalize"},
    "multimodal_generation": {"keep": "selection"},
    "multiplexed_message": {"picture": "image_system"},
    "onnx": {"normalise": "normalize"},
    "scene": {"colour": "send_class_colors"},
}


def renamed_columns(columns: Iterable[str]) -> list[str]:
    """The present names of the columns of a part; swept arguments are left to `renamed_arguments`."""
    return [_column(name) for name in columns]


def renamed_arguments(columns: Iterable[str], scenario: Mapping[str, Any]) -> list[str]:
    """The present names of columns of swept arguments.

    Args:
        columns: names of columns, as in "carrier_image.keep" or "LABEL.keep".
        scenario: content of the run's scenario.yaml, which states the system of each label; empty if there is none.

    >>> renamed_arguments(["psnr", "carrier_image.keep", "random.keep"], {
    ...     "systems": [{"name": "multimodal_generation", "label": "random"}],
    ... })
    ['psnr', 'carrier_image.visible_ratio', 'random.selection']
    """
    systems = {system["label"]: system["name"] for system in scenario.get("systems", [])}
    return [_argument(name, systems) for name in columns]


def image_file(out: Path, name: str) -> Path:
    """The path of a PNG file of a run; version 0.1 wrote OUT/pictures in place of OUT/images."""
    path = out / "images" / name
    return path if path.is_file() else out / "pictures" / name


def _column(name: str) -> str:
    metric, dot, part = name.partition(".")
    return _COLUMNS.get(metric, metric) + dot + part


def _argument(name: str, systems: Mapping[str, str]) -> str:
    owner, dot, argument = name.partition(".")
    system = systems.get(owner, owner)
    arguments = _ARGUMENTS.get(_SYSTEMS.get(system, system), {})
    return _SYSTEMS.get(owner, owner) + dot + arguments.get(argument, argument)
