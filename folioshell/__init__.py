"""folioshell: a shell in which definitions of the folio mapcount are tried on a model of Linux memory management."""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """``folioshell.Session``, imported when it is first asked for: a version number should cost nothing."""
    if name != "Session":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # A name, not an import statement: this file lies below all layers.
    from importlib import import_module

    return import_module("folioshell.script").Session
