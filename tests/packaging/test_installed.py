"""The wheel and the sdist: their contents, and their use in a new environment with the packages of the core alone."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image
from skimage.data import astronaut

ROOT = Path(__file__).parents[2]


def tracked():
    """Files of the repository, also those that are not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def build(source, out):
    """Build the sdist of a folder, and a wheel from the sdist and another one from the folder, as pip does."""
    code = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"

    def run(folder, function, target):
        target.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-W", "error::DeprecationWarning", "-c", code, function, str(target)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return target / done.stdout.split()[-1]

    sdist = run(source, "build_sdist", out)
    with tarfile.open(sdist) as archive:
        archive.extractall(out / "unpacked", filter="data")
    (unpacked,) = (out / "unpacked").iterdir()
    return sdist, run(unpacked, "build_wheel", out / "from_sdist"), run(source, "build_wheel", out / "from_tree")


def core_packages(wheel):
    """Distributions that the wheel requires without extras, and those that they require."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        written = file.read(name).decode()
    waiting = [(text, "") for text in re.findall(r"^Requires-Dist: (.+)$", written, re.MULTILINE)]
    found = {}
    while waiting:
        text, extra = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in found:
            found[name] = metadata.distribution(name)
            waiting += [(inner, "") for inner in found[name].requires or ()]
        waiting += [(inner, wanted) for wanted in requirement.extras for inner in found[name].requires or ()]
    return found


def new_environment(folder, packages):
    """A virtual environment with links to the files of some installed packages: nothing else can be imported there.

    Compiled modules are linked too: to compile PyTorch takes longer than all commands of the test.
    """
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for package in packages.values():
        for file in package.files:
            if ".." not in file.parts and file.suffix != ".pyc":
                target, source = site / file, Path(package.locate_file(file))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
                if source.suffix == ".py" and os.path.exists(compiled := cache_from_source(str(source))):
                    folder_of_compiled = target.parent / "__pycache__"
                    folder_of_compiled.mkdir(exist_ok=True)
                    (folder_of_compiled / Path(compiled).name).symlink_to(compiled)
    return folder / "bin" / "python"


MISSING = {  # command: extra that the only line on stderr names
    "check scene": "semantic",
    "train multimodal_generation --steps 1": "semantic",
    "send photo.jpg --system scene --snr 9": "semantic",
    "run metric.yaml": "semantic",
    "run lpips.yaml": "lpips",
    "run core.yaml --engine ray --out cluster": "ray",
    "send photo.jpg --system onnx:encoder=a.onnx,decoder=b.onnx --snr 9": "onnx",
    "send photo.jpg --system keras:encoder=a.keras,decoder=b.keras --snr 9": "tensorflow",
    "send photo.jpg --system deepjscc:weights=hub:a/b/c.safetensors --snr 9": "hub",
    "send photo.jpg --system carrier_image:preset=base --snr 9": "semantic",
    "data get hf:org/set:train": "data",
    "app": "app",
}
WORKING = (
    "list",
    "show scene",
    "data list",
    "send photo.jpg --system digital --system analog --system capacity --channel cdl --snr 15 --out over_cdl",
    "send photo.jpg --system carrier_image --channel tdl --snr 15 --out carrier.png --payload note --payload-out got",
    "run core.yaml",
)
SCRIPT = """
import contextlib, io, json, shlex, sys
from semcom.cli.main import main
results = {}
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(shlex.split(command))
    results[command] = status, out.getvalue(), err.getvalue()
print(json.dumps(results))
"""
SCENARIO = """
title: core
systems: [{name: digital}, {name: deepjscc}]
channel: {name: rayleigh}
medium_cbr: 0.0625
sweep: {snr_db: [10]}
images: {source: photos, count: 1, size: 64}
metrics: [psnr]
"""


def check_contents(sdist, from_sdist, from_tree):
    """Both wheels are equal and have all files of the packages and the demo; the sdist has what builds and explains."""
    files = tracked()
    contents = []
    for wheel in (from_sdist, from_tree):
        with zipfile.ZipFile(wheel) as file:
            contents.append({item.filename: item.CRC for item in file.infolist() if "dist-info" not in item.filename})
    assert contents[0] == contents[1]
    package = {name for name in files if name.startswith(("semcom/", "channels/"))}
    demo = {f"semcom-{metadata.version('semcom')}.data/data/share/semcom/{name}" for name in files if is_demo(name)}
    assert set(contents[0]) == package | demo
    assert {"semcom/py.typed", "channels/py.typed", "semcom/__init__.pyi"} <= package
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert inside >= package | {name for name in files if is_demo(name)}
    assert inside >= {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "constraints.txt"}


def is_demo(name):
    return name.startswith("apps/") and name.endswith((".py", ".js", ".css"))


def test_wheel_and_sdist_work_with_the_core_alone(tmp_path):
    source = tmp_path / "source"
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    sdist, from_sdist, from_tree = build(source, tmp_path / "dist")
    check_contents(sdist, from_sdist, from_tree)

    packages = core_packages(from_sdist)
    absent = {
        "timm",
        "transformers",
        "diffusers",
        "torchvision",
        "huggingface-hub",
        "sionna-no-rt",
        "h5py",
        "streamlit",
    }
    assert not absent & packages.keys()
    python = new_environment(tmp_path / "environment", packages)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-index", str(from_sdist)], check=True)  # every requirement is there
    subprocess.run([*pip, "check"], check=True, stdout=subprocess.DEVNULL)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.fromarray(astronaut()).resize((128, 128)).save(elsewhere / "photo.jpg")
    (elsewhere / "note").write_text("hello")
    (elsewhere / "core.yaml").write_text(SCENARIO)
    for name, metric in (("metric", "clip_image_similarity"), ("lpips", "lpips")):
        (elsewhere / f"{name}.yaml").write_text(SCENARIO.replace("psnr", f"psnr, {metric}"))
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SEMCOM_DATA")}
    environment |= {"SEMCOM_CACHE": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*command):
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=900)

    sent = run(
        python.with_name("semcom"),
        *["send", "photo.jpg", "--system", "digital", "--system", "deepjscc", "--snr", "10", "--out", "received"],
    )
    assert sent.returncode == 0, sent.stderr
    assert sorted(os.listdir(elsewhere / "received")) == [
        "1-photo-deepjscc.png",
        "1-photo-digital.png",
        "comparison.png",
    ]

    done = run(python, "-c", SCRIPT, json.dumps([*WORKING, *MISSING]))
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    for command in WORKING:
        status, _, err = results[command]
        assert status == 0, (command, err)
    assert (elsewhere / "got").read_text() == "hello"
    listed = results["list"][1]
    assert all(f"  {name} " in listed for name in ("scene", "multimodal_generation", "onnx", "miou", "lpips"))
    assert "not installed, pip install 'semcom[semantic]':" in listed
    for command, extra in MISSING.items():
        status, _, err = results[command]
        assert (status, len(err.splitlines())) == (2, 1), (command, err)
        assert err.endswith(f" is not installed: pip install 'semcom[{extra}]'\n"), (command, err)
