"""Measurements of all channels and of the modem, compared with theory: the command `semcom certify`.

The public names are listed in the stub file beside this one and load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
