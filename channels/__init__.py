"""Wireless channels and the modem; independent of images.

One channel a file: `channels/<name>.py` with a function `build(...)` is the channel `<name>` of a scenario.

The public names are listed in the stub file beside this one and load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
