"""Channel uses of a transmission by part: header, data, parity, and the overhead of the channel's frames."""

from __future__ import annotations

from channels.base import Channel
from semcom.link import Delivery


def channel_uses_by_part(delivery: Delivery, channel: Channel, row: int = 0) -> dict[str, float]:
    """Channel uses that one user occupies, by part; they add up to the uses of the medium of a user without others.

    Parts of the transmission come first, as its system names them; then the overhead of the frames, such as pilots,
    cyclic prefix and guards, and the unfilled rest of the last frame. Coded bits count in shares of a symbol, and the
    symbols of several streams in shares of the channel use that they have in common. Parts without channel uses are
    left out.

    Args:
        delivery: result of a transmission.
        channel: channel of the transmission.
        row: row of the user.

    >>> import torch
    >>> from channels import tdl
    >>> from semcom import Link, Sample
    >>> from semcom.systems import analog
    >>> channel = tdl.build()
    >>> delivery = Link(analog.build(cbr=1 / 8), channel).deliver(Sample(torch.rand(1, 3, 32, 32)), 10.0, seeds=[0])
    >>> channel_uses_by_part(delivery, channel)
    {'header': 185.0, 'data': 199.0, 'pilots': 48.0, 'cyclic prefix': 48.0, 'unfilled': 240.0}
    """
    uses = int(delivery.uses[row])
    medium = channel.medium
    per_symbol = (medium.frame_uses - sum(each for _, each in medium.overhead)) / medium.frame_data
    parts = {name: per_symbol * float(counts[row]) for name, counts in delivery.parts.items()}
    parts = parts or {"data": per_symbol * uses}
    frames = -(-uses // medium.frame_data)
    for name, per_frame in medium.overhead:
        parts[name] = parts.get(name, 0) + frames * per_frame
    for name, per_burst in medium.burst_overhead:
        parts[name] = parts.get(name, 0) + -(-frames // medium.burst_frames) * per_burst
    parts["unfilled"] = per_symbol * (frames * medium.frame_data - uses)
    return {name: float(count) for name, count in parts.items() if count > 1e-6}
