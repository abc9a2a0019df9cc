"""Provenance of trained weights, for the header of the weight file and the model card."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

from semcom.images.published import SETS
from semcom.training.settings import Settings, command_line

_TERMS = {
    "natural": "Flickr8k: the photos belong to their authors; research and education only.",
    "imagenette": "Imagenette: ImageNet's terms, non-commercial research and education.",
    "camvid": "CamVid: CC BY-NC 4.0.",
    "photos": "photos: example images of scikit-image and scikit-learn, free to use.",
    "streets": "streets: synthetic images of this project.",
    **{name: f"{name}: {published.terms}." for name, published in SETS.items()},
}


def provenance_of(settings: Settings, measured: str, start: str = "", generated: str = "") -> dict[str, str]:
    """Command, commit, data sets with their terms, and validation results, as text by topic.

    Args:
        settings: settings of the run.
        measured: validation results and images.
        start: name and hash of the initial weights; "" for random ones.
        generated: description of generated training data; "" if the data are images.

    >>> provenance_of(Settings("deepjscc", data=["camvid:train"]), "nothing")["terms"]
    'CamVid: CC BY-NC 4.0.'
    """
    sources = dict.fromkeys(
        source if source.startswith("hf:") else source.partition(":")[0] for source in settings.data
    )
    return {
        "command": command_line(settings),
        **({"started from": start} if start else {}),
        "settings": json.dumps(asdict(settings)),
        "commit": commit(),
        "data": generated or ", ".join(settings.data),
        "terms": f"{generated}: synthetic data of this project." if generated else " ".join(map(_terms, sources)),
        "measured": measured,
    }


def _terms(source: str) -> str:
    if source.startswith("hf:"):
        from semcom.images import hub  # imports torch, which a report does without

        return f"{source}: license {hub.terms(source.removeprefix('hf:'))}."
    return _TERMS.get(source, f"{source}: terms unknown.")


def commit() -> str:
    """The commit of the training code; "unknown" outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
