"""Images of a page at every SNR, which follow its slider: computed ahead, or when the visitor plays them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semcom_demo import errors, prefetch, shots, stage
from semcom_demo.memory import Job
from semcom_demo.stage import Frame, Panel

Result = TypeVar("Result")


def progress_place() -> DeltaGenerator:
    """Room for progress, which is there without any, so that nothing moves."""
    return st.container(key="progress", height=60, border=False)


@dataclass(frozen=True)
class Live(Generic[Result]):
    """Transmissions of a page.

    Args:
        at: Function from an SNR in dB to the computations of the page.
        levels: SNRs of the frames in dB, from high to low.
        ahead: Whether frames are computed before the visitor asks for them.
    """

    at: Callable[[int], Sequence[Job[Result]]]
    levels: Sequence[int] = field(default_factory=lambda: shots.FRAME_SNRS_DB)
    ahead: bool = True

    def results(self, progress: DeltaGenerator, text: str = "Transmitting") -> list[Result]:
        """Results at the SNR of the slider."""
        with progress, errors.stop_on_usage_error(), st.spinner(text):
            return [job.result() for job in self.at(stage.current()["snr"])]

    def show(
        self,
        key: str,
        place: DeltaGenerator,
        progress: DeltaGenerator,
        panels: Sequence[Panel],
        of: Callable[[Sequence[Result]], Sequence[Panel]],
        *,
        compare: bool = True,
    ) -> list[Frame]:
        """Show panels with their sliders and the frames that are computed; return all frames, or none while some miss.

        Args:
            key: Key of the component.
            place: Container of the component.
            progress: Container of the progress.
            panels: Images at the SNR of the slider.
            of: Function from results to the last panels, which depend on the SNR.
            compare: Whether the first image is the one that the others are compared with.
        """
        if stage.asked_to_play():
            self._compute(progress)
        ready = [snr_db for snr_db in self.levels if self._known(snr_db)]
        frames = [(snr_db, of([job.result() for job in self.at(snr_db)])) for snr_db in ready]
        if len(ready) == len(self.levels):
            progress.caption("The images follow the slider while it is dragged.")
        elif self.ahead:
            missing = [snr_db for snr_db in prefetch.order(stage.current()["snr"], self.levels) if snr_db not in ready]
            prefetch.ask([job.result for snr_db in missing for job in self.at(snr_db)])
            with progress:
                self._await_frames(len(ready))
        else:
            progress.caption(f"Press Play once to compute the images at {len(self.levels)} SNR values for dragging.")
        with place:
            stage.show(key, panels, compare=compare, frames=frames, levels=self.levels)
        return frames if len(ready) == len(self.levels) else []

    def _compute(self, progress: DeltaGenerator) -> None:
        count = len(self.levels)
        with progress, errors.stop_on_usage_error():
            bar = st.progress(0.0, "Computing frames")
            for number, snr_db in enumerate(self.levels, 1):
                bar.progress(number / count, f"Frame {number} of {count}: {snr_db} dB")
                for job in self.at(snr_db):
                    job.result()
            bar.empty()

    def _known(self, snr_db: int) -> bool:
        return all(job.known() for job in self.at(snr_db))

    @st.fragment(run_every=1.0)
    def _await_frames(self, shown: int) -> None:
        """Run the page again when it can show several more frames; `shown` is the number of those that it has."""
        ready = sum(self._known(snr_db) for snr_db in self.levels)
        if ready == len(self.levels) or ready >= max(3, 2 * shown):
            st.rerun()
        st.caption(f"Images for dragging: {ready} of {len(self.levels)} SNR values computed")
