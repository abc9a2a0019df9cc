"""Train the bundled networks again, in the order in which they need one another, and compare them with those.

    python recipes/make.py                                  # all of them: days on two cores
    python recipes/make.py scene_segmenter scene_restorer
    python recipes/make.py deepjscc --device cuda

A recipe is a file beside this one: the commands of the stages of a training. Each stage starts from the weights of the
one before. A stage that was interrupted is resumed, and one that is finished is not repeated. The weights are in
runs/weights/NAME.safetensors. A network that others are trained with is taken from there if it is there, else it is the
bundled one.
"""

import argparse
import json
import math
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from channels.errors import UsageError
from semcom import atomic
from semcom.cli.outputs import add_force_option, guard_file
from semcom.scenario.document import read_document

FOLDER = Path(__file__).parent
ORDER = (
    "deepjscc",
    "deepjscc_edge",
    "carrier_image",
    "carrier_image_edge",
    "multimodal_autoencoder",
    "multimodal_features",
    "multimodal_clip",
    "multimodal_classifier",
    "multimodal_generator",
    "scene_segmenter",
    "scene_evaluation_network",
    "scene_restorer",
    "scene_cyclegan",
    "recognition",
)
SUFFIXES = (".safetensors", ".md")  # weights and their card


def stages(name, folder):
    """Commands of a recipe with their folders, networks that were trained again, and weights to start from."""
    recipe = read_document(FOLDER / f"{name}.yaml").data
    start = []
    for number, command in enumerate(recipe["commands"], 1):
        words = [trained_again(word, folder) for word in shlex.split(command)]
        stage = folder / name / str(number)
        yield [*words, *start, "--folder", str(stage)], stage
        start = ["--start", str(stage / f"{words[2]}.safetensors")]


def trained_again(word, folder):
    """An option such as --set=clip=multimodal_clip with the file of the network that was trained again, if any."""
    option, _, name = word.rpartition("=")
    file = folder / f"{name}.safetensors"
    return f"{option}={file}" if option.startswith("--set=") and name in ORDER and file.is_file() else word


def train(name, folder, more):
    """Train the stages of a recipe that are not finished; return the weight file."""
    weights = None
    for words, stage in stages(name, folder):
        weights = stage / f"{words[2]}.safetensors"
        if weights.is_file():
            continue
        if (stage / "checkpoint.pt").is_file():
            words = ["semcom", "train", words[2], "--resume", "--folder", str(stage)]
        print(shlex.join([*words, *more]), flush=True)
        status = subprocess.run([sys.executable, "-m", *words, *more]).returncode
        if status == 2:  # the message of semcom train says what to change
            raise SystemExit(status)
        if status:
            raise SystemExit(f"{name}: the training ended early; the same command resumes it")
    result = folder / f"{name}.safetensors"
    for suffix in SUFFIXES:
        with weights.with_suffix(suffix).open("rb") as trained, atomic.replacing(result.with_suffix(suffix)) as file:
            shutil.copyfileobj(trained, file)
    return result


def figures(file):
    """Validation results in the header of a weight file, by metric."""
    from semcom import weights

    found, _ = json.JSONDecoder().raw_decode(weights.load(str(file)).provenance["measured"])
    return found


def compare(name, trained):
    """Print the validation results of the bundled network and of the trained one."""
    bundled, ours = figures(name), figures(trained)
    print(f"{name:<44} {'bundled':>9} {'trained':>9}")
    for metric in bundled | ours:
        values = (results.get(metric, math.nan) for results in (bundled, ours))
        print(f"  {metric:<42} " + " ".join(f"{value:>9.4g}" for value in values), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"recipes: {', '.join(ORDER)} (default: all)")
    parser.add_argument("--folder", type=Path, default=Path("runs/weights"), help="folder (default: %(default)s)")
    parser.add_argument("--device", help="device of the training, as of semcom train (default: auto)")
    add_force_option(parser)
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in ORDER]
    if unknown:
        parser.error(f"no recipe {unknown[0]!r}; there are {', '.join(ORDER)}")
    chosen = [name for name in ORDER if name in options.names or not options.names]
    try:
        for name in chosen:
            for suffix in SUFFIXES:
                guard_file("--folder", options.folder / f"{name}{suffix}", [], options.force)
    except UsageError as error:
        parser.error(str(error))
    for name in chosen:
        compare(name, train(name, options.folder, ["--device", options.device] if options.device else []))


if __name__ == "__main__":
    main()
