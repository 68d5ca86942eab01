"""Mapcount schemes: ways to keep the mapcount of a folio, as folds over events."""

from __future__ import annotations

import importlib

from folioshell.schemes.base import Scheme

#: modules that declare schemes
DECLARING = (
    "anon_exclusive",
    "average",
    "first_page",
    "hookless",
    "likely",
    "max_page",
    "mm_id",
    "owner",
    "per_page",
    "per_page_v5",
    "references",
    "rmap_id",
    "total_pages",
    "tuples",
    "vmas",
    "zero_one_two_many",
)

for _name in DECLARING:
    importlib.import_module(f"{__name__}.{_name}")


def all_schemes() -> dict[str, type[Scheme]]:
    """Every registered scheme by name, in the order in which tables show them."""
    return {scheme.name: scheme for scheme in sorted(Scheme.registry.values(), key=lambda s: (s.place, s.name))}
