"""Pass a recording through GNU Radio's channel model: noise, frequency offset, clock ratio and taps.

    python3 channel_model.py sent.sigmf-data received.sigmf-data --noise 0.1 --frequency-offset 1e-3 \\
        --clock-ratio 1.00002 --taps 1,0.3j,-0.1

Both files hold complex samples of two float32 each, the sample format cf32_le. Beside a file *.sigmf-data, its metadata
are copied, without the hash of the samples. An existing file is replaced with --force only. The script needs GNU Radio
3.10 (Debian: apt-get install gnuradio), which belongs to the Python of the system, and nothing of semcom.
"""

import argparse
import json
from pathlib import Path

from gnuradio import blocks, channels, gr


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
    if not sent.is_file():
        parser.error(f"{sent} does not exist")
    if received.resolve() == sent.resolve():
        parser.error(f"{received} is also the file of the samples to send")
    if not received.parent.is_dir():
        parser.error(f"the folder {received.parent} does not exist")
    meta = metadata(parser, sent, received)
    for path in (received, *([received.with_suffix(".sigmf-meta")] if meta else [])):
        if path.is_file() and not options.force:
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


def metadata(parser: argparse.ArgumentParser, sent: Path, received: Path) -> str:
    """Metadata of the received file: those of the sent one, if both are SigMF files; otherwise empty."""
    source = sent.with_suffix(".sigmf-meta")
    if not (sent.suffix == received.suffix == ".sigmf-data" and source.is_file()):
        return ""
    meta = json.loads(source.read_text(encoding="utf-8"))
    if meta["global"]["core:datatype"] != "cf32_le":
        parser.error(f"{sent} has samples of {meta['global']['core:datatype']}; transmit with --format cf32_le")
    meta["global"].pop("core:sha512", None)
    return json.dumps(meta, indent=2)


if __name__ == "__main__":
    main()
