"""Networks of a system made smaller for one end of the link: weights of a few bits, fewer blocks, low-rank layers.

The public names, listed in the stub file beside this one, load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
