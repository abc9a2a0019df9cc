"""Columns of the rows of a point: conditions, channel knowledge of the transmitter, and metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from channels.base import Channel
from semcom import discover
from semcom.discover import user_metrics
from semcom.images.source_image import SourceImage
from semcom.link import Delivery
from semcom.metrics.metric import measure, metric
from semcom.results.table import OUTAGE
from semcom.scenario.model import COSTS, Point
from semcom.sweep.ledger import MEASURED
from semcom.system import Bound, System

if TYPE_CHECKING:
    import pyarrow


def conditions(point: Point, system: System | Bound, batch: Sequence[tuple[SourceImage, int]]) -> dict[str, list[Any]]:
    """Columns that identify a row: system, channel, conditions, image and user."""
    constants: dict[str, Any] = {
        "system": point.system.label,
        "channel": point.channel.label,
        "medium_cbr_budget": point.medium_cbr,
        "users": point.users,
        "repetition": point.repetition,
        **dict(point.settings),
        **({"source": point.images.label} if point.images.label else {}),
        "bound": isinstance(system, Bound),
        "weights": system.weights if isinstance(system, System) else "",
        "point": point.key,
    }
    return {
        "image": [image.name for image, _ in batch],
        "user": [user for _, user in batch],
        "snr_db": [point.user_snr_db(user) for _, user in batch],
        **{name: [value] * len(batch) for name, value in constants.items()},
    }


def channel_knowledge(channel: Channel, delivery: Delivery) -> dict[str, list[Any]]:
    """Columns of the channel knowledge; none if it is the average SNR, which `results.table.read` states."""
    if channel.csit.is_average:
        return {}
    columns: dict[str, list[Any]] = {"csit": [str(channel.csit)] * len(delivery.snr_db)}
    if delivery.transmitter_snr_db is not None:
        columns["transmitter_snr_db"] = delivery.transmitter_snr_db.tolist()
    return columns


def measures(point: Point, delivery: Delivery) -> dict[str, list[Any]]:
    """Columns of the metrics and of outage; a ratio of sums is stored as `name.numerator` and `name.denominator`."""
    columns: dict[str, list[Any]] = {}
    for name in dict.fromkeys((*point.metrics, OUTAGE)):
        values, column = measure(name, delivery), user_metrics.column(name)
        if isinstance(values, tuple):
            columns[f"{column}.numerator"], columns[f"{column}.denominator"] = (part.tolist() for part in values)
        else:
            columns[column] = values.tolist()
    if point.symbol_rate_hz is not None:
        columns["airtime_s"] = (delivery.medium_uses.cpu().double() / point.symbol_rate_hz).tolist()
    return columns


def tables(point: Point, columns: dict[str, list[Any]]) -> tuple[pyarrow.Table, pyarrow.Table]:
    """Rows of a point, with unit and direction of each metric, and their measured times and memory."""
    import pyarrow

    columns = dict(columns)
    times = {name: columns.pop(name) for name in ("seconds", *MEASURED)}
    seconds = pyarrow.table({name: pyarrow.array(values, pyarrow.float64()) for name, values in times.items()})
    fields, measured = [], {user_metrics.column(name): metric(name) for name in point.metrics}
    for name, values in columns.items():
        plain = name.removesuffix(".numerator").removesuffix(".denominator")
        found = measured.get(plain)
        if name == "airtime_s":
            about = {"unit": "s", "higher_is_better": "False"}
        else:
            about = {} if found is None else {"unit": found.unit, "higher_is_better": str(found.higher_is_better)}
            if found is not None and found.bounds != (None, None) and plain not in discover.metrics():
                about["bounds"] = json.dumps(found.bounds)
        kind = pyarrow.float64() if name in COSTS else pyarrow.infer_type(values)
        fields.append(pyarrow.field(name, kind, metadata=about))
    return pyarrow.table(columns, schema=pyarrow.schema(fields)), seconds
