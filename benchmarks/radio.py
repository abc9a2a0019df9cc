"""Images over GNU Radio's channel model, over the project's own impairments, and over AWGN at the measured SNR.

    python benchmarks/radio.py --out results/radio_gnuradio.csv
    SEMCOM_DATA=... python benchmarks/radio.py --semantic --out results/radio_semantic.csv
    python benchmarks/radio.py --strip docs/radio_strip.png

Each image is transmitted as a waveform with noise, a frequency offset of 1e-3 cycles per sample, a clock ratio of
1 + 2e-5 and three taps: once through GNU Radio (examples/gnuradio/channel_model.py, which needs /usr/bin/python3 with
GNU Radio), once through channels.waveform. The third column sends the same symbols over AWGN of the noise variance that
the receiver measured behind GNU Radio; the last one is the difference of the first two, paired by image. With
--semantic, label maps and generated images are measured by their metrics. The strip shows what was received
behind GNU Radio.
"""

import argparse
import os
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import outputs
import torch
from argument_types import real, whole

from channels.base import Received
from channels.rng import Rng
from channels.waveform.impairments import Impairments
from channels.waveform.receiver import Receiver
from semcom.images import load
from semcom.images.files import to_bytes
from semcom.link import Delivery
from semcom.metrics import measure as evaluate
from semcom.radio.link import decode, encode
from semcom.radio.shared import Shared
from semcom.results.intervals import estimate
from semcom.sweep.single import link_for
from semcom.system import Sample


@dataclass(frozen=True)
class Case:
    """A system with its images, budget and metric."""

    label: str
    system: str
    source: str = "photos"
    count: int = 4
    cbr: float = 1 / 8
    metric: str = "psnr"

    def images(self):
        """Images of 128 x 128 pixels, street scenes in their own size."""
        return load(source=self.source, count=self.count, **({"size": 128} if self.source == "photos" else {}))


FIDELITY = (
    Case("DeepJSCC", "deepjscc"),
    Case("AVIF + LDPC, 16QAM rate 1/4", "digital:codec=avif,adaptation=fixed,modulation=16qam,code_rate=0.25"),
    Case("Carrier image", "carrier_image"),
    Case("Analog DCT", "analog"),
)
SEMANTIC = (
    Case("Label map + GAN", "scene:packets=1", "streets:test", 4, 1 / 32, "label_map_miou"),
    Case(
        "Multimodal generation, 1 candidate",
        "multimodal_generation:candidates=1",
        "natural:test",
        40,
        1 / 16,
        "clip_image_similarity",
    ),
)
METRICS = {"psnr": "PSNR (dB)", "label_map_miou": "Label map mIoU", "clip_image_similarity": "CLIP image similarity"}
COLUMNS = {
    "samples": "Samples per image",
    "measured_snr_db": "Measured SNR (dB)",
    "gnuradio": "{}GNU Radio{}",
    "own": "{}channel waveform{}",
    "awgn": "{}AWGN at the measured SNR{}",
}
DIFFERENCE = "GNU Radio less channel waveform, 95 % interval"
SNRS_DB = (5.0, 10.0, 15.0)
SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "gnuradio" / "channel_model.py"
TAPS = np.array([1, 0.3j, -0.1]) / np.linalg.norm([1, 0.3, 0.1])
OFFSET, CLOCK_PPM = 1e-3, 20.0


def through_gnuradio(samples, noise, seed):
    with tempfile.TemporaryDirectory() as folder:
        sent, received = Path(folder) / "sent.cf32", Path(folder) / "received.cf32"
        samples.numpy().tofile(sent)
        options = {"noise": noise, "frequency-offset": OFFSET, "clock-ratio": 1 + CLOCK_PPM * 1e-6, "seed": seed}
        options["taps"] = ",".join(str(tap).strip("()") for tap in TAPS)
        arguments = [f"--{name}={value}" for name, value in options.items()]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        subprocess.run(["/usr/bin/python3", SCRIPT, sent, received, *arguments], check=True, env=environment)
        return torch.from_numpy(np.fromfile(received, np.complex64))


def through_own_channel(samples, noise, seed):
    filtered = np.convolve(samples.numpy(), TAPS).astype(np.complex64)
    impairments = Impairments(frequency_offset=OFFSET, clock_offset_ppm=CLOCK_PPM)
    return impairments.receive(torch.from_numpy(filtered), 4, noise**2, Rng([seed]))


def score(case, reception, image):
    """The metric of one image; for mIoU the mean over the classes that are present."""
    sample = Sample(image.pixels[None], labels=None if image.labels is None else image.labels[None])
    zero = torch.zeros(1, dtype=torch.int64)
    value = evaluate(case.metric, Delivery(sample, reception, {}, zero, zero, None, zero.float(), None))
    if isinstance(value, tuple):
        numerator, denominator = value
        value = (numerator[denominator > 0] / denominator[denominator > 0]).mean()
    return float(value)


