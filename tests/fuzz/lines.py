"""Lines that somebody might type: made from the declarations of commands, from shipped scripts, and from noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from folioshell.commands.grammar import Command, Form, registry
from folioshell.commands.lex import logical_lines
from folioshell.commands.loop import Bounds, Variable
from folioshell.commands.operands import Asking, Choice, Choices, Number, Size
from folioshell.commands.places import FolioOrPlace, Place
from folioshell.errors import Refused
from folioshell.script import Session
from folioshell.script.script import parse
from folioshell.session.language import PROGRAM
from tests.fuzz import hostile

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SCRIPTS = sorted(SCENARIOS.rglob("*.fs"))
#: not typed: what would end a session, and what explores all shipped races, which takes as long as all other lines
_LEFT_OUT = ("quit", "protocols")
_SETUPS = (
    "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; fork B",
    "mmap buf 1024 ; madvise hugepage buf ; fault buf ; mmap a 16 ; write a ; fork B",
    "set thp.64K always ; mmap buf 64 ; fault buf ; fork B ; B: write buf[3]",
    "set geometry classroom ; mmap buf 16 ; fault buf ; set swap on ; fork B",
    "file tail 20 order=2 fs=tmpfs ; mmap win 20 file=tail shared ; fault win ; thread t1",
    "set decide vmas ; file lib 16 order=3 ; mmap win 16 file=lib ; fault win",
    "",
)
#: what a loop runs besides any command
_LOOPED = ("fork B$i", "exit B$i", "mmap m$i 4", "fault buf[$i]", "expect free f$i", "$i", "quit")
_SIZES = (
    "1",
    "2",
    "4",
    "16",
    "64",
    "512",
    "600",
    "64K",
    "2M",
    "4M",
    "1G",
    "1T",
    "0",
    "-1",
    "99999999999999999999",
    "3K",
)
_NAMES = ("a", "b", "buf", "win", "lib", "B", "C", "tail", "t1", "t2", "main", "f1", "x" * 41)
_NUMBERS = ("0", "1", "2", "3", "7", "100", "18446744073709551616", "-1", "1e3", "٣")
_ADDRESSES = ("0x7f0000000000", "0x7f0000000001", "0x0", "0x7fffffffffff", "0x800000000000", "0x7f0000001000+5", "0x")
_NOISE = "\t\x00\x07\x1b[]{}();:#|>=<!'\"\\.,+-*/?…→äß中🙂\u202e\u200b\u0301\ud800\ufeff\ufffd\x7f\x85\u2028"


@cache
def _corpus() -> list[str]:
    """The lines of the shipped scripts; those that braces hold together are one."""
    texts = (path.read_text(encoding="utf-8") for path in SCRIPTS)
    lines = (line.raw for text in texts for line in logical_lines(text) if line.raw)
    return [line for line in lines if not line.startswith(_LEFT_OUT)]


class LineMaker:
    """Makes lines for a session, the same ones for the same seed.

    Args:
        seed: of the random numbers.
    """

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self._corpus = _corpus()
        self._commands = [command for command in registry if command.verb not in _LEFT_OUT]

    def setup(self) -> str:
        """A line that makes something to work with, so that not everything that follows is refused."""
        if self.random.random() < 0.15:
            return self.random.choice(hostile.SPARSE_SETUPS)
        setup = self.random.choice(_SETUPS)
        if "geometry" in setup or self.random.random() < 0.4:
            return setup
        for size, small in (("1024", "16"), ("512", "8"), ("504", "4")):
            setup = setup.replace(size, small)
        return f"set geometry classroom ; {setup}"

    def text(self, session: Session) -> str:
        """What is typed at once: a line, or now and then a few that are pasted."""
        nr = self.random.randint(2, 4) if self.random.random() < 0.05 else 1
        return "\n".join(self.line(session) for _ in range(nr))

    def line(self, session: Session) -> str:
        """A line that may make sense in the present state, or not."""
        if self.random.random() < 0.12:
            return hostile.line(self.random, list(session.workspace.regions))
        roll = self.random.random()
        if roll < 0.45:
            return self._line(session)
        if roll < 0.58:
            return self.random.choice(self._corpus)
        if roll < 0.66:
            return self.random.choice(self.random.choice(self._commands).explanation.examples)
        if roll < 0.94:
            return self.mutated(self.random.choice((self._line(session), self.random.choice(self._corpus))))
        if roll < 0.9405:
            return self.long()
        return self.noise(self.random.randrange(60))

    def long(self) -> str:
        """A piece of a line over and over, as long as a line may be, or longer."""
        text = self.random.choice((self.random.choice(self._corpus), *"{[('\";=#:<", "race { A.t1: ", "a ; ", "fails "))
        at = self.random.randrange(len(text))
        piece = text[at : at + self.random.randint(1, 20)]
        begin = self.random.choice(("", "race { ", self.random.choice(self._corpus)))
        return begin + piece * (self.random.choice((100, 3_000, 30_000, 70_000)) // len(piece))

    def _line(self, session: Session) -> str:
        nr = self.random.choice((1, 1, 1, 1, 2, 3))
        return self.random.choice((" ; ", ";", " ;")).join(self.statement(session) for _ in range(nr))

    def statement(self, session: Session) -> str:
        """A command with its arguments, with a process before it now and then."""
        choose = self.random.choice
        command = choose(self._commands)
        if command.kind == PROGRAM and self.random.random() < 0.8:
            command = choose(self._commands)
        form = choose(command.forms)
        text = " ".join(self._words(command, form, session))
        if self.random.random() < 0.1:
            text = f"fails {choose(('EINVAL', 'ENOMEM', 'SIGSEGV', 'SIGBUS', 'EFAULT'))} {text}"
        if self.random.random() < 0.2:
            text = f"{choose((*session.workspace.kernel.mms, 'B', 'A.t1', 'nobody'))}: {text}"
        return text

    def _words(self, command: Command, form: Form, session: Session) -> list[str]:
        words = [command.verb, self._lead(form, session)]
        for arg in form.args:
            if not arg.optional or self.random.random() < 0.5:
                words += [
                    self._value(arg.operand, session) for _ in range(self.random.randrange(1, 4) if arg.repeated else 1)
                ]
        words += [flag.word for flag in form.flags if self.random.random() < 0.25]
        words += [
            f"{option.key}={self._value(option.operand, session)}"
            for option in form.options
            if option.required or self.random.random() < 0.25
        ]
        if form.compare is not None:
            words += [
                self.random.choice(("==", "!=", "<", ">=")),
                self.random.choice(("0", "1", "2", "16", "yes", "no")),
            ]
        return [word for word in words if word]

    def _lead(self, form: Form, session: Session) -> str:
        if form.expand is not None:
            leads = [word for word, _ in form.expand(session)]
            return self.random.choice(leads) if leads else form.lead
        return form.lead

    def _value(self, operand: object, session: Session) -> str:
        """A word for an operand: mostly one that is offered, else one of its kind, now and then any other."""
        choose, roll = self.random.choice, self.random.random()
        if roll < 0.03:
            return self.noise(5)
        if getattr(operand, "commands", False):
            return f"{{ {self.statement(session)} ; {choose(_LOOPED)} }}"
        if getattr(operand, "block", False):
            return self._block(session)
        made: dict[type, Callable[[], str]] = {
            Size: lambda: choose(_SIZES),
            Number: lambda: choose(_NUMBERS),
            Place: lambda: self._place(session),
            Variable: lambda: "i",
            Bounds: lambda: choose(("1..2", "0..3", "2..2", "3..1", "0..999999999")),
            FolioOrPlace: lambda: choose((f"f{self.random.randrange(1, 9)}", self._place(session))),
        }
        if type(operand) in made:
            return made[type(operand)]()
        asking = Asking("", session.process)
        offered = [word for word, _ in operand.offered(session, asking)]  # type: ignore[attr-defined]
        if offered and (roll < 0.85 or isinstance(operand, Choice | Choices)):
            return str(choose(offered))
        return choose((*_NAMES, *_SIZES, *_ADDRESSES))

    def _place(self, session: Session) -> str:
        choose, number = self.random.choice, self.random.randrange
        if self.random.random() < 0.1:
            return choose(_ADDRESSES)
        regions = list(session.workspace.regions) or ["buf"]
        index = choose(("", f"[{number(20)}]", f"[{number(9)}..{number(20)}]", f"[{number(9)}+{number(9)}]", "[0]"))
        process = choose(("", "", "", "A:", "B:"))
        return f"{process}{choose(regions)}{index}"

    def _block(self, session: Session) -> str:
        verbs = ("fault", "read", "write", "munmap", "mlock", "madvise dontneed", "madvise cold")
        threads = [
            f"A.t{number}: {self.random.choice(verbs)} {self._place(session)}"
            for number in range(1, self.random.randrange(2, 4))
        ]
        return f"{{ {' ; '.join(threads)} }}"

    def mutated(self, text: str) -> str:
        """A text with a few accidents."""
        for _ in range(self.random.randrange(1, 4)):
            at, to = sorted(self.random.randrange(len(text) + 1) for _ in range(2))
            words = text.split(" ")
            self.random.shuffle(words)
            text = self.random.choice(
                (
                    text[:at] + text[to:],
                    text[:to] + text[at:],
                    text[:at] + self.noise(3) + text[at:],
                    text[:at] + self.random.choice((*_SIZES, *_NUMBERS, *_ADDRESSES)) + text[to:],
                    " ".join(words),
                    text.swapcase(),
                    text * 3 if len(text) < 500 else text[:200],
                )
            )
        return text

    def noise(self, length: int) -> str:
        """Characters that no command is made of, among others."""
        choose = self.random.choice
        return "".join(
            choose(_NOISE) if self.random.random() < 0.5 else chr(self.random.randrange(32, 0x3000))
            for _ in range(length)
        )

    def script(self) -> bytes:
        """A shipped script with a few accidents in its lines, or in its bytes.

        In most of them the lines that cannot be read are gone, because nothing of a script with such a line is run.
        """
        session = Session()
        lines = self.random.choice(SCRIPTS).read_text(encoding="utf-8").split("\n")
        for _ in range(self.random.randrange(1, 12)):
            at, to = (self.random.randrange(len(lines)) for _ in range(2))
            roll = self.random.randrange(7)
            if roll == 0:
                del lines[at : at + self.random.randrange(1, 4)]
            elif roll == 1:
                lines[at:at] = lines[to : to + self.random.randrange(1, 4)]
            elif roll == 2:
                lines[at], lines[to] = lines[to], lines[at]
            elif roll == 3:
                lines.insert(at, self.line(session))
            elif roll == 4:
                lines.insert(at, f"> {self.noise(5)}" if self.random.random() < 0.5 else "> ...")
            elif roll == 5:
                lines.insert(at, hostile.golden(self.random, [line for line in lines if line.startswith("> ")]))
            else:
                lines[at] = self.mutated(lines[at])
            lines = lines or [""]
        if self.random.random() < 0.75:
            lines = _readable(lines, session)
        data = bytearray("\n".join(lines).encode("utf-8", "surrogatepass"))
        if data and self.random.random() < 0.1:
            data[self.random.randrange(len(data))] = self.random.randrange(256)
        return bytes(data)


def _readable(lines: list[str], session: Session) -> list[str]:
    """The lines without those that nobody can read."""
    lines = "\n".join(lines).encode("utf-8", "replace").decode().split("\n")
    while True:
        try:
            parse("\n".join(lines), "", session.language)
        except Refused as error:
            del lines[max(error.line - 1, 0)]
        else:
            return lines
