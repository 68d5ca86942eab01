"""folioshell: try mapcount schemes for folios on a model of Linux memory management."""

__version__ = "0.2.0"


#: names of the public API -> where they are defined
_PUBLIC = {
    "Session": "folioshell.script",
    **dict.fromkeys(("GENEROUS", "STRICT", "Access", "Host", "Limits"), "folioshell.session.host"),
}


def __getattr__(name: str) -> object:
    """The names of ``_PUBLIC``, imported on first use: a version number should cost nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # A name, not an import statement: this file lies below all layers.
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
