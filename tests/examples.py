"""Properties that are slow try fewer examples, in proportion to those of the profile in use."""

from __future__ import annotations

from hypothesis import settings


def fewer(divisor: int) -> settings:
    """Settings with the examples of the profile divided by ``divisor``."""
    examples = settings.default.max_examples if settings.default else 60
    return settings(max_examples=max(1, examples // divisor))
