"""Formulas as MathML, which browsers show without a script and without a network."""

from __future__ import annotations

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# What the converter leaves as it is: the sign of a distribution, and large delimiters.
_SYMBOLS = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    ">\\|</mo>": ">&#x02016;</mo>",
    ">\\lfloor</mo>": ">&#x0230A;</mo>",
    ">\\rfloor</mo>": ">&#x0230B;</mo>",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer under the name that conf.py selects."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True}


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def _mathml(formula: str, display: str) -> str:
    """MathML of a formula in LaTeX; vertical bars get no space, as in |x|.

    A large parenthesis is not the base of its exponent, where browsers show it small.
    """
    formula = re.sub(r"(\\[bB]igr(?:\\\||[)\]|]))\^", r"\1{}^", formula)
    converted = convert(formula, display=display)
    for unknown, symbol in _SYMBOLS.items():
        converted = converted.replace(unknown, symbol)
    return re.sub(r"<mo([^>]*)>(&#x0007C;|\|)</mo>", r'<mo lspace="0" rspace="0"\1>|</mo>', converted)
