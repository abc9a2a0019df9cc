"""Propagation models that several channels share: flat fading, multipath, OFDM, channel estimation, impairments."""
