"""watch and unwatch: questions that are asked again after each step."""

from __future__ import annotations

from collections.abc import Iterable

from folioshell.commands.call import Call, done
from folioshell.commands.grammar import SESSION, Arg, Form, command
from folioshell.commands.operands import Number, Pair
from folioshell.commands.parse import ParsedStatement
from folioshell.commands.places import FOLIO, PlaceRef
from folioshell.commands.question import living, questions, target
from folioshell.commands.schemes import TRUTH, scheme_of
from folioshell.errors import LoadedCodeError, Refused
from folioshell.records import NamedTuple
from folioshell.report import Report
from folioshell.session.language import Reading, Watch, present
from folioshell.session.session import Session
from folioshell.wording import counted

TOPIC = "asking"
#: watches at most: each costs something after every step
MOST = 64


class WatchedQuestion(NamedTuple):
    """A question as ``watch`` declares it.

    Args:
        statement: the ``watch`` that asks it, every place with its process.
    """

    statement: ParsedStatement

    @property
    def text(self) -> str:
        """As it stands after ``watch``."""
        return self.statement.text.partition(" ")[2]

    def can_be_set(self, session: Session) -> bool:
        """Would ``watch`` take it in the present state? A name may have become that of something larger."""
        try:
            _asked(self._call(session))
        except Refused:
            return False
        return True

    def _call(self, session: Session) -> Call:
        return Call(self.statement, session.workspace, session.process, session)

    def read(self, session: Session) -> Reading:
        """The answer in the present state; a note where what it is about is not there."""
        call = self._call(session)
        try:
            return Reading(questions.of(call).watched(call) if self.statement.form.lead else _mapcounts(call))
        except Refused as error:
            near = f"; {error.hint}" if error.hint.startswith("did you mean") else ""
            return Reading({}, f"{error.message}{near}")
        except LoadedCodeError as error:
            return Reading({}, str(error))


def _mapcounts(call: Call) -> dict[str, str]:
    """Every shown scheme's number; of a place the folio that is mapped there, too."""
    about, schemes = living(call, target(call, "WHAT")), call.workspace.machine.schemes
    folio = {"folio": f"f{about.number}"} if about.page is not None else {}
    return folio | {name: str(schemes[name].mapcount(about.number, about.page)) for name in call.session.shown_schemes}


def _asked(call: Call) -> WatchedQuestion:
    """What is asked, with its process before every place: ``as`` must not give the watch another meaning.

    Raises:
        Refused: it can never be answered: a scheme that does not exist, a range where one page is wanted.
    """
    form, arguments = call.statement.form, call.arguments
    if arguments.get("SCHEME", str, TRUTH) != TRUTH:
        scheme_of(call, "SCHEME")
    words = [form.lead] if form.lead else []
    for name in (arg.name for arg in form.args if arg.name in arguments):
        (token,) = arguments.tokens(name)
        ref = arguments.get(name, object)
        text = token.text
        if isinstance(ref, PlaceRef):
            if not (form.lead and questions.of(call).ranges) and call.pages_in(ref) != 1:
                call.page(ref)  # refuses it
            if not ref.process and not call.process:
                call.range_of(ref)  # refused: no process is left
            text = text if ref.process else f"{call.process}:{text}"
        words.append(text)
    (statement,) = call.session.language.parse(" ".join(("watch", *words)))
    assert isinstance(statement, ParsedStatement)
    return WatchedQuestion(statement)


class _WatchNumber(Number):
    """The number of a watch."""

    def candidates(self, session: Session) -> Iterable[Pair]:
        """Those that there are."""
        return [(str(number), one.question.text) for number, one in enumerate(session.watches, 1)]


@command(
    "watch",
    *(
        one.form("the scheme that answers, or `truth` (default: the shown schemes and the truth)")
        for one in questions
        if one.lasting
    ),
    Form(
        args=(Arg("WHAT", FOLIO, "the folio, or a page whose folio is meant", optional=True),),
        summary="every shown scheme's number; alone: list what is watched",
    ),
    kind=SESSION,
    topic=TOPIC,
)
def watch(call: Call) -> Report:
    """Repeat a question after each step.

    From then on each step, and each move in the history, shows how the answer changed, or why there is none: the folio
    was freed, or nothing is mapped at the place. A place is that of the process that sets the watch. Watches are
    settings: undo does not affect them.

    Example:
        mmap buf 16 ; fault buf[0] ; watch f1 ; fork B ; watch
        mmap buf 16 ; watch shared? buf[0] ; watch present? buf ; fault buf ; fork B
        mmap buf 16 ; fault buf[0] ; watch mapcount vmas f1 ; watch truth mms f1 ; watch vmas A ; fork B
    """
    session, watches = call.session, call.session.watches
    if not call.statement.form.lead and "WHAT" not in call.arguments:
        text = "" if watches else "Nothing is watched; `watch FOLIO` begins."
        return done(call, text, watched=tuple(present(number, one) for number, one in enumerate(watches, 1)))
    asked = _asked(call)
    known = [one.question.text for one in watches]
    if asked.text in known:
        number = known.index(asked.text) + 1
        return done(call, f"Already watched, as {number}.", watched=(present(number, watches[number - 1]),))
    if len(watches) == MOST:
        raise call.refused(None, f"{MOST} things are watched already", hint="`unwatch N` stops one")
    watches.append(Watch(asked, asked.read(session)))
    return done(call, watched=(present(len(watches), watches[-1]),))


@command(
    "unwatch",
    Form(args=(Arg("N", _WatchNumber(least=1), "number of the watch (default: all)", optional=True),)),
    kind=SESSION,
    topic=TOPIC,
)
def unwatch(call: Call) -> Report:
    """Stop watching.

    Stops one watch, by its number in `watch`, or all of them; later ones move up.

    Example:
        mmap buf 16 ; fault buf[0] ; watch f1 ; watch buf[0] ; unwatch 1 ; unwatch
    """
    watches = call.session.watches
    if "N" not in call.arguments:
        nr = len(watches)
        watches.clear()
        return done(call, f"{counted(nr, 'watch', 'watches')} stopped." if nr else "Nothing was watched.")
    number = call.number("N")
    if number > len(watches):
        raise call.refused_at("N", f"there is no watch {number}", hint="`watch` lists them with their numbers")
    return done(call, f"Stopped watching {watches.pop(number - 1).question.text}.")
