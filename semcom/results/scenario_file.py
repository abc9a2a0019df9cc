"""The scenario of a run, as written in OUT/scenario.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semcom.scenario.document import read_document


def content(out: Path) -> dict[str, Any]:
    """The content of scenario.yaml; empty if the folder has none.

    Raises:
        UsageError: the file is not valid YAML.
    """
    path = out / "scenario.yaml"
    written = read_document(path).data if path.is_file() else {}
    return written if isinstance(written, dict) else {}


def title(out: Path) -> str:
    """The title of a run: that of its scenario, else the name of its folder."""
    return str(content(out).get("title", out.resolve().name))


def systems(out: Path) -> list[str]:
    """The labels of the systems in the order of the scenario; empty if the folder has no scenario."""
    return [label for label, _ in _entries(out, "systems")]


def channel_names(out: Path) -> dict[str, str]:
    """The name of the channel of each label."""
    return {label: str(entry["name"]) for label, entry in channels(out).items()}


def channels(out: Path) -> dict[str, dict[str, Any]]:
    """Name and arguments of the channel of each label."""
    return dict(_entries(out, "channel"))


def _entries(out: Path, key: str) -> list[tuple[str, dict[str, Any]]]:
    """Label and content of each system or channel, which a file written by hand may give by name alone."""
    written = content(out).get(key, [])
    entries = [entry if isinstance(entry, dict) else {"name": str(entry)} for entry in _listed(written)]
    return [(str(entry.get("label", entry["name"])), entry) for entry in entries if "name" in entry]


def _listed(written: Any) -> list[Any]:
    return written if isinstance(written, list) else [written]
