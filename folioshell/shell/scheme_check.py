"""``check-scheme``: every law against the schemes of a file, with the shortest history that violates it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folioshell.contract.check import CheckResult, check_scheme
from folioshell.contract.histories import HIGHEST_ID, WIDE_ORDERS, SearchBounds
from folioshell.errors import Refused
from folioshell.schemes.base import Law, Scheme
from folioshell.script.loading import load_file
from folioshell.views.blocks import Block, Column, Grid, Line, Span, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen
from folioshell.wording import counted

HOLDS, VIOLATED, UNUSABLE = 0, 1, 2


def check_files(
    names: Sequence[str], screen: Screen, errors: Screen, *, quiet: bool = False, bounds: SearchBounds | None = None
) -> int:
    """Check the schemes of files as far as ``bounds`` say.

    With ``quiet`` only violated claims and a summary line for each scheme are shown.

    Returns: 0 if all claimed and required laws hold, 1 if one is violated, 2 if a file cannot be used.
    """
    bounds = bounds or SearchBounds()
    status = HOLDS
    for name in names:
        try:
            kinds = load_file(name).schemes
        except Refused as error:
            errors.refusal(error)
            errors.flush()
            status = UNUSABLE
            continue
        for kind in kinds:
            verdicts = check_scheme(kind, bounds)
            screen.write(list(check_blocks(kind, verdicts, quiet)))
            if not quiet:
                screen.write([line(_extent(bounds))])
            screen.flush()
            status = max(
                status, HOLDS if all(verdict.kept or not verdict.declared for verdict in verdicts) else VIOLATED
            )
    return status


def _extent(bounds: SearchBounds) -> str:
    orders = f"orders {WIDE_ORDERS[0]} to {WIDE_ORDERS[-1]}"
    return (
        f"tried: {counted(bounds.histories, 'history', 'histories')} of up to {counted(bounds.steps, 'step')}, and "
        f"others of {counted(bounds.mms, 'mm')} with MM-IDs from 1 to {HIGHEST_ID:,}; {orders}; seed {bounds.seed}"
    )


def check_blocks(kind: type[Scheme], verdicts: Sequence[CheckResult], quiet: bool = False) -> Iterator[Block]:
    """A table of the laws, then a history for each violation; ``quiet``: only for claimed and required laws."""
    broken = [verdict for verdict in verdicts if not verdict.kept and (verdict.declared or not quiet)]
    if not quiet:
        yield _table(kind, verdicts)
    for verdict in broken:
        yield from _breach(verdict)
    if broken or not quiet:
        yield line("")
    yield _summary(kind, verdicts)


def _table(kind: type[Scheme], verdicts: Sequence[CheckResult]) -> Grid:
    rows = tuple((Span(verdict.law), Span(_declared(verdict)), _outcome(verdict)) for verdict in verdicts)
    return Grid((Column("law"), Column("claimed"), Column("in the histories tried")), rows, title=visible(kind.name))


def _is_law(verdict: CheckResult) -> bool:
    return verdict.law in set(Law)


def _declared(verdict: CheckResult) -> str:
    if not _is_law(verdict):
        return "required"
    return "yes" if verdict.declared else "no"


def _outcome(verdict: CheckResult) -> Span:
    if verdict.kept:
        return Span("holds", Tone.GOOD) if verdict.declared else Span("holds (could be claimed)", Tone.STRONG)
    return Span("! VIOLATED", Tone.BAD) if verdict.declared else Span("violated (not claimed)")


def _breach(verdict: CheckResult) -> Iterator[Block]:
    tone = Tone.BAD if verdict.declared else Tone.PLAIN
    yield line("")
    steps = len(verdict.history) - 1
    how = f"violated after {counted(steps, 'step')}" if steps else "violated in the initial state"
    yield Line((Span(f"{verdict.law} {how}:", tone),))
    for at, text in enumerate(verdict.history):
        yield line(f"{at}  {visible(text)}" if at else visible(text), indent=2)
    yield line(f"then: {visible(verdict.breach)}", Tone.STRONG, indent=2)
    if verdict.script:
        yield line("as a script:", indent=2)
        for text in verdict.script:
            yield line(visible(text), indent=4)


def _summary(kind: type[Scheme], verdicts: Sequence[CheckResult]) -> Line:
    broken = [verdict.law for verdict in verdicts if verdict.declared and not verdict.kept]
    more = [verdict.law for verdict in verdicts if not verdict.declared and verdict.kept]
    text = Span(f"violates {', '.join(broken)}", Tone.BAD) if broken else Span("all claimed laws hold", Tone.GOOD)
    further = f"; {', '.join(more)} could be claimed" if more else ""
    return Line((Span(f"{visible(kind.name)}: "), text, Span(further)))
