"""The icon of the browser tab, drawn here so that no other server is asked for it."""

from functools import lru_cache

from PIL import Image, ImageDraw


@lru_cache(maxsize=1)
def icon() -> Image.Image:
    """An antenna with two waves."""
    image = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, 63, 63), 14, fill="#0072B2")
    for radius in (14, 24):
        draw.arc((32 - radius, 38 - radius, 32 + radius, 38 + radius), 200, 340, fill="white", width=5)
    draw.ellipse((27, 33, 37, 43), fill="white")
    draw.rectangle((30, 38, 34, 56), fill="white")
    return image
