"""The shell on a real terminal."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "folioshell")


def environment(home: Path) -> dict[str, str]:
    """An environment with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH")}
    return {
        **kept,
        "HOME": str(home),
        "XDG_STATE_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "TERM": "xterm-256color",
    }


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell that belongs to one test."""
    return environment(tmp_path)


class Kept:
    """A shell that one test after another uses; a new one after something went wrong.

    Args:
        home: its home.
    """

    def __init__(self, home: Path) -> None:
        self._environ = environment(home)
        self._terminal: Terminal | None = None
        self._uses = 0

    def reset(self) -> Terminal:
        """The shell at step 0, with its prompt on a screen of the usual size."""
        try:
            return self._reset() if self._terminal is not None else self._open()
        except (TimeoutError, OSError):
            return self._open()

    def _open(self) -> Terminal:
        self.close()
        self._terminal = Terminal(COMMAND, self._environ)
        self._terminal.wait_for("A 0>")
        return self._terminal

    def _reset(self) -> Terminal:
        terminal, name = self._terminal, f"s{self._uses}"
        assert terminal is not None
        self._uses += 1
        terminal.resize(24, 100)
        terminal.kill(signal.SIGWINCH)
        terminal.forget()
        terminal.send(f"\x03reset ; mmap {name} 1 ; reset\r")
        # What was typed is on the screen, too: the sentence about it tells that it was done.
        terminal.wait_until(lambda text: "A 0>" in text.partition(f"mmap({name}, ")[2], "prompt", timeout=20)
        terminal.forget()
        return terminal

    def close(self) -> None:
        """End it."""
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """The shell of this file's tests that leave it at a prompt."""
    kept = Kept(tmp_path_factory.mktemp("home"))
    yield kept
    kept.close()


@pytest.fixture
def terminal(kept: Kept) -> Terminal:
    """A shell at step 0 whose prompt is on the screen."""
    return kept.reset()


def test_first_prompt_command_and_ctrl_d(environ: dict[str, str]) -> None:
    """A stranger is told what to type, a command is executed with a table under it, the step counts. Ctrl-D ends the
    shell on an empty line only: within a race that is being typed it does nothing.
    """
    with Terminal(COMMAND, environ) as terminal:
        assert "Type `help` for" in terminal.wait_for("A 0>")
        terminal.send("mmap buf 4\r")
        terminal.wait_for("A 1>")
        terminal.send("fault buf\r")
        text = terminal.wait_for("A 2>")

        assert "0 → 1" in text
        assert "─────" in text

        terminal.send("race {\r")
        terminal.wait_for("...")
        terminal.send("A.t1: fault buf\x04")
        terminal.send("\x03")
        terminal.send("mmap more 4\r")
        terminal.wait_for("A 3>")
        terminal.send("\x04")

        assert terminal.wait() == 0


def test_highlighting_while_typing(terminal: Terminal) -> None:
    """A verb is bold, in the terminal's own foreground, on the screen before the line is executed."""
    terminal.forget()
    terminal.send("mmap buf 4")
    terminal.wait_for("mmap buf 4")

    assert b"\x1b[0;1mmmap" in terminal.raw


def test_tab_shows_descriptions(terminal: Terminal) -> None:
    """Tab opens a menu with a description beside each candidate."""
    terminal.forget()
    terminal.send("m\t")
    text = terminal.wait_for("mremap")

    assert "mprotect" in text
    assert "  " in text.split("mremap", 1)[1]


def test_ctrl_c_clears_the_line(terminal: Terminal) -> None:
    """Ctrl-C gives up the line; what is typed next is executed alone."""
    terminal.send("nonsense\x03")
    terminal.send("mmap buf 4\r")
    text = terminal.wait_for("A 1>")

    assert "error" not in text


def test_ctrl_c_in_a_long_race(terminal: Terminal) -> None:
    """A race that would take minutes ends at Ctrl-C; the state is the one before it, and so is the step."""
    terminal.send("mmap buf 64 ; fault buf[0]\r")
    terminal.wait_for("A 2>")
    terminal.forget()
    terminal.send("race { A.t1: fault buf ; A.t2: fault buf ; A.t3: fault buf }\r")
    terminal.wait_for("Ctrl-C")
    terminal.send("\x03")
    terminal.wait_for("NOT EXHAUSTED (interrupted)")
    terminal.wait_for("A 2>")
    terminal.forget()
    terminal.send("expect present? buf[0] == yes ; expect present? buf[1] == no\r")

    assert "pass  expect present? buf[0] == yes" in terminal.wait_for("pass  expect present? buf[1] == no")


def test_hint_follows_the_cursor(terminal: Terminal) -> None:
    """Below the prompt stands what the command wants next, and what that means."""
    terminal.send("munmap ")

    assert "the pages to unmap" in terminal.wait_for("the pages to unmap")


