"""Labels and tooltips of the pages. Every page takes its tooltips from here."""

from semcom import discover

TOOLTIPS = {
    "system": "Transmission system: how an image becomes channel symbols, and received symbols become an image.\n\n"
    "* **Image file + LDPC** (`digital`): AVIF file, LDPC code and QAM. The file is received without error, or not at "
    "all.\n"
    "* **Analog DCT** (`analog`): DCT coefficients of the image, sent as amplitudes (SoftCast). Channel noise becomes "
    "image noise.\n"
    "* **DeepJSCC** (`deepjscc`): deep joint source-channel coding. One neural network maps the image to symbols, "
    "another one maps "
    "the received symbols to an image.\n"
    "* **Carrier image** (`carrier_image`): half of the image patches are sent, and a hidden message selects which "
    "half. A neural "
    "network reconstructs the other half.",
    "channel": "Channel model between transmitter and receiver.\n\n"
    "* **AWGN** (`awgn`): additive white Gaussian noise, no fading.\n"
    "* **Rayleigh block fading** (`rayleigh`): no line of sight. Each image has one random channel gain.\n"
    "* **Rician block fading** (`rician`): a line-of-sight path makes deep fades rarer than with Rayleigh fading.\n"
    "* **TDL** (`tdl`): multipath fading (3GPP tapped delay line) with OFDM. The receiver estimates the channel from "
    "pilots.",
    "snr_db": "Signal-to-noise ratio Es/N0 in decibels: mean symbol energy over noise energy per complex symbol, "
    "averaged over fading. At 0 dB both are equal, at 20 dB the noise is 100 times weaker.",
    "designed": "SNR that the transmitter assumes: modulation, code rate, file size and power are chosen for it, while "
    "the channel has the actual SNR. If the actual SNR falls below the designed one, an image file cannot be decoded.",
    "users": "Number of users that share the channel. With orthogonal access (TDMA) each user gets an equal share of "
    "the channel uses.",
    "medium_cbr": "Channel bandwidth ratio (CBR): number of channel uses (complex symbols) of all users, pilots "
    "included, over the number of real values of the image (3 x height x width). Systems are compared at equal CBR.",
    "seed": "Seed of the random noise and fading. With the same seed, every system gets the same noise and fading "
    "realization.",
    "psnr": "Peak signal-to-noise ratio of the received image in decibels, from the mean squared error of its pixels. "
    "Higher is better; above 35 dB a difference is hardly visible. It is not the SNR of the channel.",
    "ms_ssim": "Multi-scale structural similarity of the image sent and the image received. 1 means identical images. "
    "It is closer to human perception than PSNR.",
    "uses": "Number of complex symbols that one user transmits, headers included. This is the cost of a transmission.",
    "medium_uses": "Number of channel uses of all users together, including pilots, guard intervals and cyclic "
    "prefixes.",
    "ber": "Bit error rate: bits that are wrong after error correction, divided by all bits sent. Only digital "
    "transmissions have one.",
    "snr_realized_db": "SNR of this transmission, fading gain included. Over a fading channel it differs from the "
    "average SNR that the slider sets.",
    "payload": "File that is transmitted inside the image. It is delivered only if its checksum is correct.",
    "capacity": "Size of the largest file that the patch masks of this image can encode, without the 8 bytes of length "
    "and checksum.",
    "bound": "The capacity bound is an upper bound, not a system: the same image file behind an ideal "
    "error-correcting code at "
    "the Shannon capacity. Its curve is dashed.",
    "label_map": "Size of the compressed label map: the class of each pixel (road, car, tree ...). No color is sent.",
    "compression_ratio": "Size of the uncompressed image (3 bytes per pixel) over the size of the label map.",
    "candidates": "Number of images that the receiver generates from the received features. It selects the one with "
    "the lowest score.",
    "score": "Distance of a candidate's image and text features from the received features, relative to the typical "
    "distance of a candidate. The candidate with the lowest score is selected.",
    "caption": "Sentence whose text features are transmitted. Without one, the text is the words that the small CLIP "
    "finds nearest to the image.",
    "baselines": "Other ways to convey the image with the same number of channel uses: an AVIF file, the sentence "
    "alone, and the gallery image that is nearest to the received features.",
    "access": "Multiple access: how the users share the channel.\n\n"
    "* **Orthogonal (TDMA)**: each user gets an equal share of the channel uses.\n"
    "* **Superposed**: all users transmit in the same channel uses, and the receiver separates them with its "
    "antennas.\n"
    "* **Broadcast**: one transmission of one image reaches all users.",
    "mean_psnr": "PSNR of the received images, averaged over the users.",
    "scenario": "Parameter sweep as a YAML file: systems, channels, SNR values, users, images and metrics. "
    "`semcom show SYSTEM` lists the arguments of a system.",
    "preset": "Scenarios of the folder scenarios/ that are small enough for this page. Choosing one replaces the text.",
    "metric": "Metric to list in the table, measured for each received image.",
    "photo": "Built-in photograph to transmit.",
    "road": "Pixels of the road in yellow: those of the scene in the image sent, and those that a segmentation network "
    "finds in each received image. No training used that network.",
    "distance": "Distance between camera and receiver. The mean path loss grows with it by a power of 3.",
    "size": "Side of the square image. The number of channel uses is the channel bandwidth ratio times 3 x side x "
    "side.",
    "hardware": "Constants of a processor and a radio, each with its source. `semcom budget --hardware` accepts a file "
    "with those of your device.",
    "link_budget": "Radiated power minus a path loss of 40 dB at 1 m and 30 dB for ten times the distance, over "
    "thermal "
    "noise in the bandwidth of the symbol rate with a noise figure of 6 dB. These values are assumptions.",
    "modulation": "Modulation that is transmitted. The recognizers do not know it.",
    "frame": "Number of symbols that a decision uses.",
    "street": "Synthetic street scene to transmit. No network was trained on it.",
}

