"""Bits to symbols and back: CRC, 5G LDPC code, rate matching, scrambling, QAM, interleaving, link adaptation.

The public names are listed in the stub file beside this one and load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
