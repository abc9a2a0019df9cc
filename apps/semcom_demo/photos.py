"""Choice of the image that is transmitted: a built-in photograph, or an upload that lives as long as the session."""

from __future__ import annotations

import hashlib
import io
from collections.abc import MutableMapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import streamlit as st
from torch import Tensor

from channels import UsageError
from semcom.cache import in_memory
from semcom.images.files import suffixes, to_pil, to_tensor
from semcom.images.source_image import SourceImage
from semcom.images.sources import load
from semcom_demo import state, uploads
from semcom_demo.words import TOOLTIPS

PIXELS = 256 * 192  # largest number of pixels of an image, small enough to follow a slider on two CPU cores
SIDE = 192  # side in pixels of the square images of the page "Many users"
PHOTO_COUNT = 7  # everyday photographs come first in the source; microscopy and astronomy images follow
STREET_SOURCE = ("streets:test", 6)  # image source and count; no network was trained on these scenes


@dataclass(frozen=True)
class Photo:
    """Image that a visitor selected.

    Args:
        image: Image to transmit.
        key: Identifier that differs between images.
        memory: Cache of results of an upload, private to this visitor; None for a built-in photograph.
        results: Results of an upload by the name of their memory, private to this visitor.
    """

    image: SourceImage
    key: str
    memory: MutableMapping[str, bytes] | None = None
    results: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def png(self) -> bytes:
        """Content of the PNG file of the image."""
        return to_png(self.image.pixels)

    def private_cache(self) -> AbstractContextManager[None]:
        """Context in which no result of an upload is written to disk."""
        return nullcontext() if self.memory is None else in_memory(self.memory)

    def with_secret(self, secret: bytes) -> Photo:
        """The same image with a secret, whose results belong to the session of the visitor."""
        key = f"{self.key} {hashlib.sha256(secret).hexdigest()}"
        if self.memory is not None:
            return replace(self, key=key)
        memory, results = st.session_state.setdefault("secret_results", ({}, {}))
        return replace(self, key=key, memory=memory, results=results)

    def with_caption(self, caption: str | None) -> Photo:
        """The same image with a sentence that describes it."""
        return replace(self, image=replace(self.image, caption=caption), key=f"{self.key} {caption}")


def choose(max_pixels: int | None = None) -> Photo:
    """Ask for an image; the last upload of the session is one of the options on every page."""
    pixels = PIXELS if max_pixels is None else max_pixels
    upload = _upload(pixels)
    names = [*_built_in(pixels), *([state.UPLOAD] if upload else [])]
    if state.get("image") == state.UPLOAD and upload is None:
        st.caption("The uploaded image is no longer in memory. Upload it again, or choose a photograph.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Image",
            names,
            format_func=lambda name: f"Upload: {upload.image.name}" if upload and name == state.UPLOAD else name[:-4],
            help=TOOLTIPS["photo"],
            **state.bound("image", names[0], names),
        )
        with st.popover("Upload", icon=":material/upload:"):
            st.file_uploader(
                "Upload an image",
                type=sorted(suffixes()),
                key="upload_file",
                max_upload_size=uploads.MAX_MEGABYTES,
                on_change=_take_upload,
                help="The upload stays in the memory of the computer that runs the demo until this browser tab is "
                "closed. It is never written to disk.",
            )
    if error := st.session_state.get("upload_error"):
        st.error(error, icon=":material/info:")
    return selected(pixels)


def selected(max_pixels: int | None = None) -> Photo:
    """The image of the inputs; the first photograph if there is none."""
    pixels = PIXELS if max_pixels is None else max_pixels
    upload = _upload(pixels)
    if upload is not None and state.get("image") == state.UPLOAD:
        return upload
    images = _built_in(pixels)
    return images.get(state.get("image")) or next(iter(images.values()))


def _take_upload() -> None:
    """Check a new upload and select it; a bad one shows an error and changes nothing else."""
    st.session_state.pop("upload_error", None)
    file = st.session_state["upload_file"]
    if file is None:
        return
    try:
        uploads.read_image(file.name, file.getvalue(), PIXELS)
    except UsageError as error:
        st.session_state["upload_error"] = " ".join(str(error).split())
        return
    st.session_state["upload"] = (file.name, file.getvalue(), {}, {})
    st.session_state["decoded_uploads"] = {}
    state.put("image", state.UPLOAD)


def _upload(max_pixels: int) -> Photo | None:
    """The last valid upload of the session, or None."""
    if "upload" not in st.session_state:
        return None
    decoded: dict[int, Photo] = st.session_state["decoded_uploads"]
    if max_pixels not in decoded:
        name, data, memory, results = st.session_state["upload"]
        image = uploads.read_image(name, data, max_pixels)
        key = f"{hashlib.sha256(data).hexdigest()} {tuple(image.pixels.shape)}"
        decoded[max_pixels] = Photo(image, key, memory, results)
    return decoded[max_pixels]


def to_png(pixels: Tensor) -> bytes:
    """Content of a PNG file of an image [3, h, w]."""
    file = io.BytesIO()
    to_pil(pixels).save(file, format="PNG")
    return file.getvalue()


@st.cache_resource(show_spinner=False)
def photographs(max_pixels: int) -> dict[str, SourceImage]:
    """Built-in photographs by file name."""
    small = {
        f"{image.name}.png": to_tensor(uploads.shrink(to_pil(image.pixels), max_pixels))
        for image in load("photos", PHOTO_COUNT)
    }
    return {name: SourceImage(name, pixels) for name, pixels in small.items()}


@st.cache_resource(show_spinner=False)
def _built_in(max_pixels: int) -> dict[str, Photo]:
    images = photographs(max_pixels)
    return {name: Photo(image, f"{name} {tuple(image.pixels.shape)}") for name, image in images.items()}


@st.cache_resource(show_spinner=False)
def square_photographs(side: int = SIDE) -> list[SourceImage]:
    """Built-in photographs, cropped to squares of one size."""
    return load("photos", PHOTO_COUNT, side)


@st.cache_resource(show_spinner=False)
def street_scenes(source: str, count: int) -> list[SourceImage]:
    """First street scenes of an image source."""
    return load(source, count)
