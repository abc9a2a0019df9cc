"""Deep joint source-channel coding (DeepJSCC): a convolutional autoencoder trained through the channel."""

from typing import Literal

from semcom.system import System

TITLE = "DeepJSCC"


def build(
    cbr: float,
    weights: str = "deepjscc",
    preset: Literal["full", "edge"] = "full",
    encoder: str = "deepjscc_edge",
) -> System:
    """DeepJSCC: deep joint source-channel coding, one network for all SNRs and CBRs up to 1/2.

    The encoder maps each 8 x 8 pixels to 48 real latents; the most important ones that fit the channel-use budget are
    sent as analog symbols. Both networks are conditioned on the SNR (at the receiver, of each symbol) and the rate.

    Above CBR 1/8, 24 latents are sent, and the residual of the image that they are decoded to without noise is
    transmitted in the other channel uses as analog DCT coefficients, with variances in a coded header. If the header is
    not decoded, the image is that of the latents. At low SNR, all latents are sent with the energy of all channel uses.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image, above 0 and up to 1/2.
        weights: name or path of a weight file, or "none" for an untrained network.
        preset: encoder: that of `weights` (full), or a small one for the decoder of `weights` (edge), which computes a
            quarter of the operations and is stored in a fifteenth of the bytes.
        encoder: name or path of the weight file of the small encoder, or "none"; requires `preset: edge`.

    Source: Bourtsoulatze, Burth Kurka and Gunduz, IEEE TCCN 5(3), 2019; Xu et al., IEEE TCSVT 32(4), 2022.

    >>> build(1 / 16, weights="none").transmitter.agreement.cbr
    0.0625
    """
    from functools import partial

    from channels.arguments import one_of
    from channels.errors import UsageError
    from semcom.systems.deepjscc import networks, refined, system
    from semcom.weights import files

    one_of("preset", preset, ("full", "edge"))
    network, identity = files.rebuild(weights, "deepjscc", system.DeepJscc)
    if preset == "edge":
        small, small_identity = files.rebuild(encoder, "deepjscc", partial(networks.Encoder, **networks.SMALL_ENCODER))
        if small.latent != network.latent:
            raise UsageError(
                f"encoder {encoder!r} has {small.latent} latent channels, the decoder of {weights!r} {network.latent}"
            )
        network.encoder, identity = small, f"{identity}, {small_identity}"
    elif encoder != "deepjscc_edge":
        raise UsageError("encoder requires preset: edge")
    above = cbr > system.DeepJscc.highest_cbr(network.latent)
    return (refined if above else system).system_of(network, cbr, identity)