def test_resize_while_typing(terminal: Terminal) -> None:
    """A window that is made narrow and wide again loses nothing typed, and the toolbar fits each time."""
    terminal.send("mmap buf 4 ; fault buf[0")
    terminal.wait_for("decide mm-id")
    terminal.resize(10, 30)
    terminal.kill(signal.SIGWINCH)
    terminal.forget()
    terminal.wait_until(lambda text: _is_narrow(text.rpartition("process A")), "toolbar without `decide`")
    terminal.forget()
    terminal.resize(30, 120)
    terminal.kill(signal.SIGWINCH)
    terminal.wait_for("decide mm-id")
    terminal.send("]\r")

    assert "A wrote buf[0]" in terminal.wait_for("A 2>")


def _is_narrow(parts: tuple[str, str, str]) -> bool:
    """Does what was drawn last begin as the toolbar, and end before there is room for more than the step?"""
    return bool(parts[1]) and "step 0" in parts[2] and "decide" not in parts[2]


def test_a_script_pasted(terminal: Terminal) -> None:
    """Pasted lines wait for Enter, and run as a script; a race in them may stand on several lines."""
    text = "| Two threads.\nmmap buf 4\nrace {\n  A.t1: fault buf[0]\n}\nexpect deadlocks == 0\n"
    terminal.send(f"\x1b[200~{text}\x1b[201~")
    terminal.wait_for("deadlocks")
    assert "A 1>" not in terminal.text
    terminal.send("\r")

    assert "Two threads." in terminal.wait_for("pass")
    terminal.wait_for("A 1>")


def test_toolbar(terminal: Terminal) -> None:
    """The toolbar names process, step, the deciding scheme and the last page-table locks."""
    assert "decide mm-id" in terminal.wait_for("decide")
    terminal.send("mmap buf 4 ; fault buf[0]\r")

    assert "last PTLs" in terminal.wait_for("last PTLs")


def test_history_across_sessions(environ: dict[str, str]) -> None:
    """The arrow key brings back a line of an earlier session."""
    with Terminal(COMMAND, environ) as earlier:
        earlier.wait_for("A 0>")
        earlier.send("mmap earlier 4\r")
        earlier.wait_for("A 1>")
        earlier.send("\x04")
        earlier.wait()
    with Terminal(COMMAND, environ) as later:
        later.wait_for("A 0>")
        later.forget()
        later.send("\x1b[A")
        later.wait_for("mmap earlier 4")


def test_resize(terminal: Terminal) -> None:
    """Tables follow the width of the window at the time when they are printed."""
    terminal.send("file lib 32 order=4 ; mmap win 16 file=lib\r")
    terminal.wait_for("A 2>")
    terminal.resize(24, 40)
    terminal.forget()
    terminal.send("fault win[0]\r")
    text = terminal.wait_for("A 3>")

    rules = [line.strip() for line in text.splitlines() if line.strip() and not line.strip(" ─\r")]
    assert rules
    assert all(len(rule) <= 40 for rule in rules)


def test_no_color(environ: dict[str, str]) -> None:
    """With NO_COLOR neither the line nor the tables have colour."""
    with Terminal(COMMAND, {**environ, "NO_COLOR": "1"}) as terminal:
        terminal.wait_for("A 0>")
        terminal.send("mmap buf 4 ; fault buf ; query shared? buf[0]\r")
        terminal.wait_for("truth")

        assert not any(
            f"\x1b[{attributes}3{colour}m".encode() in terminal.raw
            for colour in range(1, 8)
            for attributes in ("", "0;", "1;", "0;1;")
        )


@pytest.mark.parametrize("arguments", [(), ("--plain",)])
def test_dumb_terminal_and_plain(environ: dict[str, str], arguments: tuple[str, ...]) -> None:
    """On a dumb terminal, and with --plain, there is a prompt and plain text, and not one escape sequence."""
    dumb = environ if arguments else {**environ, "TERM": "dumb"}
    with Terminal((*COMMAND, *arguments), dumb) as terminal:
        terminal.wait_for("A 0> ")
        terminal.send("mmap buf 4\n")
        terminal.wait_for("A 1> ")
        terminal.send("fault bfu\n")
        terminal.wait_for("still at step 1")
        terminal.send("\x04")

        assert terminal.wait() == 0
        assert b"\x1b" not in terminal.raw


def test_script_then_shell(environ: dict[str, str], tmp_path: Path) -> None:
    """``run FILE --until N -i`` opens the shell in the state after step N."""
    script = tmp_path / "script.fs"
    script.write_text("mmap buf 4\nfault buf\nfork B\n")
    with Terminal((*COMMAND, "run", "--until", "2", "-i", str(script)), environ) as terminal:
        terminal.wait_for("decide")

        assert "A 2>" in terminal.text
        assert "fork B" not in terminal.text


def test_hang_up(environ: dict[str, str]) -> None:
    """A terminal that goes away takes the shell with it."""
    with Terminal(COMMAND, environ) as terminal:
        terminal.wait_for("A 0>")
        terminal.kill(signal.SIGHUP)

        assert terminal.wait() != 0


