"""Measure multimodal generation: CLIP, selection, low SNR, run time and memory, with 95 % intervals.

python benchmarks/multimodal.py retrieval   recall of captions and images by CLIP, and zero-shot class accuracy
python benchmarks/multimodal.py selection   gain in fidelity of the best of M candidates over no selection, selected by
                                            both features, one of them, other weights, at random and by an oracle
python benchmarks/multimodal.py low_snr     class accuracy and similarity at low SNR, against all baselines at equal
                                            channel uses
python benchmarks/multimodal.py cost        run time and peak memory for one image, end to end
python benchmarks/multimodal.py strip       figure of images, their candidates and scores; the selected one is framed

`--out` writes the tables of the results page. System arguments are set as in a scenario:
--set multimodal_generation.NAME=VALUE.
"""

import argparse
from pathlib import Path

import outputs
import torch
from argument_types import real, whole
from multimodal_measures import HEADS, cost, low_snr, retrieval, selection, strip

from channels.errors import UsageError
from semcom.systems.multimodal_generation.metrics import CLASSIFIER

WEIGHTS = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)
LOW_SNR_METRICS = ("class_accuracy", "clip_image_similarity", "clip_text_similarity", "mobilenet_similarity")
COUNTS = {retrieval: 1000, selection: 100, low_snr: 200, cost: 3, strip: 2}
SNR_DB = {selection: [0.0, 10.0], low_snr: [-10.0, -5.0, 0.0, 5.0, 10.0], strip: [0.0, 10.0]}
DEFAULT = "default %(default)s"


def add_arguments(command, run):
    """Add the options of a measurement."""
    counted = "number of runs" if run is cost else "number of images"
    command.add_argument("--count", type=whole(1), default=COUNTS[run], help=f"{counted}; {DEFAULT}")
    if run is not strip:
        names = [f"{name}.csv" for name in HEADS[run.__name__] if name]
        outputs.add_option(command, f"folder for {', '.join(names)}" if names else "CSV file for the table")
    if run is retrieval:
        command.add_argument("--images", default="natural:test", help=f"images with captions; {DEFAULT}")
        command.add_argument("--classes", default="imagenette:val", help=f"images with classes; {DEFAULT}")
        command.add_argument("--clip", default="", help="weight file of CLIP; default the bundled one")
        return
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="argument of a system; may be repeated"
    )
    command.add_argument("--cbr", type=real(0), default=1 / 64, help="channel uses per real number; default 1/64")
    sources = {selection: "natural:test", low_snr: "imagenette:val"}
    command.add_argument("--images", default=sources.get(run, "photos"), help=f"image source; {DEFAULT}")
    if run is selection:
        command.add_argument(
            "--candidates", type=whole(1), nargs="+", default=[1, 2, 4, 8, 16], help="numbers of candidates"
        )
        command.add_argument(
            "--weights", type=real(0, 1), nargs="+", default=WEIGHTS, help="values of image_weight, 0 to 1"
        )
        command.add_argument(
            "--classifier", default=CLASSIFIER, help=f'weight file of the evaluation network, or "none"; {DEFAULT}'
        )
    else:
        command.add_argument("--candidates", type=whole(1), default=4, help=f"number of candidates; {DEFAULT}")
    if run is not cost:
        command.add_argument(
            "--snr", type=real(), nargs="+", default=SNR_DB[run], metavar="DB", help=f"SNRs in dB; {DEFAULT}"
        )
    if run is low_snr:
        command.add_argument("--metrics", nargs="+", default=LOW_SNR_METRICS, help=f"metrics; {DEFAULT}")
        command.add_argument("--text", default="class", help=f"text_stream of multimodal_generation; {DEFAULT}")
        command.add_argument("--against", nargs="+", metavar="BASELINE", help="names of baselines; default all")
        command.add_argument(
            "--gallery", default="natural:train + imagenette:train", help=f"gallery of the nearest neighbor; {DEFAULT}"
        )
    if run is strip:
        outputs.add_option(command, "PNG, SVG or PDF file", default=Path("runs/figures/multimodal_strip.png"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="MEASUREMENT")
    for run in COUNTS:
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        add_arguments(command, run)
    options = parser.parse_args()
    heads = HEADS.get(options.run.__name__, {})
    if options.run is strip:
        outputs.check_figure(parser, options)
    elif "" in heads:
        outputs.check_file(parser, options, heads[""])
    else:
        outputs.check_tables(parser, options, heads)
    try:
        with torch.no_grad():
            tables = options.run(options)
        if "" in heads:
            outputs.write_csv(options.out, tables[""])
        elif heads:
            outputs.write_tables(options.out, tables)
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
