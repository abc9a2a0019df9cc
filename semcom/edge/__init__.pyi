from .reduction import build_variant as build_variant
from .reduction import networks_of as networks_of
from .reduction import reduced as reduced
