"""watch and unwatch: questions that are asked again after each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from folioshell.commands import ask
from folioshell.commands.build import FOLIO, arg, command, done, place
from folioshell.commands.call import Call
from folioshell.commands.grammar import SESSION, Arg, Form
from folioshell.commands.operands import Choice, Number, Pair
from folioshell.commands.places import FolioRef, PlaceRef
from folioshell.commands.schemes import TRUTH, SchemeName, scheme_of
from folioshell.commands.statement import ParsedStatement
from folioshell.errors import Refused, SchemeError
from folioshell.report import Report
from folioshell.session.entries import present_runs
from folioshell.session.session import Session
from folioshell.session.watch import Reading, Watch, present
from folioshell.wording import counted

TOPIC = "asking"
#: watches at most: each costs something after every step
MOST = 64


class Asked(NamedTuple):
    """A question as ``watch`` declares it.

    Args:
        statement: the ``watch`` that asks it, every place with its process.
    """

    statement: ParsedStatement

    @property
    def text(self) -> str:
        """As it stands behind ``watch``."""
        return self.statement.text.partition(" ")[2]

    def can_be_set(self, session: Session) -> bool:
        """Would ``watch`` take it in the present state? A name may have become that of something larger."""
        try:
            _question(self._call(session))
        except Refused:
            return False
        return True

    def _call(self, session: Session) -> Call:
        return Call(self.statement, session.workspace, session.process, session)

    def read(self, session: Session) -> Reading:
        """What it gives in the present state; a note where what it is about is not there."""
        call = self._call(session)
        try:
            return Reading(_READERS[call.word("lead")](call))
        except Refused as error:
            near = f"; {error.hint}" if error.hint.startswith("did you mean") else ""
            return Reading({}, f"{error.message}{near}")
        except SchemeError as error:
            return Reading({}, str(error))


def _target(call: Call) -> ask.Target:
    """The folio asked about, if it lives.

    Raises:
        Refused: it does not, or never did.
    """
    about = ask.target(call, "WHAT")
    if about.folio is None:
        raise call.refused_at("WHAT", f"f{about.number} was freed, or split into others")
    return about


def _folio(call: Call) -> dict[str, str]:
    """Every shown scheme's number; of a place the folio that is mapped there, too."""
    about, schemes = _target(call), call.workspace.machine.schemes
    folio = {"folio": f"f{about.number}"} if about.page is not None else {}
    return folio | {name: str(schemes[name].mapcount(about.number, about.page)) for name in call.session.shown_schemes}


def _answers(kind: str) -> Callable[[Call], dict[str, str]]:
    """The reader of a question to one scheme, or to all that are shown and to the truth."""

    def read(call: Call) -> dict[str, str]:
        about, schemes = _target(call), call.workspace.machine.schemes
        judge = call.word("SCHEME")
        names = [judge] if judge else [*call.session.shown_schemes, TRUTH]
        if judge not in ("", TRUTH):
            scheme_of(call, "SCHEME")
        true = ask.true_answer(kind, ask.counts_of(call.workspace, about.folio), about.order)
        return {name: true if name == TRUTH else ask.scheme_answer(kind, schemes[name], about) for name in names}

    return read


def _present(call: Call) -> dict[str, str]:
    found = call.range_of(call.arguments.get("PLACE", PlaceRef))
    runs = present_runs(call.kernel, found.mm, found.start, found.end)
    pages = sum(nr for _, nr, there in runs if there)
    if found.nr > 1:
        return {"present": f"{pages} of {counted(found.nr, 'page')}"}
    return {"present": "yes" if pages else "no"}


def _truth(call: Call) -> dict[str, str]:
    count = call.word("COUNT")
    return {count: str(getattr(ask.counts_of(call.workspace, _target(call).folio), count))}


_READERS: dict[str, Callable[[Call], dict[str, str]]] = {
    "": _folio,
    **{kind: _answers(kind) for kind in (ask.SHARED, ask.MAPPED, ask.MAPCOUNT, ask.PARTIAL)},
    "present?": _present,
    "truth": _truth,
}


