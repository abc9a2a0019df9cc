"""HTML elements of a report."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from xml.etree.ElementTree import Element

from semcom.results.printing import printable


def tag(kind: str, /, *content: str | Element, **attributes: str) -> Element:
    """An HTML element; all text is escaped when the page is written."""
    element = Element(kind, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()})
    for item in content:
        if isinstance(item, str):
            element.text = "\n".join(map(printable, item.replace("\t", "    ").split("\n")))
        else:
            element.append(item)
    return element


def image(path: Path, text: str) -> Element:
    """An embedded PNG file and the text that describes it."""
    data = f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"
    return tag("div", tag("img", src=data, alt=printable(text)), class_="wide")


def estimate(text: str) -> Element:
    """A table cell with a mean, and its interval in small print."""
    mean, space, interval = text.partition(" ")
    cell = tag("td", mean + space)
    if interval:
        cell.append(tag("small", interval))
    return cell
