"""Run-time type checks of the tests: jaxtyping compares the shapes of arrays, beartype alone checks other functions.

A call that jaxtyping checks takes about 20 us longer, most of the time of functions that search over numbers.
"""

import functools
import inspect
import typing

import jaxtyping
from beartype import beartype

_with_shapes = jaxtyping.jaxtyped


def _has_no_arrays(function):
    """Whether all annotations are known and none has the shape of an array."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # a name that is defined later, or for static checks only
        return False
    return not any("jaxtyping." in f"{hint}{getattr(hint, '__module__', '')}." for hint in hints.values())


def _checked(function):
    checked = beartype(function)

    @functools.wraps(function)
    def call(*args, **kwargs):
        return (function if jaxtyping.config.jaxtyping_disable else checked)(*args, **kwargs)

    return call


def _jaxtyped(*, typechecker):
    def decorate(function):
        if inspect.isfunction(function) and _has_no_arrays(function):
            return _checked(function)
        return _with_shapes(typechecker=typechecker)(function)

    return decorate


def install():
    """Replace the decorator of jaxtyping's import hook; before the modules that it decorates are imported."""
    jaxtyping.jaxtyped = _jaxtyped