def test_a_definition_loaded_at_the_prompt(environ: dict[str, str], tmp_path: Path) -> None:
    """`load scheme` is known at the prompt; the definition counts, and its name is offered from then on."""
    text = "from folioshell.schemes.vmas import Vmas\n\nclass Mine(Vmas):\n    name = 'zeal'\n"
    (tmp_path / "zeal.py").write_text(text)
    with Terminal(COMMAND, environ, columns=1000) as terminal:
        terminal.wait_for("A 0>")
        terminal.send(f"load scheme {tmp_path}/zeal.py\r")
        terminal.wait_for("zeal loaded")
        terminal.send("mmap buf 4 ; fault buf\r")
        assert "zeal" in terminal.wait_for("A 2>")
        terminal.forget()
        terminal.send("why f1 ze")

        terminal.wait_for("Counts the VMAs")


def test_ctrl_c_in_a_long_command(environ: dict[str, str]) -> None:
    """A long command says how far it is; Ctrl-C stops it, and the state is that before it."""
    with Terminal((*COMMAND, "--limit", "none"), environ) as terminal:
        terminal.wait_for("A 0>")
        terminal.send("mmap buf 200000000\r")
        terminal.wait_for("A 1>")
        terminal.forget()
        terminal.send("fault buf\r")
        terminal.wait_for("of 200,000,000 pages")
        terminal.send("\x03")
        terminal.wait_for("interrupted; rolled back to step 1")
        terminal.wait_for("A 1>")
        terminal.forget()
        terminal.send("expect present? buf[0] == no\r")
        terminal.wait_for("pass  expect")
        terminal.send("quit\r")

        assert terminal.wait() == 0


def test_ctrl_c_in_a_long_script(environ: dict[str, str], tmp_path: Path) -> None:
    """So does a script on a terminal, which ends with the status of an interrupt."""
    script = tmp_path / "long.fs"
    script.write_text("mmap buf 200000000\nfault buf\n")
    with Terminal((*COMMAND, "run", "--limit", "none", str(script)), environ) as terminal:
        terminal.wait_for("of 200,000,000 pages")
        terminal.send("\x03")
        terminal.wait_for("folioshell: interrupted")

        assert terminal.wait() == 130


PAGER = """\
import signal, sys
signal.signal(signal.SIGINT, lambda *_: print("kept"))
print(sys.argv[1], "had", sys.stdin.readline())
with open("/dev/tty") as keys:
    keys.readline()
"""


def test_pager(environ: dict[str, str], tmp_path: Path) -> None:
    """What does not fit goes to $PAGER with its arguments, what fits does not; Ctrl-C is the pager's."""
    (tmp_path / "pager.py").write_text(PAGER)
    pager = f"{sys.executable} {tmp_path}/pager.py 'my pager'"
    with Terminal(COMMAND, {**environ, "PAGER": pager}) as terminal:
        terminal.wait_for("A 0>")
        terminal.send("mmap buf 4\r")
        terminal.wait_for("A 1>")
        terminal.send("help\r")
        terminal.wait_for("my pager had memory")
        terminal.forget()
        terminal.send("\x03")
        terminal.wait_for("kept")
        terminal.send("\r")
        terminal.wait_for("A 1>")
        assert "mprotect" not in terminal.text
        terminal.send("set pager off ; help\r")
        terminal.wait_for("mprotect")


@pytest.mark.skipif(shutil.which("less") is None, reason="needs less")
def test_less(environ: dict[str, str]) -> None:
    """Less names the key that ends it and starts no shell; with input waiting it is not started."""
    with Terminal(COMMAND, {**environ, "PAGER": "less"}, rows=24) as terminal:
        terminal.wait_for("A 0>")
        terminal.send("help\r")
        terminal.wait_for("q: back to the prompt")
        terminal.forget()
        terminal.send("!")
        terminal.wait_for("not available")
        terminal.send("q")
        terminal.wait_for("A 0>")
        terminal.forget()
        terminal.send("help\rset geometry classroom\r")
        terminal.wait_for("A 1>")


def test_no_pager_there(environ: dict[str, str]) -> None:
    """A pager that does not exist is not missed."""
    with Terminal(COMMAND, {**environ, "PAGER": "sh -c 'exec nothing-like-it'"}) as terminal:
        terminal.wait_for("A 0>")
        terminal.send("help\r")
        terminal.wait_for("store a byte to each page")


def test_for_a_screen_reader(environ: dict[str, str]) -> None:
    """With FOLIOSHELL_MODE=spoken nothing is painted, and a row is read out, on any terminal."""
    with Terminal(COMMAND, {**environ, "FOLIOSHELL_MODE": "spoken"}, columns=200) as terminal:
        terminal.wait_for("A 0> ")
        terminal.send("mmap buf 4 ; fault buf\n")
        terminal.wait_for("mm-id 0 to 1")
        terminal.send("\x04")

        assert terminal.wait() == 0
        assert b"\x1b" not in terminal.raw