SYSTEM_LABELS = {
    "digital": "Image file + LDPC: AVIF, QAM",
    "analog": "Analog DCT: coefficients as amplitudes",
    "deepjscc": "DeepJSCC: learned joint source-channel code",
    "carrier_image": "Carrier image: message in the patch mask",
    "scene": "Label map: image generated from it",
    "multimodal_generation": "Multimodal generation: features, candidates",
    "capacity": "Capacity bound: not a system",
}


def title(system: str) -> str:
    """Name of a system in panels, figures and texts."""
    return "Outage capacity" if system == "outage capacity" else discover.title("system", system)


# Colors of Okabe and Ito, which are distinguishable with any color vision. A system has its color on every page.
SYSTEM_COLORS = {
    "digital": "#0072B2",
    "analog": "#D55E00",
    "deepjscc": "#009E73",
    "carrier_image": "#CC79A7",
    "scene": "#56B4E9",
    "multimodal_generation": "#E69F00",
    "capacity": "#808080",
    "outage capacity": "#808080",
}

CHANNEL_LABELS = {
    "awgn": "AWGN: noise, no fading",
    "rayleigh": "Rayleigh block fading: no line of sight",
    "rician": "Rician block fading: line of sight",
    "tdl": "TDL: multipath, OFDM with pilots",
}

FADING_CHANNELS = ("rayleigh", "rician", "tdl")

CBR_LABELS = {1 / 8: "1/8", 1 / 12: "1/12", 1 / 16: "1/16", 1 / 24: "1/24", 1 / 48: "1/48", 1 / 96: "1/96"}
"""Channel bandwidth ratios that the pages offer, as fractions."""

ACCESS_LABELS = {
    "awgn": "Orthogonal (TDMA), no fading",
    "rayleigh": "Orthogonal (TDMA), Rayleigh fading",
    "uplink": "Superposed, 8 receive antennas",
    "broadcast": "Broadcast, one image to all users",
}
"""Multiple access of several users, by channel."""

OUTAGE_CAUSES = {
    "digital": "the file",
    "capacity": "the file",
    "analog": "the header",
    "carrier_image": "the patch mask",
    "scene": "the label map",
    "multimodal_generation": "the header",
}
"""Part of a transmission without which the receiver has no image, for each system."""
