"""A button that copies the address of the page, which contains all inputs."""

import streamlit as st

from semcom_demo import state

_SCRIPT = """
export default function ({ parentElement, data }) {
  parentElement.querySelector("button")?.parentElement.remove();
  const line = document.createElement("div");
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Copy link" });
  const status = Object.assign(document.createElement("span"), { textContent: "" });
  status.setAttribute("role", "status");
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      status.textContent = " Link copied. " + data;
    } catch { // browsers allow it only on https and localhost
      status.textContent = " Copy this link: " + location.href + " " + data;
    }
  };
  line.className = "semcom-copy";
  line.append(button, status);
  parentElement.append(line);
}
"""
_STYLE = """
.semcom-copy { font-size: 0.9rem; color: var(--st-text-color); overflow-wrap: anywhere; }
.semcom-copy button { font: inherit; color: inherit; padding: 0.3rem 0.8rem; border-radius: 0.4rem; cursor: pointer;
  border: 1px solid color-mix(in srgb, var(--st-text-color) 55%, transparent); background: var(--st-background-color); }
.semcom-copy :focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
"""


def show() -> None:
    """Show the button."""
    upload = state.get("image") == state.UPLOAD
    hint = "An uploaded image is not part of the link." if upload else ""
    st.components.v2.component("semcom_copy_link", js=_SCRIPT, css=_STYLE, isolate_styles=False)(data=hint, key="copy")
