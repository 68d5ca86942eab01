"""What ``check-scheme`` does: every law against the definitions of a file, and the shortest history that breaks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folioshell.contract.check import Verdict, check_scheme
from folioshell.errors import Refused
from folioshell.schemes.base import Law, Scheme
from folioshell.script.definitions import load_schemes
from folioshell.views.blocks import Block, Column, Grid, Line, Span, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen
from folioshell.wording import counted

KEPT, BROKEN, BAD = 0, 1, 2


def check_files(names: Sequence[str], screen: Screen, errors: Screen, *, quiet: bool = False) -> int:
    """Check the definitions of files; quietly, only broken promises and a last line for each are shown.

    Returns: 0 if all of them do what they declare, 1 if one breaks a law that it declares, or a duty that all have,
        2 if a file cannot be used.
    """
    status = KEPT
    for name in names:
        try:
            kinds = load_schemes(name)
        except Refused as error:
            errors.refusal(error)
            errors.flush()
            status = BAD
            continue
        for kind in kinds:
            verdicts = check_scheme(kind)
            screen.write(list(check_blocks(kind, verdicts, quiet)))
            screen.flush()
            status = max(status, KEPT if all(verdict.kept or not verdict.declared for verdict in verdicts) else BROKEN)
    return status


def check_blocks(kind: type[Scheme], verdicts: Sequence[Verdict], quiet: bool = False) -> Iterator[Block]:
    """The verdicts in a table, then a history for each law that is broken; quietly, no more than broken promises."""
    broken = [verdict for verdict in verdicts if not verdict.kept and (verdict.declared or not quiet)]
    if not quiet:
        yield _table(kind, verdicts)
    for verdict in broken:
        yield from _breach(verdict)
    if broken or not quiet:
        yield line("")
    yield _summary(kind, verdicts)


def _table(kind: type[Scheme], verdicts: Sequence[Verdict]) -> Grid:
    rows = tuple((Span(verdict.law), Span(_declared(verdict)), _outcome(verdict)) for verdict in verdicts)
    return Grid((Column("law"), Column("declared"), Column("in the histories tried")), rows, title=visible(kind.name))


def _is_law(verdict: Verdict) -> bool:
    return verdict.law in set(Law)


def _declared(verdict: Verdict) -> str:
    if not _is_law(verdict):
        return "a duty of all"
    return "yes" if verdict.declared else "no"


def _outcome(verdict: Verdict) -> Span:
    if verdict.kept:
        return Span("kept", Tone.GOOD) if verdict.declared else Span("kept: it could be declared", Tone.STRONG)
    return Span("! BROKEN", Tone.BAD) if verdict.declared else Span("broken, as it says")


def _breach(verdict: Verdict) -> Iterator[Block]:
    tone = Tone.BAD if verdict.declared else Tone.PLAIN
    yield line("")
    steps = len(verdict.history) - 1
    how = f"is broken by {counted(steps, 'step')}" if steps else "is broken from the start"
    yield Line((Span(f"{verdict.law} {how}:", tone),))
    for at, text in enumerate(verdict.history):
        yield line(f"{at}  {visible(text)}" if at else visible(text), indent=2)
    yield line(f"then: {visible(verdict.breach)}", Tone.STRONG, indent=2)


def _summary(kind: type[Scheme], verdicts: Sequence[Verdict]) -> Line:
    broken = [verdict.law for verdict in verdicts if verdict.declared and not verdict.kept]
    more = [verdict.law for verdict in verdicts if not verdict.declared and verdict.kept]
    if broken:
        text = Span(f"breaks what it must keep: {', '.join(broken)}", Tone.BAD)
    else:
        text = Span("keeps what it must", Tone.GOOD)
    further = f"; it could declare {', '.join(more)}" if more else ""
    return Line((Span(f"{visible(kind.name)}: "), text, Span(further)))
