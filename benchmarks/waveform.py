"""Speed of the modulator and the receiver of the waveform, and of a whole radio link, on one thread.

    python benchmarks/waveform.py --out results/waveform_speed.csv

A recording has eight frames with 122880 payload symbols in all at 20 dB. The link transmits one photograph of 128 x 128
pixels at CBR 1/8 with DeepJSCC: encoder, modulator, detection and equalization, decoder; its networks are loaded.
Shortest processor time of some passes.
"""

import argparse
import time

import outputs
import torch
from argument_types import whole

from channels import waveform
from channels.rng import Rng
from channels.waveform.header import Header
from channels.waveform.modulator import modulate
from semcom.images import load
from semcom.radio.link import decode, encode
from semcom.radio.shared import Shared

HEAD = (
    "Waveform",
    "Modulator (Msample/s)",
    "Detection (Msample/s)",
    "Receiver (Msample/s)",
    "One image, both ends (s)",
)
FRAMES, NOISE_VAR = 8, 0.01
WAVEFORMS = {"Single carrier": "waveform", "OFDM, 64 subcarriers": "waveform:subcarriers=64"}


def seconds(function, passes):
    """Shortest processor time of a function, after one call that loads and compiles."""
    function()
    times = []
    for _ in range(passes):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def speeds(channel, passes):
    """Msample/s of the modulator, of the detection alone, and of the whole receiver."""
    uses = FRAMES * channel.layout.payload
    header = Header(channel.receiver.configuration, uses)
    symbols = Rng([1]).complex_normal(uses)[0]
    sent = modulate(symbols, channel.layout, header)
    recording = sent + Rng([2]).complex_normal(len(sent), variance=torch.tensor([NOISE_VAR]))[0]
    found, rejected = channel.receiver.receive(recording)
    assert len(found) == FRAMES
    assert not rejected
    parts = (
        lambda: modulate(symbols, channel.layout, header),
        lambda: channel.receiver.detect(recording),
        lambda: channel.receiver.receive(recording),
    )
    return [len(recording) / 1e6 / seconds(part, passes) for part in parts]


def link_seconds(name, passes):
    """Processor time of one image from pixels to pixels."""
    shared, image = Shared("deepjscc", name, 1 / 8, 1e6), load("photos", count=1, size=128)[0]

    def link():
        samples, _, complete = encode(shared, [image], 20.0)
        images, *_ = decode(complete, samples)
        assert images

    return seconds(link, passes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outputs.add_option(parser, "CSV file for the table", required=True)
    parser.add_argument("--passes", type=whole(1), default=5, help="number of passes (default: %(default)s)")
    options = parser.parse_args()
    outputs.check_file(parser, options, HEAD)
    torch.set_num_threads(1)
    rows = [HEAD]
    for label, name in WAVEFORMS.items():
        subcarriers = 64 if "subcarriers" in name else None
        values = [f"{value:.1f}" for value in speeds(waveform.build(subcarriers=subcarriers), options.passes)]
        rows.append([label, *values, f"{link_seconds(name, options.passes):.2f}"])
        print(*rows[-1], sep=", ", flush=True)
    outputs.write_csv(options.out, rows)


if __name__ == "__main__":
    outputs.run(main)