def _question(call: Call) -> Asked:
    """What is asked, with its process before every place: ``as`` must not give the watch another meaning.

    Raises:
        Refused: it can never be answered: a scheme that is not there, a range where one folio is wanted.
    """
    words = [call.word(name) for name in ("lead", "SCHEME", "COUNT") if name in call.arguments]
    if call.word("SCHEME") not in ("", TRUTH):
        scheme_of(call, "SCHEME")
    name = "PLACE" if "PLACE" in call.arguments else "WHAT"
    ref = call.arguments.get(name, object)
    assert isinstance(ref, PlaceRef | FolioRef)
    text = ref.token.text
    if isinstance(ref, PlaceRef):
        region = call.workspace.regions.get(ref.region)
        if name == "WHAT" and (ref.nr or (region.nr if region else 1)) != 1:
            call.page(ref)  # refuses it
        text = text if ref.process or not call.process else f"{call.process}:{text}"
    (statement,) = call.session.language.parse(" ".join(("watch", *words, text)))
    assert isinstance(statement, ParsedStatement)
    return Asked(statement)


class _WatchNumber(Number):
    """The number of a watch."""

    def candidates(self, session: Session) -> Iterable[Pair]:
        """Those that there are."""
        return [(str(number), one.question.text) for number, one in enumerate(session.settings.watches, 1)]


_WHAT = arg("WHAT", FOLIO, "the folio, or a page that it is mapped at")
_JUDGE = arg(
    "SCHEME", SchemeName(truth=True), "who answers; all that are shown and the truth unless said", optional=True
)


def _form(kind: str, summary: str) -> Form:
    return Form(kind, (_JUDGE, _WHAT), summary=summary)


@command(
    "watch",
    _form(ask.SHARED, "does anybody else map it"),
    _form(ask.MAPPED, "is any page of it mapped by anyone"),
    _form(ask.MAPCOUNT, "the number"),
    _form(ask.PARTIAL, "is it only partly mapped"),
    Form("present?", (place("the pages looked at"),), summary="is a present entry there; of several pages, how many"),
    Form(
        "truth",
        (Arg("COUNT", Choice(ask.COUNTS, "count"), "what is counted"), _WHAT),
        summary="what the page tables say",
    ),
    Form(
        args=(arg("WHAT", FOLIO, "the folio, or a page whose folio is meant", optional=True),),
        summary="every shown scheme's number; alone: list what is watched",
    ),
    kind=SESSION,
    topic=TOPIC,
    summary="show old and new of something after each step",
    explained="From then on each step, and each move in the history, says how the answer changed. What cannot be "
    "answered now, because the folio was freed or nothing is mapped at the place, says so. A place is that of the "
    "process that sets the watch. Watches are settings: undo leaves them alone.",
    examples=(
        "mmap buf 16 ; fault buf[0] ; watch f1 ; fork B ; watch",
        "mmap buf 16 ; watch shared? buf[0] ; watch present? buf ; fault buf ; fork B",
        "mmap buf 16 ; fault buf[0] ; watch mapcount vmas f1 ; watch truth mms f1 ; fork B",
    ),
)
def watch(call: Call) -> Report:
    """Show old and new of something after each step."""
    session, watches = call.session, call.session.settings.watches
    if "WHAT" not in call.arguments and "PLACE" not in call.arguments:
        text = "" if watches else "Nothing is watched; `watch FOLIO` begins."
        return done(call, text, watched=tuple(present(number, one) for number, one in enumerate(watches, 1)))
    question = _question(call)
    known = [one.question.text for one in watches]
    if question.text in known:
        number = known.index(question.text) + 1
        return done(call, f"That is watched already, as {number}.", watched=(present(number, watches[number - 1]),))
    if len(watches) == MOST:
        raise call.refused(None, f"{MOST} things are watched already", hint="`unwatch N` stops one")
    watches.append(Watch(question, question.read(session)))
    return done(call, watched=(present(len(watches), watches[-1]),))


@command(
    "unwatch",
    Form(args=(arg("N", _WatchNumber(least=1), "number of the watch; all unless said", optional=True),)),
    kind=SESSION,
    topic=TOPIC,
    summary="watch no more",
    explained="Stops one watch, by the number that `watch` lists it with, or all; those behind it move up.",
    examples=("mmap buf 16 ; fault buf[0] ; watch f1 ; watch buf[0] ; unwatch 1 ; unwatch",),
)
def unwatch(call: Call) -> Report:
    """Watch no more."""
    watches = call.session.settings.watches
    if "N" not in call.arguments:
        nr = len(watches)
        watches.clear()
        return done(call, f"{counted(nr, 'watch', 'watches')} stopped." if nr else "Nothing was watched.")
    number = call.number("N")
    if number > len(watches):
        raise call.refused_at("N", f"there is no watch {number}", hint="`watch` lists them with their numbers")
    return done(call, f"{watches.pop(number - 1).question.text} is watched no more.")
