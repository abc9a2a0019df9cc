"""The certificate of channels and modem: its size, and the lines that the documentation quotes, as CSV tables.

    python benchmarks/certificate.py --out results

The measurements are those of `semcom certify`, with one thread.
"""

import argparse
import time

import outputs
import torch
from argument_types import real

from channels import certificate

HEADS = {
    "channel_certificate": ("Quantity", "Value"),
    "certificate_waveform": ("Waveform", "Quantity", "Measured", "Theory", "Limit"),
    "certificate_antennas": ("Channel", "Quantity", "Measured", "Theory", "Limit"),
}
WAVEFORMS = {"waveform": "single carrier", "waveform ofdm": "OFDM"}
ANTENNAS = ("mimo", "relay", "interference")
QUANTITIES = ("capacity", "BER", "P(SNR", "noise and interference")  # of `ANTENNAS`; the others are noise and energy


def limit(line):
    """Largest difference that passes; for a statistical comparison, 4 standard errors."""
    return f"{line.limit:g} standard errors" if line.kind == "z" else f"{line.limit:g}"


def row(line, label):
    quantity = line.name.partition(": ")[2].replace("|error|^2", "squared error")  # "|" divides columns of a page
    return [label, quantity, f"{line.measured:.4g}", f"{line.expected:.4g}", limit(line)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outputs.add_option(parser, "folder for the tables", required=True)
    parser.add_argument("--scale", type=real(0.01), default=1.0, help="factor on the numbers of samples (default: 1)")
    options = parser.parse_args()
    outputs.check_tables(parser, options, HEADS)
    torch.set_num_threads(1)
    start = time.process_time()
    found = certificate.certify(options.scale)
    seconds = time.process_time() - start
    subjects = [(line, line.name.partition(": ")[0]) for line in found.lines]
    passed = sum(line.passed for line in found.lines)
    count = [
        ["Comparisons within their limits", f"{passed} of {len(found.lines)}"],
        ["Processor time, one thread", f"{seconds:.0f} s"],
    ]
    waveforms = [row(line, WAVEFORMS[name]) for line, name in subjects if name in WAVEFORMS]
    antennas = [
        row(line, name)
        for line, name in subjects
        if name.startswith(ANTENNAS) and line.name.partition(": ")[2].startswith(QUANTITIES)
    ]
    tables = dict(zip(HEADS, (count, waveforms, antennas), strict=True))
    outputs.write_tables(options.out, {name: [HEADS[name], *rows] for name, rows in tables.items()})
    print(*(f"{options.out / name}.csv: {len(rows)} rows" for name, rows in tables.items()), sep="\n")


if __name__ == "__main__":
    outputs.run(main)
