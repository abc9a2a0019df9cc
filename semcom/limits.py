"""Largest accepted values of arguments, in a module without torch so that scenarios are checked when they are read."""

MAX_SIDE = 8192  # pixels, side of a square image below the size that Pillow treats as a decompression bomb
MAX_SNR_DB = 100  # dB; beyond it one of signal and noise vanishes in float32
MAX_THREADS = 1024  # more threads than any machine has cores
