"""Rectified flow: linear paths from latents to noise, and their integration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from channels.extras import extra

TIMES = 1000  # time scale of diffusers' schedulers and networks

Latents = Float[Tensor, "rows latent h w"]
Velocity = Callable[[Latents, Float[Tensor, " rows"]], Latents]


def normal_velocity(noisy: Latents, time: Float[Tensor, " rows"], mean: Tensor, variance: float) -> Latents:
    """Return E[n - x | x_s] for x ~ N(mean, variance), n ~ N(0, 1) and x_s = (1 - s) x + s n at time s."""
    s = time[:, None, None, None]
    around = (noisy - (1 - s) * mean) / (s**2 + variance * (1 - s) ** 2)
    return (s - variance * (1 - s)) * around - mean


def integrate(velocity: Velocity, noise: Latents, steps: int) -> Latents:
    """Integrate from noise at time 1 to latents at time 0, in Euler steps of equal length (scheduler of diffusers).

    Args:
        velocity: function of latents and times [rows].
        noise: float32 [rows, latent, h, w], standard normal.
        steps: number of steps, each one call of `velocity`.
    """
    scheduler = _scheduler()
    scheduler.set_timesteps(sigmas=[1 - step / steps for step in range(steps)], device=noise.device)
    latents = noise
    for time in scheduler.timesteps:
        moved = velocity(latents, time.expand(len(latents)) / TIMES)
        latents = scheduler.step(moved, time, latents).prev_sample
    return latents


def _scheduler() -> Any:
    with extra("semantic"):
        from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(TIMES)
