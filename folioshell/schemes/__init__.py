"""Mapcount schemes: ways to keep the mapcount of a folio, as folds over events."""

from __future__ import annotations

import importlib
import pkgutil

from folioshell.schemes.base import Scheme

for _name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_name}")


def all_schemes() -> dict[str, type[Scheme]]:
    """Every registered scheme by name, in the order in which tables show them."""
    return {scheme.name: scheme for scheme in sorted(Scheme.registry.values(), key=lambda s: (s.place, s.name))}
