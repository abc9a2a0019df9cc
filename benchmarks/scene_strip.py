"""Scenes, the maps that are sent of them, both restorations, and WebP files of as many bytes, side by side.

python benchmarks/scene_strip.py --coarseness 2 --colour --out docs/scene_strip.png
"""

import argparse
from pathlib import Path

import torch
from label_map import within
from scene import WEIGHTS, network, painters, webp_of

from channels._errors import UsageError
from semcom.images import load, to_bytes
from semcom.systems.scene import packets, wire
from semcom.systems.scene.classes import coloured
from semcom.systems.scene.palette import mean_colours
from semcom.systems.scene.segmenter import Segmenter

HEADS = ("scene", "label map", "restored by us", "restored by CycleGAN", "WebP of as many bytes")
_INCHES = 2.1  # across a panel


def row(picture, sees, known, options):
    """The five pictures of a scene, and what stands below each."""
    size = tuple(picture.pixels.shape[1:])
    labels = sees.labels(picture.pixels[None])
    agreement = wire.Wire(cbr=1, frame=None, packets=1, colour=options.colour)  # as in a packet, without its head
    slices = wire.slices_of(labels[0], agreement, options.coarseness)
    arrived = wire.map_of(slices, agreement, size, options.coarseness)[None]
    length, palette = sum(map(len, slices)), None
    if options.colour:
        sent = wire.colours_to_bytes(mean_colours(picture.pixels[None], labels)[0])
        length, palette = length + len(sent), wire.colours_from_bytes(sent)[None]
    webp, webp_length = webp_of(picture, length)
    shown = (picture.pixels[None], coloured(arrived), known["ours"](arrived, palette), known["CycleGAN"](arrived), webp)
    told = f"{length} bytes" + (f", {wire.COLOUR_BYTES} of them colours" if options.colour else "")
    return zip(shown, ("", told, "", "", f"{webp_length} bytes"), strict=True)


def draw(pictures, sees, known, options):
    """Write the figure: a row a scene."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = pictures[0].pixels.shape[1:]
    below = _INCHES * height / width + 0.22
    drawing = Figure(figsize=(_INCHES * len(HEADS), 0.25 + below * len(pictures)), layout="constrained")
    drawing.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    FigureCanvasAgg(drawing)
    panels = drawing.subplots(len(pictures), len(HEADS), squeeze=False)
    for line, picture in zip(panels, pictures, strict=True):
        for panel, (image, note) in zip(line, row(picture, sees, known, options), strict=True):
            panel.imshow(to_bytes(image[0]))
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
            panel.set_xlabel(note, fontsize=8, labelpad=2)
    for panel, head in zip(panels[0], HEADS, strict=True):
        panel.set_title(head, fontsize=9)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(options.out, dpi=150)


def main():
    """Draw it and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for part in ("segmenter", "restorer", "cyclegan"):
        parser.add_argument(f"--{part}", default=WEIGHTS[part], help="weight file; default %(default)s")
    parser.add_argument("--images", default="streets:test", help="default %(default)s")
    parser.add_argument(
        "--show", nargs="+", type=within(0), default=[1, 5, 7], help="which of them; default %(default)s"
    )
    coarseness = within(0, packets.COARSEST)
    parser.add_argument("--coarseness", type=coarseness, default=0, help="as of the system scene; default %(default)s")
    parser.add_argument("--colour", action="store_true", help="send the mean colour of each class, too")
    parser.add_argument("--out", type=Path, default=Path("runs/figures/scene_strip.png"))
    options = parser.parse_args()
    try:
        pictures = load(options.images, 1 + max(options.show))
        with torch.inference_mode():
            sees, known = network(options.segmenter, Segmenter), painters(options)
            draw([pictures[number] for number in options.show], sees, known, options)
    except UsageError as error:
        parser.error(str(error))
    print(options.out)


if __name__ == "__main__":
    main()
