"""show schemes: what each definition counts, how it answers, and what it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folioshell.commands.ask import target
from folioshell.commands.build import done
from folioshell.commands.call import Call
from folioshell.report import Report, Section, Table, Text
from folioshell.schemes.base import Scheme

#: orders whose bytes are told where no folio is named: one page, the 64K of many examples, a PMD's worth
USUAL_ORDERS = (0, 4, 9)


def scheme_sections(call: Call, orders: Sequence[int]) -> tuple[Section, ...]:
    """Every scheme in words, then the bytes that each keeps for a folio of these orders."""
    schemes = call.workspace.machine.schemes
    shown = call.session.shown_schemes
    decider = call.kernel.decider.name
    roles = {
        name: ", ".join(word for word, holds in (("decides", name == decider), ("shown", name in shown)) if holds)
        for name in schemes
    }
    lines = [line for name, scheme in schemes.items() for line in scheme_lines(scheme, roles[name])]
    rows: list[tuple[str | int | None, ...]] = [
        (name, roles[name], *(scheme.bytes_of_state(order) for order in orders)) for name, scheme in schemes.items()
    ]
    columns = ("scheme", "role", *(f"order {order}" for order in orders))
    return (Text(tuple(lines), "schemes"), Table("bytes of state of a folio", columns, tuple(rows)))


def scheme_lines(scheme: Scheme, role: str) -> Iterator[str]:
    """Name and version, the two lines about it, and the state that it keeps."""
    yield f"{scheme.name}{f' ({role})' if role else ''}: {scheme.version}"
    yield from (f"  {line}" for line in scheme.about)
    yield f"  State: {scheme.state}."


def show_schemes(call: Call) -> Report:
    """The handler: with a folio, the bytes for one of its order."""
    orders = (target(call, "FOLIO").order,) if "FOLIO" in call.arguments else USUAL_ORDERS
    return done(call, sections=scheme_sections(call, orders))
