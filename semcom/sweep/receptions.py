"""Received images that a run did not save: transmit them again, with the same noise and fading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from channels.errors import UsageError
from semcom import atomic, devices
from semcom.results import strip
from semcom.scenario.load import load_scenario
from semcom.sweep.run_folder import png

if TYPE_CHECKING:
    import pyarrow


def with_images(table: pyarrow.Table, out: Path, choice: strip.Choice) -> pyarrow.Table:
    """The table with an image file in each row that a strip shows.

    A run saves the first image as received by the first user. Others are transmitted again, and saved in OUT/images.

    Args:
        table: table from `semcom.results.table.read`.
        out: folder of the run.
        choice: image, channel and user of the strip.

    Raises:
        UsageError: the run has no such image, channel or user; the scenario or the weights have changed since; the
            images cannot be saved.
    """
    rows = [row for row in strip.chosen_rows(table, choice) if not row["image_file"]]
    if not rows:
        return table
    from semcom.sweep import inputs, record, transmission

    recorded, _ = record.device_of(out)
    device = recorded if devices.is_available(recorded) else "cpu"
    points = {point.key: point for point in load_scenario(out / "scenario.yaml").points()}
    files = {}
    for row in rows:
        path = out / "images" / strip.received_file(row)
        if row["point"] not in points:
            raise UsageError(
                f"{row['image']} cannot be transmitted again: {out} was written by another version; "
                "run the scenario again"
            )
        if not path.is_file():
            point = points[row["point"]]
            inputs.check(out, point.images, inputs.loaded(point.images)[1])
            received, weights = transmission.receive(point, row["image"], row["user"], device)
            if weights != row["weights"]:
                raise UsageError(
                    f"{row['image']} cannot be transmitted again: {out} has rows of {row['system']} with weights "
                    f"{row['weights']}, but they are now {weights}; restore the former weights"
                )
            images = {image.name: image for image in transmission.loaded_images(point.images)}
            try:
                path.parent.mkdir(exist_ok=True)
                atomic.write(
                    path.with_name(strip.sent_file(row["image"], row.get("source"))), png(images[row["image"]].pixels)
                )
                atomic.write(path, png(received))
            except OSError as error:
                raise UsageError(f"cannot write to {path.parent}: {error.strerror}") from None
        files[row["point"], row["image"], row["user"]] = path.name
    keys = zip(*(table[name].to_pylist() for name in ("point", "image", "user")), strict=True)
    names = [files.get(key, name) for key, name in zip(keys, table["image_file"].to_pylist(), strict=True)]
    place = table.column_names.index("image_file")
    return table.set_column(place, "image_file", [names])