def over_awgn(shared, image, samples, frame, seed):
    """The payload of `samples` over AWGN of the measured noise variance."""
    (clean,), _ = Receiver(shared.channel().layout, shared.configuration).receive(samples)
    symbols, noise_var = clean.symbols, frame.noise_var.mean().expand(len(frame.symbols))
    noise = Rng([seed]).complex_normal(len(symbols), variance=noise_var[:1])[0]
    count = torch.tensor([len(symbols)])
    gains = torch.ones(1, 1, len(symbols), dtype=torch.complex64)
    received = Received((symbols + noise)[None], noise_var[None], count, torch.zeros(1), gains)
    receiver = link_for(shared.point(10.0), shared.channel(), image).system.receiver
    with torch.no_grad():
        return receiver.decode(received, tuple(image.pixels.shape[1:]), Rng([seed]))


def transmitted(shared, image, snr_db):
    """Samples of an image, the standard deviation of the noise for an SNR, and the shared configuration."""
    samples, ((first, count, _),), shared = encode(shared, [image], snr_db)
    power = float(samples[first : first + count].abs().square().mean()) * 4  # of a symbol
    return samples, (power * 10 ** (-snr_db / 10)) ** 0.5, shared


def measure(case, image, snr_db, seed):
    samples, noise, shared = transmitted(Shared(case.system, "waveform", case.cbr, 1e6), image, snr_db)
    row = {"samples": len(samples)}
    for name, channel in (("gnuradio", through_gnuradio), ("own", through_own_channel)):
        images, *_ = decode(shared, channel(samples, noise, seed))
        row[name] = score(case, images[0].reception, image)
        if name == "gnuradio":
            frame = images[0].frames[0]
            row["measured_snr_db"] = -10 * float(torch.log10(frame.noise_var.mean()))
            row["awgn"] = score(case, over_awgn(shared, image, samples, frame, seed), image)
    return row


def head_of(cases):
    """Column names of the table; the metric is in them if all cases have the same one."""
    same = len({case.metric for case in cases}) == 1
    texts = ("PSNR, ", " (dB)") if same else ("", "")
    headings = [heading.format(*texts) for heading in COLUMNS.values()]
    headings = headings if same else [heading[0].upper() + heading[1:] for heading in headings]
    return ["System", *([] if same else ["Metric"]), "SNR (dB)", *headings, DIFFERENCE]


def write_table(path, cases, snrs_db):
    """One row per system and SNR; the file is replaced after each of them."""
    table = [head_of(cases)]
    for case in cases:
        images = case.images()
        for snr_db in snrs_db:
            rows = [measure(case, image, snr_db, seed) for seed, image in enumerate(images)]
            means = [np.mean([row[column] for row in rows]) for column in COLUMNS]
            digits = 2 if case.metric == "psnr" else 3
            values = [f"{means[1]:.2f}", *(f"{mean:.{digits}f}" for mean in means[2:])]
            differences = np.array([row["gnuradio"] - row["own"] for row in rows])
            values.append(str(estimate(differences, np.ones(len(rows)), range(len(rows)))))
            metric = [METRICS[case.metric]] if "Metric" in table[0] else []
            table.append([case.label, *metric, f"{snr_db:g}", f"{means[0]:.0f}", *values])
            outputs.write_csv(path, table)


def draw_strip(path, cases, snrs_db):
    """The first image of each system, and what was received behind GNU Radio."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.9 * (1 + len(snrs_db)), 1.75 * len(cases) + 0.3), layout="constrained")
    panels = figure.subplots(len(cases), 1 + len(snrs_db))
    for line, case in zip(panels, cases, strict=True):
        shown = case if case.source.startswith("streets") else replace(case, source="photos", count=1)
        image, shared = shown.images()[0], Shared(case.system, "waveform", case.cbr, 1e6)
        line[0].imshow(to_bytes(image.pixels))
        line[0].set_ylabel(case.label.replace(", ", ",\n").replace(" + ", " +\n"), fontsize=8)
        for panel, snr_db in zip(line[1:], snrs_db, strict=True):
            samples, noise, complete = transmitted(shared, image, snr_db)
            images, *_ = decode(complete, through_gnuradio(samples, noise, 0))
            panel.imshow(to_bytes(images[0].reception.images[0]))
    for panel, title in zip(
        panels[0], ("Transmitted", *(f"Received, {snr_db:g} dB" for snr_db in snrs_db)), strict=True
    ):
        panel.set_title(title, fontsize=9)
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    outputs.write_figure(path, figure, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outputs.add_option(parser, "CSV file for the numbers")
    parser.add_argument("--semantic", action="store_true", help="measure label maps and generation (default: images)")
    parser.add_argument("--strip", type=Path, help="PNG file for a figure of images behind GNU Radio")
    parser.add_argument(
        "--snr", type=real(-100, 100), nargs="+", default=SNRS_DB, metavar="DB", help="SNRs (default: 5, 10 and 15 dB)"
    )
    parser.add_argument("--count", type=whole(1), help="images of each system (default: 4, and 40 for generation)")
    options = parser.parse_args()
    if options.out is None and options.strip is None:
        parser.error("give --out, --strip or both")
    cases = SEMANTIC if options.semantic else FIDELITY
    if options.count is not None:
        cases = [replace(case, count=options.count) for case in cases]
    outputs.check_file(parser, options, head_of(cases))
    outputs.check_figure(parser, options, option="--strip")
    torch.set_num_threads(1)
    if options.out is not None:
        write_table(options.out, cases, options.snr)
    if options.strip is not None:
        draw_strip(options.strip, (*FIDELITY, *SEMANTIC), options.snr)


if __name__ == "__main__":
    outputs.run(main)
