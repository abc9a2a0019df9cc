"""The interactive demo: `semcom app` starts it. Widgets and words are here, every number comes from semcom."""

from pathlib import Path

import streamlit as st
import torch
from semcom_demo import calls, parts, uploads

# File, title, icon, and the system without which the page does not appear.
PAGES = {
    "send_a_photo": ("Send a photo", ":material/photo_camera:", "digital"),
    "compare": ("Compare", ":material/compare:", "digital"),
    "hide_a_file": ("Hide a file in a photo", ":material/attach_file:", "carrier_image"),
    "street_scene": ("Street scene", ":material/traffic:", "scene"),
    "candidates": ("Candidates", ":material/checklist:", "multimodal_generation"),
    "many_users": ("Many users", ":material/group:", "digital"),
    "run_a_scenario": ("Run a scenario", ":material/play_circle:", "digital"),
}


@st.cache_resource(show_spinner=False)
def prepare_process() -> None:
    """Once for all visitors: a thread each for what torch computes, and no upload in a temporary file."""
    from starlette.formparsers import MultiPartParser

    torch.set_num_threads(1)
    # Starlette, which serves Streamlit, would spool uploads of more than a megabyte to disk.
    MultiPartParser.spool_max_size = 2 * uploads.MOST_MEGABYTES * 1_000_000


prepare_process()
st.set_page_config("semcom", ":material/cell_tower:", layout="wide")
st.html(parts.STYLE)
pages = [
    st.Page(Path(__file__).parent / "pages_" / f"{file}.py", title=title, icon=icon, default=file == "send_a_photo")
    for file, (title, icon, system) in PAGES.items()
    if calls.systems([system])
]
st.navigation(pages, position="top").run()
