"""The metrics of a scenario, or of one of its image sources."""

from __future__ import annotations

from collections.abc import Sequence

from channels.errors import UsageError
from semcom import discover
from semcom.discover import nearest, user_metrics
from semcom.scenario.document import Document, shown
from semcom.scenario.fields import Place, values
from semcom.scenario.model import ROW_COLUMNS, Axis
from semcom.scenario.paths import located, searched


def metrics(document: Document, path: Place, axes: Sequence[Axis] = ()) -> tuple[str, ...]:
    """Names of metrics; those in files of the user as FILE.py:NAME, which become columns NAME of the rows.

    Args:
        document: content of a scenario file.
        path: keys that lead to the list of metrics.
        axes: swept arguments, whose columns no metric may have.

    Raises:
        UsageError: there is no such metric or file, or its name is taken.
    """
    names, columns = [], dict[str, str]()
    reserved = {*ROW_COLUMNS, *(axis.name.rpartition(".")[2] for axis in axes)}
    for i, written in enumerate(values(document, path)):
        place, name = document.place(*path, i), written
        if not isinstance(written, str):
            raise UsageError(f"{place}: a metric must be a name, as in psnr, not {shown(written)}")
        file, colon, function = written.rpartition(":")
        if file.endswith(".py"):
            found = located(document, file)
            if found is None:
                raise UsageError(f"{place}: {file} does not exist; {searched(document)}")
            name = f"{found}{colon}{function}"
            try:
                user_metrics.check(name)
            except UsageError as error:
                raise UsageError(f"{place}: {error}") from None
            if function in discover.metrics() or function in reserved or columns.get(function, name) != name:
                raise UsageError(f"{place}: there is already a metric or column {function!r}; rename the function")
        elif written.endswith(".py"):
            raise UsageError(f"{place}: {written} is a file; name a function in it, as in {written}:FUNCTION")
        elif written not in discover.metrics():
            known = discover.metrics()
            raise UsageError(
                f"{place}: no metric {written!r}; {nearest(written, known)} (user-defined: FILE.py:FUNCTION)"
            )
        columns[user_metrics.column(name)] = name
        names.append(name)
    return tuple(dict.fromkeys(names))
