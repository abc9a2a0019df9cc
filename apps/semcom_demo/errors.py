"""Errors of the visitor's input, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from channels import UsageError


@contextmanager
def stop_on_usage_error() -> Iterator[None]:
    """Show a usage error in one line and end the page there."""
    try:
        yield
    except UsageError as error:
        show_error(error)
        st.stop()


def show_error(error: UsageError) -> None:
    """Show an error in one line."""
    st.error(" ".join(str(error).split()), icon=":material/info:")
