"""Rectified flow: the straight way from pictures to noise, and steps back along it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

TIMES = 1000  # what the times of schedulers and networks count to

Latents = Float[Tensor, "rows latent h w"]
Velocity = Callable[[Latents, Float[Tensor, " rows"]], Latents]


def normal_velocity(noisy: Latents, time: Float[Tensor, " rows"], mean: Tensor, variance: float) -> Latents:
    """E[n - x | x_s] for x normal around `mean` with `variance`, n standard normal and x_s = (1 - s) x + s n."""
    s = time[:, None, None, None]
    around = (noisy - (1 - s) * mean) / (s**2 + variance * (1 - s) ** 2)
    return (s - variance * (1 - s)) * around - mean


def integrate(velocity: Velocity, noise: Latents, steps: int) -> Latents:
    """From noise at time 1 to latents at time 0, in Euler steps of equal length by the scheduler of diffusers.

    Args:
        velocity: of latents at times [rows].
        noise: standard normal.
        steps: calls of `velocity`.
    """
    scheduler = _scheduler()
    scheduler.set_timesteps(sigmas=[1 - step / steps for step in range(steps)], device=noise.device)
    latents = noise
    for time in scheduler.timesteps:
        moved = velocity(latents, time.expand(len(latents)) / TIMES)
        latents = scheduler.step(moved, time, latents).prev_sample
    return latents


def _scheduler() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(TIMES)
