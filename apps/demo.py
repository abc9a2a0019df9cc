"""The interactive demo, started by `semcom app`. Widgets and texts are here; semcom computes every result."""

from pathlib import Path

import streamlit as st
import torch
from semcom_demo import calls, copy_link, icon, parts, prefetch, state, uploads

# File: title, and the system that the page needs; without that system the page is not listed.
# Pages have no icons: the browser would ask a font server for the icon of the tab.
PAGES = {
    "story": ("Start here", "digital"),
    "send_a_photo": ("Send an image", "digital"),
    "compare": ("Compare systems", "digital"),
    "hide_a_file": ("Hide a file in an image", "carrier_image"),
    "street_scene": ("Street scene", "scene"),
    "candidates": ("Generated candidates", "multimodal_generation"),
    "many_users": ("Many users", "digital"),
    "budget": ("Budget", "digital"),
    "recognition": ("Recognize a modulation", "digital"),
    "run_a_scenario": ("Run a scenario", "digital"),
}


@st.cache_resource(show_spinner=False)
def prepare_process() -> None:
    """Set up the server process once: one torch thread per computation, and uploads in memory only."""
    from starlette.formparsers import MultiPartParser

    torch.set_num_threads(1)
    # Starlette, which serves Streamlit, would write uploads of more than one megabyte to a temporary file.
    MultiPartParser.spool_max_size = 2 * uploads.MAX_MEGABYTES * 1_000_000


prepare_process()
folder = Path(__file__).parent
pages = [
    st.Page(folder / "pages_" / f"{file}.py", title=title, default=file == "story")
    for file, (title, system) in PAGES.items()
    if calls.available_systems([system])
]
# One menu of pages is one stop of the Tab key before the sliders.
page = st.navigation({"Pages": pages}, position="top")
st.set_page_config(f"{page.title} - semcom", icon.icon(), layout="wide")
st.html(parts.STYLE)
invalid = state.restore()
if page.url_path:  # the story is the default page, at the root
    state.leave_story()
state.write_address()
if invalid:
    st.warning(f"The address has parts that are not valid and are ignored: {', '.join(invalid)}")
with prefetch.worker().paused():
    page.run()
copy_link.show()
