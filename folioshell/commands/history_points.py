"""Places in the history as they are typed: the number of a step, a mark, or a line for its last step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from folioshell.commands.lex import Token
from folioshell.commands.operands import Operand, Pair, StepNumber, nearest, read_name
from folioshell.session.history import History, HistoryPoint
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.commands.call import Call
    from folioshell.session.session import Session

_NUMBER = StepNumber()


class SpotName(Operand):
    """A step's number, a mark or a line; names are looked up when the command runs."""

    label = "a step, mark or line"
    usage = "N|NAME"

    def read(self, token: Token) -> int | str:
        """The number or name."""
        return _NUMBER.read(token) if token.text[:1].isdecimal() else read_name(token)

    def candidates(self, session: Session) -> Iterable[Pair]:
        """The marks, then the lines, then the steps of the current one."""
        history = session.history
        marks = [(name, f"mark at {spot_text(history, history.spot(name))}") for name in history.marks]
        lines = [(name, f"line of {counted(len(steps), 'step')}") for name, steps in history.lines.items()]
        return [*marks, *lines, *_NUMBER.candidates(session)]


SPOT = SpotName()


def spot_text(history: History, spot: HistoryPoint) -> str:
    """``step 3``, or ``step 3 of main`` where there are several lines."""
    return f"step {spot.position} of {spot.line}" if len(history.lines) > 1 else f"step {spot.position}"


def spot_of(call: Call, name: str) -> HistoryPoint:
    """The state that an argument names; a number counts in the current line.

    Raises:
        Refused: there is none.
    """
    history, word = call.session.history, call.arguments.get(name, object)
    if isinstance(word, int):
        last = len(history.entries)
        if word > last:
            raise call.refused_at(name, f"there is no step {word}", hint=f"steps go from 0 to {last}")
        return HistoryPoint(history.current, word)
    assert isinstance(word, str)
    if not history.what_has(word):
        names = [*history.marks, *history.lines]
        hint = nearest(word, names) or "`mark NAME` names the present step"
        raise call.refused_at(name, "no such mark or line", allowed=names, hint=hint)
    return history.spot(word)
