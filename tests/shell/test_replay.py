"""A run is shown as at the prompt, or quietly, or as JSON Lines."""

from __future__ import annotations

from folioshell.errors import Refused
from folioshell.report import Expect, Report, Since
from folioshell.script.script import ScriptEvent
from folioshell.shell.replay import Replay
from tests.shell.stubs import StubRunner, plain_screen

STEP = Report("fork B", "A", 1, {"ok": True}, "A forked B.")
VIEW = Report("show processes", "A", sentence="A, B")
PASS = Report("expect a", "A", expect=Expect("vmas A == 3", True, "==", "3", "3"))
SINCE = Since(1, "fork B", "2")
FAIL = Report("expect b", "A", expect=Expect("vmas A == 4", False, "==", "3", "4", ("v1, v2, v3",), 14, 18, SINCE))

#: how the failed one is told
FAILURE = (
    "FAIL  a.fs:6:15: is 3, expected == 4\n"
    "        expect vmas A == 4\n"
    "                    ^^^^\n"
    "      v1, v2, v3\n"
    "      changed to 3 from 2 by step 1: `fork B`\n"
    "      open:  folioshell run a.fs --until 1 -i\n"
)
PLAYED = (
    ScriptEvent("a.fs", 2, "| # Fork", prose="# Fork"),
    ScriptEvent("a.fs", 3, "| and exit", prose="and exit"),
    ScriptEvent("a.fs", 4, "fork B ; show processes", report=STEP),
    ScriptEvent("a.fs", 4, "fork B ; show processes", report=VIEW),
    ScriptEvent("a.fs", 5, "expect vmas A == 3", report=PASS),
    ScriptEvent("a.fs", 6, "  expect vmas A == 4", report=FAIL, reopen="folioshell run a.fs --until 1 -i"),
)


def shown(*played: ScriptEvent, quiet: bool = False, whole: bool = True, status: int = 1) -> tuple[str, str, int]:
    screen, out = plain_screen()
    errors, err = plain_screen()
    runner = StubRunner(*played, status=status, failed=int(status == 1))
    replay = Replay(screen, errors, echo=whole and not quiet, quiet=quiet, summary=whole or quiet)
    result = replay.run(runner, "a.fs")  # type: ignore[arg-type]
    return out.getvalue(), err.getvalue(), result


def test_whole() -> None:
    """Prose, each line once behind its prompt, what its commands said, expects together, and a last line."""
    assert shown(*PLAYED)[0] == (
        "# Fork\nand exit\n"
        "\nA 0> fork B ; show processes\nA forked B.\nA, B\n"
        f"\npass  expect vmas A == 3\n{FAILURE}"
        "\na.fs: FAILED: 1 step, 2 expects, 1 of them failed\n"
    )


def test_quiet() -> None:
    """Quietly only failures are shown, and the last line."""
    assert shown(*PLAYED, quiet=True)[0] == (f"{FAILURE}a.fs: FAILED: 1 step, 2 expects, 1 of them failed\n")


def test_piped_commands() -> None:
    """Commands from a pipe are neither echoed nor summed up."""
    assert shown(*PLAYED[2:4], whole=False, status=0)[0] == "A forked B.\n\nA, B\n"


def test_stopped() -> None:
    """A command that fails without ``fails`` is pointed at, in quiet too, and gives its status."""
    stop = ScriptEvent("a.fs", 7, "munmap x", failure="failed with EINVAL, and no `fails` before it")

    for quiet in (False, True):
        text, _, status = shown(stop, quiet=quiet)

        assert status == 1
        assert "FAIL  a.fs:7:1: munmap x\n      failed with EINVAL, and no `fails` before it; script stopped" in text


def test_refused() -> None:
    """A refusal goes to the error stream with file, line and column."""
    refused = ScriptEvent(
        "a.fs", 1, "fok", refused=Refused("no such verb", start=0, end=3, text="fok", file="a.fs", line=1)
    )
    out, err, status = shown(refused, status=2)

    assert err == "a.fs:1:1: error: no such verb\n  fok\n  ^^^\n"
    assert out.endswith("a.fs: refused: 0 steps, 0 expects\n")
    assert status == 2


def test_control_characters_of_a_script() -> None:
    """Escape sequences in prose and lines do not reach the terminal."""
    text = shown(
        ScriptEvent("\x1b.fs", 1, "x\x1b[2J", prose="\x1b[2J"), ScriptEvent("a.fs", 2, "\x1b[1m", report=STEP)
    )[0]

    assert "\x1b" not in text


def test_expects_within_a_line() -> None:
    """They stand apart from what the commands around them say."""
    text = "fork B ; expect vmas A == 3 ; show processes ; expect vmas A == 3"
    played = [ScriptEvent("a.fs", 4, text, report=report) for report in (STEP, PASS, VIEW, PASS)]

    assert shown(*played, status=0)[0].startswith(
        f"A 0> {text}\nA forked B.\n\npass  expect vmas A == 3\n\nA, B\n\npass  expect vmas A == 3\n"
    )
