"""What each technical word of the pages means, in one or two sentences; every page takes its tooltips from here."""

MEANINGS = {
    "system": "How a picture becomes radio symbols and a picture again.\n\n"
    "* **digital**: an image file (AVIF), cut into coded bits: sharp, or lost as a whole.\n"
    "* **analog**: frequencies of the picture (DCT coefficients) sent as a wave: noise in the air is grain in the "
    "picture.\n"
    "* **deepjscc**: a neural network that learnt picture and radio in one (deep joint source-channel coding).\n"
    "* **carrier_image**: half of the picture is sent, and the choice of the half is a message.",
    "channel": "What happens between the two antennas.\n\n"
    "* **awgn**: noise (additive, white, Gaussian) and nothing else.\n"
    "* **rayleigh**: the strength of the signal changes by chance as well, as behind walls: one fade a picture.\n"
    "* **rician**: the same with a direct view, which softens the fades.\n"
    "* **tdl**: echoes (a tapped delay line). The receiver estimates them from known symbols (pilots), and narrow "
    "carriers side by side (OFDM) keep them apart.",
    "snr_db": "Signal-to-noise ratio: mean energy of a symbol over that of the noise (Es/N0), in decibels. "
    "0 dB is as much noise as signal, 10 dB ten times less noise, 20 dB a hundred times less.",
    "users": "How many send at the same time over one medium. A medium shared by turns gives each user a part of it.",
    "medium_cbr": "Channel bandwidth ratio: how many channel uses the picture may take, over its number of samples "
    "(3 x height x width). A channel use is one complex symbol on the air. Systems are compared at equal ratio.",
    "seed": "Names the random draws. The same seed gives the same noise and fading to every system.",
    "psnr": "Peak signal-to-noise ratio of the pixels. Above 35 dB one hardly sees a difference, below 20 dB much is "
    "lost. It says nothing about the radio noise.",
    "ssim": "Structural similarity: 1 for identical pictures, 0 for pictures that have nothing in common.",
    "ms_ssim": "Structural similarity over five scales: 1 for identical pictures. Closer than PSNR to what people see.",
    "uses": "Complex symbols that were sent, headers included. This is the price.",
    "medium_uses": "Uses of the medium by all users together, with pilots, guards and cyclic prefixes.",
    "outage": "Whether the receiver knows that it could not decode the picture; it then shows grey.",
    "ber": "Bit error rate: wrong bits after error correction, of all bits sent. Systems without bits have none.",
    "snr_realised_db": "The signal-to-noise ratio that this picture met. With fading it differs from the mean that "
    "was chosen: a deep fade is a low one.",
    "payload": "The file that travels with the picture.",
    "capacity": "The longest file that this photograph can take along: the number of ways to choose which patches "
    "are left out, counted in bytes, less 8 bytes of length and checksum.",
    "bound": "A limit that no system with this image codec passes: the same file behind an ideal error-correcting "
    "code. Drawn dashed.",
    "label_map": "The class of each pixel (road, car, tree ...) in place of its colour: what is sent.",
    "compression_ratio": "Bytes of the raw picture over the bytes of the label map.",
    "candidates": "Pictures that the receiver generated from what it heard; it keeps the one with the least score.",
    "score": "How far the features of a candidate, of picture and of sentence, lie from those that came in, as the "
    "receiver's networks read them, in units of how far candidates usually lie apart. The least is chosen.",
    "access": "How users share the medium. By turns: each has a part of it. Superposed: all send at once and the "
    "receiver's antennas tell them apart. Broadcast: one transmission reaches all.",
    "mean_psnr": "Mean over the users of the PSNR of their pictures.",
    "scenario": "One flat file that says what to sweep: systems, channel, signal-to-noise ratios, users, pictures, "
    "metrics. `semcom show SYSTEM` lists the arguments.",
    "metric": "What is measured of each received picture.",
}

SYSTEMS = {
    "digital": "digital: image file, coded bits",
    "analog": "analog: a wave of DCT coefficients",
    "deepjscc": "deepjscc: a learnt joint code",
    "carrier_image": "carrier_image: a message in the mask",
    "scene": "scene: label map, repainted",
    "multimodal_generation": "multimodal_generation: generate and select",
    "capacity": "capacity: a limit, not a system",
}

CHANNELS = {
    "awgn": "awgn: noise only",
    "rayleigh": "rayleigh: fading, no line of sight",
    "rician": "rician: fading, line of sight",
    "tdl": "tdl: echoes, OFDM with pilots",
}

BUDGETS = {1 / 8: "1/8", 1 / 12: "1/12", 1 / 16: "1/16", 1 / 24: "1/24", 1 / 48: "1/48"}
"""Channel bandwidth ratios that the pages offer, and how they are written."""
