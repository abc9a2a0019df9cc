"""Results in memory: shared by all visitors for built-in photographs; those of an upload belong to the upload."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from semcom.scenario.model import Point
from semcom_demo.photos import Photo

Value = TypeVar("Value")
Key = tuple[str, str]


class Memory(Generic[Value]):
    """Results of transmissions, the last ones used.

    Args:
        name: Name that differs between memories.
        most: Largest number of results that all visitors share.
        most_of_upload: Largest number of results of an upload.
    """

    def __init__(self, name: str, most: int, most_of_upload: int) -> None:
        self._name, self._most, self._most_of_upload = f"memory_{name}", most, most_of_upload
        self._shared: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, photo: Photo, point: Point, compute: Callable[[], Value]) -> Value:
        """The result for an image and an operating point, computed without files if the image is an upload."""
        memory, key = self._of(photo), (photo.key, point.key)
        with self._lock:
            if key in memory:
                memory.move_to_end(key)
                return memory[key]
        with photo.private_cache():
            value = compute()
        with self._lock:
            memory[key] = value
            while len(memory) > (self._most if photo.memory is None else self._most_of_upload):
                memory.popitem(last=False)
        return value

    def has(self, photo: Photo, point: Point) -> bool:
        """Whether a result is in memory."""
        return (photo.key, point.key) in self._of(photo)

    def clear(self) -> None:
        """Forget the results that visitors share."""
        self._shared.clear()

    def _of(self, photo: Photo) -> OrderedDict[Key, Value]:
        return self._shared if photo.memory is None else photo.results.setdefault(self._name, OrderedDict())


@dataclass(frozen=True)
class Job(Generic[Value]):
    """A computation whose result stays in memory.

    Args:
        memory: Memory of the result.
        photo: Image that is transmitted.
        point: Operating point.
        compute: Function that computes the result.
    """

    memory: Memory[Value]
    photo: Photo
    point: Point
    compute: Callable[[], Value]

    def known(self) -> bool:
        """Whether the result is in memory."""
        return self.memory.has(self.photo, self.point)

    def result(self) -> Value:
        """The result, from memory if it is there."""
        return self.memory.get(self.photo, self.point, self.compute)
