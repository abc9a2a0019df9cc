"""Scrolling to the top of a page whose content is replaced by a button further down."""

import streamlit as st

_SCRIPT = """
export default function ({ parentElement, data }) {
  const before = parentElement.dataset.shown;
  parentElement.dataset.shown = data;
  if (before === undefined || before === String(data)) return;
  parentElement.closest('[data-testid="stMain"]')?.scrollTo({ top: 0 });
}
"""


def to_top_after(shown: int) -> None:
    """Scroll to the top whenever `shown` differs from that of the last run of the page."""
    st.components.v2.component("semcom_scroll", js=_SCRIPT, isolate_styles=False)(data=shown, key="scroll")
