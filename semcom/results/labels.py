"""Texts of figures: names of axes and metrics, values of conditions, titles."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from channels.errors import UsageError
from semcom import discover

if TYPE_CHECKING:
    import pyarrow

_NAMES = {
    "arq_delay_s": "Delay with ARQ",
    "airtime_s": "Airtime",
    "ber": "BER",
    "bler": "BLER",
    "channel_uses": "Channel uses",
    "cbr": "Channel bandwidth ratio",
    "class_accuracy": "Classification accuracy",
    "class_accuracy_ceiling": "Classification accuracy, original images",
    "clip_image_similarity": "CLIP image similarity",
    "clip_text_similarity": "CLIP text similarity",
    "compression_ratio_to_png": "Compression ratio to PNG",
    "delay_s": "Delay",
    "designed_snr_db": "Designed SNR (dB)",
    "label_map_miou": "mIoU of received label map",
    "lpips": "LPIPS",
    "medium_cbr": "Channel bandwidth ratio, all users",
    "medium_cbr_budget": "Channel-use budget, CBR",
    "message_ber": "Message BER",
    "message_bits": "Message length",
    "miou": "mIoU",
    "miou_ceiling": "mIoU, original images",
    "mobilenet_similarity": "MobileNet similarity",
    "ms_ssim": "MS-SSIM",
    "ms_ssim_db": "MS-SSIM",
    "outage": "Outage probability",
    "papr_db": "PAPR",
    "pixel_accuracy_ceiling": "Pixel accuracy, original images",
    "psnr": "PSNR",
    "road_iou": "IoU of road",
    "rx_bytes": "Memory of parameters, receiver",
    "rx_cpu_s": "Processor time, receiver",
    "rx_gflop": "Operations, receiver",
    "rx_parameters": "Parameters, receiver",
    "rx_peak_bytes": "Peak memory, receiver",
    "snr_db": "SNR, Es/N0 (dB)",
    "snr_realized_db": "Realized SNR",
    "ssim": "SSIM",
    "tx_bytes": "Memory of parameters, transmitter",
    "tx_cpu_s": "Processor time, transmitter",
    "tx_encodings": "Encoder calls for an image file",
    "tx_gflop": "Operations, transmitter",
    "tx_parameters": "Parameters, transmitter",
    "tx_peak_bytes": "Peak memory, transmitter",
    "tx_symbol_energy": "Transmitted energy",
    "users": "Number of users",
}

_CBR = "channel uses / (3 x height x width)"


def axis_label(name: str, unit: str = "") -> str:
    """The label of an axis.

    Args:
        name: name of a metric, a condition or a swept argument.
        unit: unit of the metric, "" for a pure number.

    >>> axis_label("psnr", "dB"), axis_label("carrier_image.visible_ratio")
    ('PSNR (dB)', 'Visible ratio')
    """
    return _NAMES.get(name, _words(name).capitalize()) + (f" ({unit})" if unit else "")


def condition(name: str, value: Any) -> str:
    """One condition in words.

    >>> condition("snr_db", 10.0), condition("users", 4), condition("carrier_image.visible_ratio", 0.25)
    ('SNR 10 dB', '4 users', 'visible ratio 0.25')
    """
    match name:
        case "channel":
            return discover.title("channel", plain(value))
        case "users":
            return f"{value} user{'s' if value > 1 else ''}"
        case "snr_db":
            return f"SNR {plain(value)} dB"
        case "designed_snr_db":
            return f"designed for {plain(value)} dB"
        case "medium_cbr_budget":
            return f"CBR {ratio(value)}"
    return f"{_words(name)} {plain(value)}"


def fixed_condition(name: str, value: Any) -> str:
    """A condition of a whole run in words, which define the CBR.

    >>> fixed_condition("users", 4), fixed_condition("medium_cbr_budget", 1 / 64)
    ('4 users', 'CBR 1/64 = channel uses / (3 x height x width)')
    """
    return condition(name, value) + (f" = {_CBR}" if name == "medium_cbr_budget" else "")


def swept_definition(name: str) -> str:
    """Definition of a swept quantity that panels name by an abbreviation; empty for one that needs none.

    >>> swept_definition("medium_cbr_budget"), swept_definition("users")
    ('CBR = channel uses / (3 x height x width)', '')
    """
    return f"CBR = {_CBR}" if name == "medium_cbr_budget" else ""


def conditions(names: Sequence[str], values: Sequence[Any], swept: dict[str, list[Any]]) -> str:
    """Several conditions in words, without those that have only one value."""
    return ", ".join(condition(name, value) for name, value in zip(names, values, strict=True) if len(swept[name]) > 1)


def system(label: str, others: Collection[str] = ()) -> str:
    """The title of a system, or its label if that is not its name or if another system has the title for a label.

    >>> system("deepjscc"), system("DeepJSCC, 2 MHz"), system("deepjscc", ["DeepJSCC"])
    ('DeepJSCC', 'DeepJSCC, 2 MHz', 'deepjscc')
    """
    title = discover.title("system", label)
    return label if title in others else title


def chosen(kind: Literal["system", "channel"], text: str, labels: Collection[str]) -> str:
    """The label of a system or channel that a user names by its label or by the title that figures show.

    Args:
        kind: "system" or "channel".
        text: label or title.
        labels: labels of the run.

    Raises:
        UsageError: there is none.

    >>> chosen("system", "DeepJSCC", ["analog", "deepjscc"])
    'deepjscc'
    """
    titles = {discover.title(kind, label): label for label in labels}
    if text in labels or text in titles:
        return text if text in labels else titles[text]
    raise UsageError(f"no {kind} {text!r} in this run; {discover.nearest(text, [*dict.fromkeys([*labels, *titles])])}")


def plain(value: Any) -> str:
    """A value as text, without trailing zeros."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def ratio(value: float) -> str:
    """A ratio as a fraction with numerator 1, where it is one.

    >>> ratio(1 / 64), ratio(0.3)
    ('1/64', '0.3')
    """
    whole = round(1 / value) if value else 0
    return f"1/{whole}" if whole > 1 and abs(value * whole - 1) < 1e-6 else plain(value)


def csit(rows: pyarrow.Table) -> str:
    """Channel knowledge of the transmitter, for titles and headings.

    Empty if no channel has fading, or if the labels of all channels state it.
    """
    if "csit" not in rows.column_names:
        return ""
    channels: dict[str, list[str]] = {}
    for channel, knowledge in dict.fromkeys(zip(*rows.select(["channel", "csit"]).to_pydict().values(), strict=True)):
        if knowledge is not None:
            channels.setdefault(knowledge, []).append(discover.title("channel", channel))
    if len(channels) < 2:
        return "".join(map(knowledge_of_transmitter, channels))
    named = {"average SNR" if known == "average" else known: on for known, on in channels.items()}
    if all(_words_of(known) <= _words_of(label) for known, on in named.items() for label in on):
        return ""
    groups = (f"{known} ({'; '.join(on)})" for known, on in named.items())  # labels contain commas
    return f"CSI at the transmitter: {', '.join(groups)}"


def knowledge_of_transmitter(csit: str) -> str:
    """A value of the column `csit` in words.

    >>> knowledge_of_transmitter("average"), knowledge_of_transmitter("perfect")
    ('the transmitter knows the average SNR', 'CSI at the transmitter: perfect')
    """
    return "the transmitter knows the average SNR" if csit == "average" else f"CSI at the transmitter: {csit}"


def _words_of(text: str) -> set[str]:
    return set(text.lower().replace(",", " ").split())


def _words(name: str) -> str:
    return name.rpartition(".")[2].replace("_", " ")
