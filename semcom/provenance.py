"""Where trained weights come from, as their header and model card say it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

from semcom.train_settings import Settings, command_line

_TERMS = {
    "natural": "Flickr8k: the photos belong to their authors; research and education only.",
    "imagenette": "Imagenette: ImageNet's terms, non-commercial research and education.",
    "camvid": "CamVid: CC BY-NC 4.0.",
    "photos": "photos: example pictures of scikit-image and scikit-learn, free to use.",
    "streets": "streets: drawn by this project.",
}


def provenance_of(settings: Settings, measured: str, start: str = "") -> dict[str, str]:
    """Command, commit, data, the data's terms and what was measured, in words.

    Args:
        settings: of the run.
        measured: on what, and how it came out.
        start: name and hash of the weights that the run started from; empty for fresh ones.

    >>> provenance_of(Settings("deepjscc", data=["camvid:train"]), "nothing")["terms"]
    'CamVid: CC BY-NC 4.0.'
    """
    sources = dict.fromkeys(source.partition(":")[0] for source in settings.data)
    return {
        "command": command_line(settings),
        **({"started from": start} if start else {}),
        "settings": json.dumps(asdict(settings)),
        "commit": commit(),
        "data": ", ".join(settings.data),
        "terms": " ".join(_TERMS.get(source, f"{source}: not known here.") for source in sources),
        "measured": measured,
    }


def commit() -> str:
    """The commit of the code that trains; "unknown" outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
