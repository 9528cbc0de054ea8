"""The ten colors of a palette are distinguishable with color blindness and on their background."""

import itertools

import numpy as np
import pytest

from holter.plots import PALETTE, THEMES
from holter.plots.build.palette import resolved, theme_named, translucent

# Machado, Oliveira, Fernandes: "A Physiologically-based Model for Simulation of Color Vision Deficiency" (IEEE TVCG
# 2009), severity 1.0, on linear RGB.
BLINDNESSES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# Björn Ottosson: "A perceptual color space for image processing" (2020).
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(color: str) -> np.ndarray:
    channels = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def oklab(light: np.ndarray) -> np.ndarray:
    return TO_LAB @ np.cbrt(TO_CONES @ light.clip(0, 1))


def contrast(a: str, b: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    low, high = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (a, b))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("blindness", BLINDNESSES)
@pytest.mark.parametrize("theme", THEMES)
def test_palette_colors_are_distinguishable(theme, blindness):
    seen = [oklab(BLINDNESSES[blindness] @ linear(color)) for color in THEMES[theme].palette]
    assert len(seen) == 10
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 0.11


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_colors_have_contrast_to_background(theme):
    for color in (*theme.palette, *theme.sequence, theme.alarm, theme.change):
        assert contrast(color, theme.background) >= 3.0, color
    for color in (theme.text, theme.quiet_text):
        assert contrast(color, theme.background) >= 4.5, color
        assert contrast(color, theme.hover) >= 4.5, color


def test_color_is_index_position_or_hex():
    light = THEMES["light"]
    assert light.palette == PALETTE
    assert resolved(13, light) == light.palette[3]
    assert resolved("#123456", light) == "#123456"
    assert resolved(0.0, light) == light.sequence[0]
    assert resolved(1.0, light) == light.sequence[-1]
    assert resolved(1.0 / 6, light) == light.sequence[1]
    assert translucent("#ff8000", 0.5) == "rgba(255,128,0,0.5)"
    with pytest.raises(ValueError, match="theme must be one of light, dark, got 'sepia'"):
        theme_named("sepia")
