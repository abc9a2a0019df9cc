"""The guided story of the first page: five steps, each with a sentence, inputs, a notebook and a documentation page."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Step:
    """A step of the story.

    Args:
        title: Title.
        task: Task of the visitor.
        result: Result that the page shows.
        systems: Systems that are compared.
        inputs: Inputs of the step; the others have their defaults.
        notebook: Notebook to continue with.
        document: Documentation page to continue with.
    """

    title: str
    task: str
    result: str
    systems: tuple[str, ...]
    inputs: dict[str, Any]
    notebook: str
    document: str


STEPS = (
    Step(
        "The cliff",
        "Drag the actual SNR to the left until the file cannot be decoded: an outage, shown as a gray image.",
        "The transmitter chose file size, modulation and code rate for the designed SNR, 10 dB. If the actual SNR is "
        "higher, the image gets no better; if it is slightly lower, the file cannot be decoded at all.",
        ("digital",),
        {"snr": 12, "designed": 10},
        "notebooks/03_digital.ipynb",
        "docs/results/digital.md",
    ),
    Step(
        "The graceful curve",
        "Drag the actual SNR again, and compare the analog transmission with the image file.",
        "Analog transmission sends amplitudes: noise of the channel becomes noise of the image, so that quality "
        "follows the SNR and never breaks off.",
        ("digital", "analog"),
        {"snr": 12, "designed": 10},
        "notebooks/01_one_image_over_a_noisy_channel.ipynb",
        "docs/start/concepts.md",
    ),
    Step(
        "A learned code",
        "Drag the actual SNR once more. In DeepJSCC, one neural network sends and another one receives.",
        "DeepJSCC learned source and channel code together. It degrades as gracefully as analog transmission, at a "
        "higher quality.",
        ("digital", "analog", "deepjscc"),
        {"snr": 12, "designed": 10},
        "notebooks/04_learning_a_joint_code.ipynb",
        "docs/results/deepjscc.md",
    ),
    Step(
        "Fading",
        "Press Another realization several times, until the image file is in outage.",
        "Over Rayleigh fading the channel has another random gain for every image, and the actual SNR of 6 dB is the "
        "mean. The file arrives with always the same quality or, in a deep fade, not at all. The quality of the "
        "learned code follows the gain.",
        ("digital", "deepjscc"),
        {"snr": 6, "designed": 10, "channel": "rayleigh", "seed": 2},
        "notebooks/09_ofdm_and_channel_knowledge.ipynb",
        "docs/results/channels.md",
    ),
    Step(
        "Meaning",
        "Compare what is in the images, not their pixels.",
        "With very few channel uses and a bad channel, the image file has room for a few blurred areas only. From "
        "features with the same number of channel uses the receiver generates an image: its PSNR is no higher, but its "
        "structure is closer to that of the image sent (MS-SSIM).",
        ("digital", "multimodal_generation"),
        {"snr": -5, "cbr": 1 / 96},
        "notebooks/07_generate_and_select.ipynb",
        "docs/results/multimodal_generation.md",
    ),
)


def text_of(path: str) -> str:
    """Text of a notebook or a documentation page as Markdown, without images; "" in an installation without them."""
    file = ROOT / path
    if not file.is_file():
        return ""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".ipynb":
        cells = ((cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"])
        text = "\n\n".join(f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)  # the demo does not serve the images of the documentation
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)  # nor its other pages
