"""Colors, at the prompt and in output, can be read on a black and on a white screen."""

from __future__ import annotations

import re

import pytest

from folioshell.shell.highlight import STYLE
from folioshell.views.rich_view import STYLES

#: the palette of xterm: what a terminal without a theme shows
PALETTE = {
    "red": 0xCD0000,
    "green": 0x00CD00,
    "yellow": 0xCDCD00,
    "blue": 0x0000EE,
    "magenta": 0xCD00CD,
    "cyan": 0x00CDCD,
}
BLACK, WHITE = 0x000000, 0xFFFFFF
#: WCAG 2.1, 1.4.11
LEAST = 3.0


def luminance(color: int) -> float:
    """Relative luminance as WCAG 2.1 defines it."""
    channels = [(color >> shift & 0xFF) / 255 for shift in (16, 8, 0)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(color: int, other: int) -> float:
    """Contrast ratio as WCAG 2.1 defines it."""
    darker, lighter = sorted((luminance(color), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


USED = sorted(
    {color for _, rule in STYLE.style_rules for color in re.findall(r"ansi(\w+)", rule)}
    | {style.color.name for style in STYLES.values() if style.color is not None}
)


def test_what_the_measure_refuses() -> None:
    """Blue is unreadable on black, green and cyan are on white."""
    assert contrast(PALETTE["blue"], BLACK) < LEAST
    assert contrast(PALETTE["green"], WHITE) < LEAST
    assert contrast(PALETTE["cyan"], WHITE) < LEAST


@pytest.mark.parametrize("color", USED)
def test_colors_are_readable(color: str) -> None:
    """Every color that is used has enough contrast to either background."""
    assert min(contrast(PALETTE[color], BLACK), contrast(PALETTE[color], WHITE)) >= LEAST


def test_verbs_have_the_foreground_of_the_terminal() -> None:
    """A verb is bold and has no color; an unknown one is underlined as well as red."""
    rules = dict(STYLE.style_rules)
    assert rules["fs.verb"] == "bold"
    assert rules["fs.unknown"] == "underline ansired"
