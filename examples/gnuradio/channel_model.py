"""Pass a recording through GNU Radio's channel model: noise, frequency offset, clock ratio and taps.

    python3 channel_model.py sent.sigmf-data received.sigmf-data --noise 0.1 --frequency-offset 1e-3 \\
        --clock-ratio 1.00002 --taps 1,0.3j,-0.1

Both files hold complex samples of two float32 each, the sample format cf32_le. Beside a file *.sigmf-data, its metadata
are copied, without the hash of the samples. An existing file is replaced with --force only. The script needs GNU Radio
3.10 (Debian: apt-get install gnuradio), which belongs to the Python of the system, and nothing of semcom.
"""

import argparse
import json
import math
import sys
from pathlib import Path

try:
    from gnuradio import blocks, channels, gr
except ImportError as missing:
    print(
        f"channel_model.py: error: {sys.executable} has no GNU Radio ({missing}): apt-get install gnuradio, and start "
        "the script with /usr/bin/python3",
        file=sys.stderr,
    )
    raise SystemExit(2) from None


def main() -> None:
    """Read the options and run the flowgraph until the file ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sent", help="file of the samples to send")
    parser.add_argument("received", help="file for the received samples")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of the complex noise (default: 0)")
    parser.add_argument("--frequency-offset", type=float, default=0.0, help="cycles per sample (default: 0)")
    parser.add_argument("--clock-ratio", type=float, default=1.0, help="sampling rate of the sender (default: 1)")
    parser.add_argument("--taps", default="1", help="taps at samples 0, 1, ..., with commas (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (default: 0)")
    parser.add_argument("--force", action="store_true", help="replace existing files (default: stop)")
    options = parser.parse_args()
    sent, received = Path(options.sent), Path(options.received)
    try:
        taps = [complex(tap) for tap in options.taps.split(",")]
    except ValueError:
        parser.error(f"--taps must be numbers with commas, as in 1,0.3j,-0.1, not {options.taps}")
    check_numbers(parser, options, taps)
    if sent.suffix == ".sigmf-meta":
        parser.error(f"{sent} has metadata; give the samples, {sent.with_suffix('.sigmf-data')}")
    if not sent.is_file():
        parser.error(f"{sent} does not exist")
    if not sent.stat().st_size or sent.stat().st_size % gr.sizeof_gr_complex:
        parser.error(f"{sent} has no whole samples of cf32_le, 8 bytes each; transmit with --format cf32_le")
    if received.resolve() == sent.resolve():
        parser.error(f"{received} is also the file of the samples to send")
    if not received.parent.is_dir():
        parser.error(f"the folder {received.parent} does not exist")
    meta = metadata(parser, sent, received)
    for path in (received, *([received.with_suffix(".sigmf-meta")] if meta else [])):
        if path.exists() and not (path.is_file() and options.force):
            parser.error(f"{path} exists; choose another file, or add --force")
    partial = received.with_name(f".{received.name}.partial")  # replaces the file when the samples are complete

    flowgraph = gr.top_block()
    model = channels.channel_model(
        noise_voltage=options.noise,
        frequency_offset=options.frequency_offset,
        epsilon=options.clock_ratio,
        taps=taps,
        noise_seed=options.seed,
    )
    flowgraph.connect(
        blocks.file_source(gr.sizeof_gr_complex, str(sent)),
        model,
        blocks.file_sink(gr.sizeof_gr_complex, str(partial)),
    )
    try:
        flowgraph.run()
        if meta:
            partial_meta = partial.with_suffix(".meta")
            partial_meta.write_text(meta, encoding="utf-8")
            partial_meta.replace(received.with_suffix(".sigmf-meta"))
        partial.replace(received)
    finally:
        partial.unlink(missing_ok=True)


def check_numbers(parser: argparse.ArgumentParser, options: argparse.Namespace, taps: list[complex]) -> None:
    """Refuse numbers out of the range of the channel model."""
    if not 0 <= options.noise < math.inf:
        parser.error(f"--noise must be 0 or more, not {options.noise:g}")
    if not -0.5 <= options.frequency_offset <= 0.5:
        parser.error(f"--frequency-offset must be -0.5 to 0.5 cycles per sample, not {options.frequency_offset:g}")
    if not 0.5 <= options.clock_ratio <= 2:
        parser.error(f"--clock-ratio must be 0.5 to 2, not {options.clock_ratio:g}")
    if not all(math.isfinite(abs(tap)) for tap in taps):
        parser.error(f"--taps must be finite numbers, not {options.taps}")
    if not 0 <= options.seed < 2**31:
        parser.error(f"--seed must be 0 to {2**31 - 1}, not {options.seed}")


def metadata(parser: argparse.ArgumentParser, sent: Path, received: Path) -> str:
    """Metadata of the received file: those of the sent one, if both are SigMF files; otherwise empty."""
    source = sent.with_suffix(".sigmf-meta")
    if not (sent.suffix == received.suffix == ".sigmf-data" and source.is_file()):
        return ""
    try:
        meta = json.loads(source.read_text(encoding="utf-8"))
        sample_format = meta["global"]["core:datatype"]
    except (ValueError, KeyError, TypeError):
        parser.error(f"{source} is no SigMF metadata; write it again with semcom transmit, or remove it")
    if sample_format != "cf32_le":
        parser.error(f"{sent} has samples of {sample_format}; transmit with --format cf32_le")
    meta["global"].pop("core:sha512", None)
    return json.dumps(meta, indent=2)


if __name__ == "__main__":
    main()
