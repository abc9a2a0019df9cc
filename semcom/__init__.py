"""Simulation of semantic image communication: the interface of a system (a paper's method) and the link.

The public names, listed in the stub file beside this one, load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
