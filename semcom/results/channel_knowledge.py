"""Channel knowledge of the transmitter in the rows of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semcom import discover

if TYPE_CHECKING:
    import pyarrow


def stated(table: pyarrow.Table, channels: dict[str, dict[str, Any]]) -> pyarrow.Table:
    """The rows with the column `csit`: `average` over fading where the rows state no other, null without fading.

    Args:
        table: rows of a run.
        channels: name and arguments of the channel of each label, from the scenario of the run.
    """
    import pyarrow

    labels = table["channel"].to_pylist()
    written = table["csit"].to_pylist() if "csit" in table.column_names else [None] * len(labels)
    over_fading = {label: [_has_fading(channels.get(label, {}))] * len(labels) for label in set(labels)}
    for label in over_fading:
        if (swept := f"{label}.fading") in table.column_names:
            over_fading[label] = [value != "none" for value in table[swept].to_pylist()]
    column = pyarrow.array(
        [
            csit or ("average" if over_fading[label][i] else None)
            for i, (label, csit) in enumerate(zip(labels, written, strict=True))
        ],
        pyarrow.string(),
    )
    if "csit" in table.column_names:
        return table.set_column(table.column_names.index("csit"), "csit", column)
    return table.append_column("csit", column)


def _has_fading(channel: dict[str, Any]) -> bool:
    """Whether a channel has fading: its argument `fading` is not none, or it has `csit` and no such argument."""
    entry = discover.entries("channel").get(channel.get("name", ""))
    defaults = {} if entry is None else {name: argument.default for name, argument in entry.arguments.items()}
    arguments = defaults | channel
    return bool(arguments["fading"] != "none") if "fading" in arguments else "csit" in arguments
