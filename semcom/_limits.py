"""Bounds on what may be asked for, known without torch so that a scenario is refused when it is read."""

MOST_SIDE = 8192  # pixels of a square picture, below what Pillow takes for a decompression bomb
MOST_SNR_DB = 100  # beyond it float32 noise is nothing or everything
MOST_THREADS = 1024  # more than any machine has cores
