"""The schemes of a machine: which of them count, what each event calls, and how one joins later.

A scheme is a fold over events. So a scheme that joins later is folded over all events so far, and has the numbers that
it would have had from the start. What is needed is decided here alone, by use: a scheme counts from the first time that
it is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from folioshell.events import CALLBACKS, FolioFreed, Mapped, Unmapped
from folioshell.intervals import LongIntervals
from folioshell.records import NamedTuple
from folioshell.schemes.base import Scheme
from folioshell.schemes.entries import share_entries
from folioshell.schemes.mm_slots import share_mappings
from folioshell.schemes.order0 import Order0Scheme, share_order0
from folioshell.schemes.windows import share_windows

Callback = Callable[[Any], None]


class _ByOrder:
    """Calls other callbacks for large folios than for order-0 folios."""

    __slots__ = ("large", "small")

    def __init__(self) -> None:
        self.small: list[Callback] = []
        self.large: list[Callback] = []

    def __call__(self, event: Mapped | Unmapped | FolioFreed) -> None:
        for callback in self.large if event.order else self.small:
            callback(event)


class Mark(NamedTuple):
    """A point in the history of a machine: what was yielded up to there, and the schemes that count, by name."""

    past: tuple[list[Any], ...]
    schemes: Mapping[str, Scheme]


class Schemes(Mapping[str, Scheme]):
    """The schemes by name. Looking one up makes it count; iterating over names does not.

    Args:
        kinds: all schemes by name, in reading order.
        loaded: names of those loaded from files: they count from the start, and share no records with ours, so that
            they cannot spoil them.
        names: those of ours that count from the start; None for all.
        first: event class -> what is called before any scheme.

    Attributes:
        kinds: as given.
        callbacks: event class -> what is called, in order.
        counted: the event classes that call any scheme, whether or not it counts at present.
        small: the shared record of order-0 folios: see Order0Scheme.
    """

    def __init__(
        self,
        kinds: Mapping[str, type[Scheme]],
        loaded: Collection[str],
        names: Collection[str] | None,
        first: Mapping[type, Callback],
    ) -> None:
        self.kinds = kinds
        self.callbacks: dict[type, tuple[Callback, ...]] = {}
        self.counted = {*first} | {
            kind
            for kind, name in CALLBACKS.items()
            if any(getattr(scheme, name) is not getattr(Scheme, name) for scheme in kinds.values())
        }
        self.small: LongIntervals[int] | None = None
        self._loaded = loaded
        self._first = first
        self._counting = {
            name: kind() for name, kind in kinds.items() if names is None or name in names or name in loaded
        }
        #: what was yielded since the start, a list a step; kept only for schemes that may join
        self._past: list[list[Any]] = []
        self._is_kept = len(self._counting) < len(kinds)
        self._link()

    def __getitem__(self, name: str) -> Scheme:
        scheme = self._counting.get(name)
        return self._join(name) if scheme is None else scheme

    def __iter__(self) -> Iterator[str]:
        return iter(self.kinds)

    def __len__(self) -> int:
        return len(self.kinds)

    def __contains__(self, name: object) -> bool:
        return name in self.kinds

    @property
    def counting(self) -> Mapping[str, Scheme]:
        """The schemes that count at present, in the order in which they joined."""
        return self._counting

    def begin(self, trace: list[Any]) -> None:
        """A step begins: what it yields will be in ``trace``."""
        if self._is_kept:
            self._past.append(trace)

    def mark(self) -> Mark:
        """A point to rewind to."""
        return Mark(tuple(self._past), {**self._counting})

    def rewind(self, mark: Mark) -> bool:
        """Go to a mark; the caller has restored the contents of the schemes that counted then.

        Returns: whether other schemes count now.
        """
        self._past[:] = mark.past
        if self._counting == mark.schemes:
            return False
        self._counting = {**mark.schemes}
        self._link()
        return True

    def _join(self, name: str) -> Scheme:
        scheme = self.kinds[name]()
        fold(scheme, (event for trace in self._past for event in trace))
        self._counting[name] = scheme
        self._link()
        return scheme

    def _link(self) -> None:
        """Let schemes share records, and find what each event calls.

        Schemes are linked and called in the order in which they joined, so that a join replaces no shared record but
        that of the windows, which the last one writes.
        """
        ours = [scheme for name, scheme in self._counting.items() if name not in self._loaded]
        order0_readers = set(share_order0(self._counting.values()))
        large_readers = {*share_entries(ours), *share_mappings(ours), *share_windows(ours)}
        for kind, name in CALLBACKS.items():
            first = (self._first[kind],) if kind in self._first else ()
            overriding = [
                scheme for scheme in self._counting.values() if getattr(type(scheme), name) is not getattr(Scheme, name)
            ]
            if kind in (Mapped, Unmapped, FolioFreed):
                by_order = _ByOrder()
                for scheme in overriding:
                    small, large = _split(scheme, name)
                    if scheme not in order0_readers:
                        by_order.small.append(small)
                    if kind is FolioFreed or scheme not in large_readers:
                        by_order.large.append(large)
                self.callbacks[kind] = (*first, by_order) if overriding else first
            else:
                self.callbacks[kind] = (*first, *[getattr(scheme, name) for scheme in overriding])
        self.small = next((one.small for one in order0_readers if isinstance(one, Order0Scheme)), None)


def _split(scheme: Scheme, name: str) -> tuple[Callback, Callback]:
    """A callback for order-0 folios and one for large ones: straight to where Order0Scheme would pass them on."""
    if name != "on_folio_freed" and getattr(type(scheme), name) is getattr(Order0Scheme, name):
        assert isinstance(scheme, Order0Scheme)
        return scheme.count_small, scheme.count_large
    callback = getattr(scheme, name)
    return callback, callback


def fold(scheme: Scheme, trace: Iterable[Any]) -> None:
    """Call a scheme with the events of a trace, in which lock operations may stand as well."""
    callbacks = {kind: getattr(scheme, name) for kind, name in CALLBACKS.items()}
    for event in trace:
        if callback := callbacks.get(event.__class__):
            callback(event)
