"""Figure of scenes, transmitted label maps, two restorations, and WebP files of equal size.

python benchmarks/scene_strip.py --downsampling 4 --send-class-colors --out docs/scene_strip.png
"""

import argparse
from pathlib import Path

import outputs
import torch
from argument_types import whole
from scene_scores import add_weight_options, network, restorers, webp_image

from channels.errors import UsageError
from channels.modem.link_adaptation import adaptive
from semcom.images.files import to_bytes
from semcom.images.sources import load
from semcom.images.street_classes import colored
from semcom.systems.scene.agreement import (
    COLOR_BYTES,
    Agreement,
    decode_colors,
    decode_map,
    encode_colors,
    encode_map,
)
from semcom.systems.scene.class_colors import mean_class_colors
from semcom.systems.scene.packets import DOWNSAMPLINGS

TITLES = ("Original", "Label map", "Label map + GAN (semcom)", "Label map + CycleGAN", "WebP of equal size")
_PANEL_INCHES = 2.1


def row(image, segmenter, compared, options):
    """The five images of a scene, and the text below each."""
    size = tuple(image.pixels.shape[1:])
    labels = segmenter.labels(image.pixels[None])
    agreement = Agreement(cbr=1.0, frame=adaptive(), packets=1, send_class_colors=options.send_class_colors)
    slices = encode_map(labels[0], agreement, options.downsampling)
    received = decode_map(slices, agreement, size, options.downsampling)[None]
    length, colors = sum(map(len, slices)), None
    if options.send_class_colors:
        data = encode_colors(mean_class_colors(image.pixels[None], labels)[0])
        length, colors = length + len(data), decode_colors(data)[None]
    webp, webp_length = webp_image(image, length)
    restored = compared["GAN"](received, colors), compared["CycleGAN"](received)
    note = f"{length} bytes" + (f" (class colors: {COLOR_BYTES})" if options.send_class_colors else "")
    images = (image.pixels[None], colored(received), *restored, webp)
    return zip(images, ("", note, "", "", f"{webp_length} bytes"), strict=True)


def draw(images, segmenter, compared, options):
    """Write the figure, one row per scene."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = images[0].pixels.shape[1:]
    row_inches = _PANEL_INCHES * height / width + 0.22
    figure = Figure(figsize=(_PANEL_INCHES * len(TITLES), 0.25 + row_inches * len(images)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(images), len(TITLES), squeeze=False)
    for panel_row, original in zip(panels, images, strict=True):
        for panel, (image, note) in zip(panel_row, row(original, segmenter, compared, options), strict=True):
            panel.imshow(to_bytes(image[0]))
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
            panel.set_xlabel(note, fontsize=8, labelpad=2)
    for panel, title in zip(panels[0], TITLES, strict=True):
        panel.set_title(title, fontsize=9)
    outputs.write_figure(options.out, figure, dpi=150)


def main():
    """Write the figure and print its path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_weight_options(parser, ("segmenter", "restorer", "cyclegan"))
    parser.add_argument("--images", default="streets:test", help="image source; default %(default)s")
    parser.add_argument("--show", nargs="+", type=whole(0), default=[1, 5, 7], help="indices; default %(default)s")
    parser.add_argument("--downsampling", type=int, choices=DOWNSAMPLINGS, default=1, help="factor of the map")
    parser.add_argument("--send-class-colors", action="store_true", help="transmit the mean color of each class")
    outputs.add_option(parser, "PNG, SVG or PDF file", default=Path("runs/figures/scene_strip.png"))
    options = parser.parse_args()
    outputs.check_figure(parser, options)
    try:
        images = load(options.images, 1 + max(options.show))
        with torch.inference_mode():
            segmenter, compared = network(options, "segmenter"), restorers(options)
            draw([images[number] for number in options.show], segmenter, compared, options)
    except UsageError as error:
        parser.error(str(error))
    print(options.out)


if __name__ == "__main__":
    main()
