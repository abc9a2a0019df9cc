"""Code blocks of the documents in the order in which they are printed, and the shorter commands that tests run instead.

A command runs as it is printed, unless a table below has a shorter one, or says where it is tested instead.
"""

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")), *(ROOT / "examples").rglob("*.md")]
PAGES = [page for page in PAGES if "_build" not in page.parts]

_COMMAND = r"(?:[A-Z_]+=\S+ )?(?:semcom|python|make|pip|source|/usr/bin/python3) [^\n]+"
_INLINE = r"`((?:semcom \w+|python) [a-z./][^`]*)`"
_BLOCK = re.compile(rf"^```(\w+)\n(.*?)^```|^    ({_COMMAND})$|{_INLINE}", re.MULTILINE | re.DOTALL)
_SAVED = re.compile(r"[Ss]ave [\w ]+ as `([\w.]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block, or a command that is indented or in the text.

    Args:
        language: language of the fence; "sh" for one indented command.
        text: content.
        name: file in which the page saves the block; empty without one.
    """

    language: str
    text: str
    name: str = ""

    @property
    def commands(self):
        """Commands as lists of words, without prompts, comments and output."""
        lines = self.text.replace("\\\n", "").splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks(page):
    """Blocks of a page; a block is saved if its first line is `# NAME.py`, or if the text before it says so."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        language, body, indented, inline = match.groups()
        command = indented or inline
        paragraph = text[: match.start()].rstrip().rpartition("\n\n")[2]
        saved = re.match(r"# (\w+\.py)\n", body or "") or _SAVED.search(paragraph)
        found.append(Block(language or "sh", body or command, saved[1] if saved else ""))
    return found


# --- shorter commands: what is printed takes minutes to hours, or needs a data set -----------------------------------

_ONE = "--set images.source=photos --set images.count=1 --set repetitions=1 --set 'sweep={snr_db: 10}'"
_SMALL, _LARGE = f"{_ONE} --set images.size=64", f"{_ONE} --set images.size=128"  # 128: for networks of that size
_AWGN = "--set 'channel=[awgn]'"

_TWO = "systems=[deepjscc, {name: deepjscc, label: few blocks, edge: {layers: 0.5}}]"

# Added to `semcom run scenarios/NAME.yaml`: one small image, one SNR, one repetition.
SCENARIOS = {
    "recognition": "--set frames=2 --set 'sweep={snr_db: [0, 10], uses: [32]}'",
    "users": f"{_SMALL} --set 'sweep={{snr_db: 10, users: [1, 2]}}'",
    "fading": f"{_LARGE} --set images.count=2 --set 'sweep={{snr_db: [0, 10]}}'",
    "carrier_users": _LARGE,
    "carrier_mask_ratio": _LARGE,
    "edge": f"{_SMALL} --set '{_TWO}'",
    "multimodal_snr": f"{_LARGE} {_AWGN} --set multimodal_generation.steps=1",
    "multimodal_users": f"{_LARGE} {_AWGN} --set multimodal_generation.steps=1",
    "blind_header": "--set images.count=1 --set repetitions=1 --set 'sweep={snr_db: 10}'",
    "quickstart": f"--set images.count=1 --set 'sweep={{snr_db: 10}}' {_AWGN}",
    "scene_snr": f"{_ONE} {_AWGN} --set images.source=streets:test:128x96",
}

# Added to a command, or in place of it if it starts with "semcom" or "python": fewer images, samples or steps.
_CROPS = "--steps 2 --rows 2 --crop 32 --validation-count 1"
_SMALL_ENCODER = "semcom train deepjscc --set part=edge_encoder"
_GUIDANCE = "--set multimodal_generation.clip_guidance=0.1"
_TEXT = "--set multimodal_generation.text_guidance=9"
_ONE_STEP = "--set multimodal_generation.steps=1"
_LOW = f"--count 2 --candidates 1 --gallery photos {_ONE_STEP}"
_RECEIVE = "semcom receive received.sigmf-meta --out received.png"  # after GNU Radio's channel
_RECEIVE_SHARED = "semcom receive received.sigmf-meta --shared sent.sigmf-meta --out received.png"
_STREETS = "--count 4 --images streets:test:128x96"
SHORTENED = {
    "semcom certify": "semcom certify --scale 0.001",
    "semcom budget digital deepjscc scene": "--size 64",
    "python benchmarks/scene_strip.py --downsampling 4 --send-class-colors --out docs/scene_strip.png": "--show 1 "
    "--images streets:test:128x96",
    "semcom run mine.yaml": "semcom run mine.yaml --set images.count=2 --set images.size=64 --set repetitions=1",
    # the number of crops and their size are those that a user gets
    "semcom train deepjscc --data folder:my/photos --minutes 60": "semcom train deepjscc --data folder:my/photos "
    "--steps 2 --validation-count 1",
    "semcom train deepjscc --data folder:my/photos --validation photos --minutes 60": "semcom train deepjscc "
    f"--data folder:my/photos --validation photos {_CROPS}",
    "semcom train deepjscc --minutes 60 --device cuda": f"semcom train deepjscc --device auto {_CROPS}",
    f"{_SMALL_ENCODER} --set loss=latents --minutes 30 --folder runs/small/1": f"{_SMALL_ENCODER} --set loss=latents "
    f"--folder runs/small/1 {_CROPS}",
    f"{_SMALL_ENCODER} --start runs/small/1/deepjscc.safetensors --minutes 10 --folder runs/small/2": (
        f"{_SMALL_ENCODER} --start runs/small/1/deepjscc.safetensors --folder runs/small/2 {_CROPS}"
    ),
    "semcom train scene --set part=restorer --data camvid:train --data streets:train": "semcom train scene "
    "--set part=restorer --data camvid:val --validation camvid:val --steps 2 --rows 2 --crop 48 --validation-count 1",
    "semcom train multimodal_generation --set part=fine_tuning --start multimodal_generator --data natural:train "
    "--data imagenette:train": "semcom train multimodal_generation --set part=fine_tuning --set initial=random "
    "--start multimodal_generator --data natural:val --validation natural:val --steps 2 --rows 2 --validation-count 1",
    _RECEIVE_SHARED: "semcom receive sent.sigmf-meta --out received.png",  # a recording that no radio has transmitted
    "semcom train recognition --snr=-6..22 --minutes 60": "semcom train recognition --snr=-6..22 --steps 2 --rows 2 "
    "--set uses=64",
    "python benchmarks/carrier_image.py quality --out results": "--count 2 --images folder:photos --snr 10",
    "python benchmarks/carrier_image.py message --snr -2 0 --out results": "--count 8",
    "python benchmarks/carrier_image.py capacity --count 10000 --out results": "--count 100 --passes 1",
    "python benchmarks/carrier_image.py mask_cost --out results": "--count 2 --images folder:photos --repetitions 1 "
    "--best 2 --visible-ratios 0.5",
    "python benchmarks/edge.py --out results/edge.csv": "--set images.source=photos --set images.count=1 "
    f"--set '{_TWO}'",
    "python benchmarks/ldpc.py --errors-only --out results": "--errors 1 --most 100 --points 6.5 --without-sionna",
    "python benchmarks/ldpc.py --speed-only --rules boxplus-phi --batches 100 --out results": "--without-sionna "
    "--blocks 16",
    "python benchmarks/channel_models.py --out results": "--passes 1 --throughput-only",
    "python benchmarks/waveform.py --out results/waveform_speed.csv": "--passes 1",
    "python benchmarks/radio.py --out results/radio_gnuradio.csv": "--count 1 --snr 10",
    "python benchmarks/radio.py --semantic --out results/radio_semantic.csv": "--count 1 --snr 10",
    "python benchmarks/radio.py --strip docs/radio_strip.png": "--snr 10",
    "python benchmarks/workers.py": "--repetitions 1 --pairs 1 --size 64",
    "python benchmarks/devices.py": "--passes 1 --count 1 --blocks 8",
    "python benchmarks/deepjscc_shares.py": "--images photos --count 1 --size 64 --snr 10 --cbr 0.25",
    "python benchmarks/interval_coverage.py --out results/interval_coverage.csv": "--out runs/coverage.csv --trials 5",
    "python benchmarks/recognition.py accuracy --out results/recognition_accuracy.csv": "--frames 1 --snr 10",
    "python benchmarks/recognition.py blind --frames 150 --snr -4 -2 0 2 4 6 8 10 12 14 16 18 20 --out "
    "results/recognition_blind.csv": "--frames 1 --snr 10",
    "python benchmarks/recognition.py learned --frames 150 --snr -4 -2 0 2 4 6 8 10 12 14 16 18 20 --out "
    "results/recognition_learned.csv": "--frames 1 --snr 10",
    "semcom recognize received.sigmf-meta": "semcom recognize sent.sigmf-meta",
    "python benchmarks/recognition.py systems --out results/recognition_systems.csv": "--count 1",
    "python benchmarks/label_map.py --fuzz 100000 --out results/label_map_coding.csv": "--count 1 --fuzz 10",
    "python benchmarks/scene.py restoration --out results/scene_restoration.csv": _STREETS,
    "python benchmarks/scene.py restoration --images streets:test --count 20 --out "
    "results/scene_restoration_streets.csv": _STREETS,
    "python benchmarks/scene.py bytes --count 24 --downsampling 4 --out results/label_map_size.csv": _STREETS,
    "python benchmarks/scene.py segmentation --out results/scene_segmentation.csv": _STREETS,
    "python benchmarks/scene.py lost_slice --count 24 --out results/scene_lost_slice.csv": _STREETS,
    "python benchmarks/scene.py class_colors --count 24 --out results/scene_class_colors.csv": _STREETS,
    # processors without bfloat16 emulate it, which takes minutes
    "python benchmarks/scene.py delay --count 8 --threads 2 --bfloat16 --out results/scene_delay.csv": "python "
    "benchmarks/scene.py delay --count 2 --threads 1 --images streets:test:128x96",
    "python benchmarks/fitting.py --kodak 24 --out results/fitting.csv": "--kodak 0 --photos 1 --codecs webp",
    "python benchmarks/kodak_digital.py --out results/digital_run_time.csv": "--images folder:my/photos --count 1",
    "python benchmarks/multimodal.py cost --out results/multimodal_run_time.csv": f"--count 1 {_ONE_STEP}",
    f"python benchmarks/multimodal.py selection --count 200 {_GUIDANCE} --out results": "--count 2 "
    f"--candidates 1 2 --weights 1 --snr 10 {_ONE_STEP}",
    "python benchmarks/multimodal.py strip --out docs/multimodal_strip.png": f"--count 1 --snr 10 {_ONE_STEP}",
    f"python benchmarks/multimodal.py low_snr --snr -5 0 {_GUIDANCE} {_TEXT}": f"--snr 0 {_LOW}",
    f"python benchmarks/multimodal.py low_snr --snr 5 10 {_GUIDANCE} {_TEXT} --against 'no selection' "
    "'nearest neighbor' AVIF WebP DeepJSCC": f"--snr 5 {_LOW} --against AVIF",
    "python benchmarks/multimodal.py low_snr --images natural:test --text analog --count 60 --snr 0 --metrics "
    f"clip_image_similarity mobilenet_similarity ms_ssim {_GUIDANCE} --out "
    "results/multimodal_natural.csv": f"--snr 0 {_LOW} --against AVIF",
    "python benchmarks/multimodal.py retrieval --out results": "--count 8",
}

# Beginnings of printed commands that need a data set in SEMCOM_DATA, also when they are shortened.
WITH_DATA = (
    "semcom train scene",
    "semcom train multimodal_generation",
    "python benchmarks/multimodal.py selection",
    "python benchmarks/multimodal.py low_snr",
    "python benchmarks/multimodal.py retrieval",
    "python benchmarks/radio.py --semantic",
)
WITH_GNURADIO = ("python benchmarks/radio.py", "/usr/bin/python3 examples/gnuradio/channel_model.py")

# Beginning of printed commands -> why they do not run here.
ELSEWHERE = {
    "make ": "sets up an environment; test_readme.py checks the target",
    "source ": "the environment of the shell",
    "uv pip ": "changes the environment, and needs the network",
    "pip ": "changes the environment, and needs the network",
    ".venv/bin/": "changes the environment, and needs the network; the notebooks run in test_notebooks.py",
    "semcom data get": "downloads a data set; tests/images/test_published.py and test_hub.py have local servers",
    "/usr/bin/python3 examples/gnuradio/soapy.py": "needs a radio",
    "semcom app": "a server that runs until it is stopped; tests/apps",
    "semcom run scenarios/users.yaml --engine ray": "starts or needs a cluster; tests/sweep/test_ray.py",
}

# Commands before the first one of a page: what the page assumes to be there.
PREPARED = {}


@cache
def has_gnuradio():
    """Whether the Python of the system has GNU Radio."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = ["/usr/bin/python3", "-c", "import gnuradio.channels"]
    return os.path.exists(command[0]) and subprocess.run(command, env=environment, capture_output=True).returncode == 0


def executed(words):
    """The words of the command that is run in place of a printed one; None if it is not run."""
    if "=" in words[0]:
        words = words[1:]  # an environment variable
    printed = shlex.join(words)
    if printed.startswith((*ELSEWHERE, *(() if os.environ.get("SEMCOM_DATA") else WITH_DATA))):
        return None
    if printed.startswith(WITH_GNURADIO) and not has_gnuradio():
        return None
    if printed == _RECEIVE and not has_gnuradio():
        return shlex.split(SHORTENED[_RECEIVE_SHARED])
    words = ["auto" if word == "cuda" else word for word in words]  # the GPU where there is one
    if words[:2] == ["semcom", "run"] and words[2].startswith("scenarios/"):
        extra = SCENARIOS.get(Path(words[2]).stem, _SMALL)
        return [*words, "--no-report", *shlex.split(extra)]  # `semcom run mine.yaml` writes one
    shorter = shlex.split(SHORTENED.get(printed, ""))
    return shorter if shorter[:1] in (["semcom"], ["python"]) else [*words, *shorter]


@cache
def first_pages():
    """First page of each executed command; a page of results does not repeat the command of another page."""
    found = {}
    for page in PAGES:
        for block in blocks(page):
            if block.language in ("sh", "console"):
                for words in filter(None, map(executed, block.commands)):
                    found.setdefault(tuple(words), page)
    return found
