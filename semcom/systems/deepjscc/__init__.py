"""Deep joint source-channel coding: a convolutional autoencoder whose bottleneck is the air."""

from semcom.system import System


def build(cbr: float, weights: str = "deepjscc") -> System:
    """Deep joint source-channel coding, one network for every SNR and rate.

    The picture becomes 48 numbers per 8 x 8 pixels, of which the most important fill the granted uses as they are,
    without bits. Both networks are told the SNR (the receiver that of each symbol) and the rate.

    Args:
        cbr: complex channel uses per real number of the picture, up to 1/8.
        weights: a bundled or hub name, a file, or "none" for an untrained network.

    >>> build(1 / 16, weights="none").transmitter.cbr
    0.0625
    """
    from semcom import weights as weight_files
    from semcom.systems.deepjscc.system import DeepJscc, system_of

    network, identity = weight_files.rebuild(weights, "deepjscc", DeepJscc)
    return system_of(network, cbr, identity)
