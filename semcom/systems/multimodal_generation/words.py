"""Imagenette's class names, prompt templates, and the vocabulary for images without a caption."""

from __future__ import annotations

CLASSES = (
    "tench",
    "English springer",
    "cassette player",
    "chain saw",
    "church",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "parachute",
)  # class names of Imagenette, by class number

TEMPLATES = (
    "a photo of a {}",
    "a picture of a {}",
    "a close view of a {}",
    "the {}",
    "a {} outside",
    "a photo of the large {}",
    "someone with a {}",
)

_THINGS = """
man woman boy girl child children baby toddler people crowd couple team player family lady face head hair
smile eyes mouth hand dog dogs puppy cat horse bird cow sheep fish animal leash stick ball frisbee bone
football soccer basketball baseball tennis hockey volleyball skateboard snowboard surfboard skis bike
bicycle motorcycle car truck bus boat train helmet uniform jersey shirt jacket coat dress hat cap shorts
jeans sunglasses glasses backpack bag umbrella camera guitar microphone flag sign toy balloon rope swing
slide trampoline ramp rail bench table chair bed food drink ice water ocean sea wave beach sand lake
river pool fountain waterfall snow mountain hill cliff rock rocks desert forest woods tree trees leaves
flower flowers grass field lawn garden park playground path trail road street sidewalk city town bridge
building house wall fence window door stairs room floor stage stadium track race court market shop
restaurant bar sky sun sunset clouds night fire smoke dirt mud red orange yellow green blue purple pink
brown black white grey running jumping swimming climbing riding surfing skiing sitting standing walking
sleeping eating playing dancing flying
"""

VOCABULARY = (*CLASSES, *_THINGS.split())


def sentence(caption: str) -> str:
    """Return a caption unchanged, but a bare class name as a sentence.

    >>> sentence("tench"), sentence("two dogs run")
    ('a photo of a tench', 'two dogs run')
    """
    return TEMPLATES[0].format(caption) if caption in CLASSES else caption
