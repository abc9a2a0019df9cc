"""Send or record a file of samples with a radio that SoapySDR supports: USRP, Pluto, LimeSDR, HackRF and others.

    python3 soapy.py transmit sent.sigmf-data --device driver=plutosdr --frequency 433.92e6 --gain 10 --seconds 5
    python3 soapy.py receive received.sigmf-data --device driver=uhd --frequency 433.92e6 --gain 30 --seconds 1

Files hold complex samples of two float32 each (cf32_le); a recording gets a file of SigMF metadata beside it. A wrong
option, file or device is reported in one line, with exit status 2. The script needs GNU Radio 3.10 with SoapySDR
(Debian: apt-get install gnuradio soapysdr-module-all), which belong to the Python of the system, and nothing of semcom.

NOT TESTED with a radio: none was available. Before transmitting over the air, read the rules of your country for power
and frequency bands.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

try:
    from gnuradio import blocks, gr, soapy
except ImportError as missing:
    print(
        f"soapy.py: error: {sys.executable} has no GNU Radio with SoapySDR ({missing}): apt-get install gnuradio "
        "soapysdr-module-all, and start the script with /usr/bin/python3",
        file=sys.stderr,
    )
    raise SystemExit(2) from None


def open_radio(parser: argparse.ArgumentParser, options: argparse.Namespace) -> gr.basic_block:
    """Sink or source of the radio with its settings; one line if there is no such radio, or it has no such setting."""
    arguments = (options.device, "fc32", 1, "", "", [""], [""])
    try:
        radio = soapy.sink(*arguments) if options.direction == "transmit" else soapy.source(*arguments)
    except (RuntimeError, ValueError, IndexError) as error:
        parser.error(f"--device {options.device}: {one_line(error)}; SoapySDRUtil --find lists the radios")
    settings = [("sample_rate", options.sample_rate), ("frequency", options.frequency)]
    settings += [("bandwidth", options.sample_rate), ("gain", options.gain)]
    settings += [("antenna", options.antenna)] if options.antenna else []
    for name, value in settings:
        try:
            getattr(radio, f"set_{name}")(0, value)
        except (RuntimeError, ValueError, IndexError) as error:
            parser.error(f"{options.device} refuses the {name.replace('_', ' ')} {value}: {one_line(error)}")
    return radio


def one_line(error: Exception) -> str:
    """Text of an error without line breaks."""
    return " ".join(str(error).split())


def flowgraph(parser: argparse.ArgumentParser, options: argparse.Namespace) -> gr.top_block:
    """File to radio, repeated, or radio to file."""
    graph, radio = gr.top_block(), open_radio(parser, options)
    if options.direction == "transmit":
        scale = blocks.multiply_const_cc(options.amplitude)
        graph.connect(blocks.file_source(gr.sizeof_gr_complex, options.file, True), scale, radio)
    else:
        count = round(options.seconds * options.sample_rate)
        graph.connect(
            radio,
            blocks.head(gr.sizeof_gr_complex, count),
            blocks.file_sink(gr.sizeof_gr_complex, str(partial_of(Path(options.file)))),
        )
    return graph


def partial_of(path: Path) -> Path:
    """File that replaces `path` when it is complete."""
    return path.with_name(f".{path.name}.partial")


def metadata(options: argparse.Namespace) -> dict:
    """SigMF metadata of a recording."""
    content = {"core:datatype": "cf32_le", "core:sample_rate": options.sample_rate, "core:version": "1.2.0"}
    captures = [{"core:sample_start": 0, "core:frequency": options.frequency}]
    return {"global": content, "captures": captures, "annotations": []}


def main() -> None:
    """Read the options and run the flowgraph."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("direction", choices=("transmit", "receive"))
    parser.add_argument("file", help="file of the samples")
    parser.add_argument("--device", required=True, help="SoapySDR device, as in driver=uhd or driver=plutosdr")
    parser.add_argument("--frequency", type=float, required=True, help="carrier frequency in Hz")
    parser.add_argument("--sample-rate", type=float, default=1e6, help="samples per second (default: 1e6)")
    parser.add_argument("--gain", type=float, default=0.0, help="gain of the radio in dB (default: 0, the least)")
    parser.add_argument("--antenna", default="", help="name of the antenna port (default: that of the driver)")
    parser.add_argument("--amplitude", type=float, default=0.5, help="factor on the sent samples (default: 0.5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="duration in seconds (default: 1)")
    parser.add_argument("--force", action="store_true", help="replace existing files (default: stop)")
    options = parser.parse_args()
    check(parser, options)
    graph, file = flowgraph(parser, options), Path(options.file)
    if options.direction == "transmit":
        graph.start()
        time.sleep(options.seconds)
        graph.stop()
        graph.wait()
        return
    try:
        graph.run()
        meta = file.with_suffix(".sigmf-meta")
        partial_of(meta).write_text(json.dumps(metadata(options), indent=2), encoding="utf-8")
        partial_of(meta).replace(meta)
        partial_of(file).replace(file)
    finally:
        partial_of(file).unlink(missing_ok=True)


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse numbers out of range, and files that cannot be read or written."""
    for name in ("frequency", "sample_rate", "seconds"):
        value = getattr(options, name)
        if not 0 < value < math.inf:
            parser.error(f"--{name.replace('_', '-')} must be a number above 0, not {value:g}")
    if not 0 <= options.gain < math.inf:
        parser.error(f"--gain must be 0 dB or more, not {options.gain:g}")
    if not 0 < options.amplitude <= 1:
        parser.error(f"--amplitude must be above 0 and at most 1, not {options.amplitude:g}")
    file = Path(options.file)
    if file.suffix == ".sigmf-meta":
        parser.error(f"{file} has metadata; give the samples, {file.with_suffix('.sigmf-data')}")
    if options.direction == "transmit":
        check_sent(parser, file, options.sample_rate)
        return
    if file.suffix != ".sigmf-data":
        parser.error(f"{file} must be a SigMF file of samples; name it {file.with_suffix('.sigmf-data')}")
    if not file.parent.is_dir():
        parser.error(f"the folder {file.parent} does not exist")
    for path in (file, file.with_suffix(".sigmf-meta")):
        if path.exists() and not (path.is_file() and options.force):
            parser.error(f"{path} exists; choose another file, or add --force")


def check_sent(parser: argparse.ArgumentParser, file: Path, sample_rate: float) -> None:
    """Refuse a file without samples, or whose metadata state another format or sample rate."""
    if not file.is_file():
        parser.error(f"{file} does not exist")
    if not file.stat().st_size or file.stat().st_size % gr.sizeof_gr_complex:
        parser.error(f"{file} has no whole samples of cf32_le, 8 bytes each; transmit with --format cf32_le")
    source = file.with_suffix(".sigmf-meta")
    if file.suffix != ".sigmf-data" or not source.is_file():
        return
    try:
        stated = json.loads(source.read_text(encoding="utf-8"))["global"]
        sample_format, rate = stated["core:datatype"], float(stated.get("core:sample_rate", sample_rate))
    except (ValueError, KeyError, TypeError, AttributeError):
        parser.error(f"{source} is no SigMF metadata; write it again with semcom transmit, or remove it")
    if sample_format != "cf32_le":
        parser.error(f"{file} has samples of {sample_format}; transmit with --format cf32_le")
    if rate != sample_rate:
        parser.error(f"{file} has {rate:g} samples/s; set --sample-rate {rate:g}, not {sample_rate:g}")


if __name__ == "__main__":
    main()
