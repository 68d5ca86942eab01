"""The shell's loop survives everything but the end of input and ``quit``."""

from __future__ import annotations

from folioshell.errors import DeterminismError, KernelBug, Refused, SchemeError
from folioshell.report import Report
from folioshell.script import Session
from folioshell.session.host import GENEROUS
from folioshell.shell.repl import Repl
from tests.shell.stubs import StubSession, Typist, plain_screen


def talk(typist: Typist, **answers: Report | BaseException) -> tuple[StubSession, str]:
    session = StubSession(dict(answers))
    screen, out = plain_screen()

    assert Repl(session, screen, typist).run() == 0

    return session, out.getvalue()


def test_reports_are_shown() -> None:
    """Each line is executed and its report printed, the prompt counting steps."""
    typist = Typist("one", "two")
    session, text = talk(typist)

    assert session.executed == ["one", "two"]
    assert text == "did one.\n\ndid two.\n\n"
    assert typist.prompts == ["A 0> ", "A 1> ", "A 2> "]


def test_quit_ends() -> None:
    """Nothing behind ``quit`` is read."""
    session, _ = talk(Typist("quit", "one"))

    assert session.executed == ["quit"]


def test_refusal_does_not_end() -> None:
    """A refused line is explained, changes nothing, and the next one is read."""
    session, text = talk(Typist("bad", "one"), bad=Refused("no such verb", start=0, end=3, text="bad"))

    assert session.executed == ["one"]
    assert text.startswith("error: no such verb\n  bad\n  ^^^\nnote: state unchanged; still at step 0\n")


def test_interrupt_while_typing() -> None:
    """Ctrl-C gives up the line, not the shell."""
    session, _ = talk(Typist(KeyboardInterrupt(), "one"))

    assert session.executed == ["one"]


def test_interrupt_while_executing() -> None:
    """Ctrl-C in a long command ends that command only, and says where the session is."""
    session, text = talk(Typist("long", "one"), long=KeyboardInterrupt())

    assert session.executed == ["one"]
    assert "interrupted; rolled back to step 0" in text


def test_interrupt_on_the_way_back() -> None:
    """Where the way back was cut off, too, it is said when it will be gone."""
    session = StubSession({"long": KeyboardInterrupt()})
    session.is_cut_off = True
    screen, out = plain_screen()
    Repl(session, screen, Typist("long")).run()

    assert out.getvalue() == "interrupted, and rollback too; the next command first completes the rollback to step 0\n"


def test_kernel_bug_is_shown() -> None:
    """A broken invariant is printed with its last events, and the session goes on."""
    session, text = talk(Typist("bug", "one"), bug=KernelBug("mapcount < 0", ["event 1", "event 2"]))

    assert session.executed == ["one"]
    assert text.startswith("KERNEL BUG: mapcount < 0\n  event 1\n  event 2\n")


def test_replay_that_fails() -> None:
    """An undo that does not lead back is said to be a bug, and the session goes on."""
    session, text = talk(Typist("undo", "one"), undo=DeterminismError("replaying step 1"))

    assert session.executed == ["one"]
    assert text.startswith("INTERNAL ERROR: replaying step 1\n")


def test_a_bug_of_the_program() -> None:
    """An error of ours is shown with where it happened and what was typed; the session goes on."""
    session, text = talk(Typist("query x", "one"), **{"query x": ZeroDivisionError("oh")})

    assert session.executed == ["one"]
    assert text.startswith("INTERNAL ERROR: ZeroDivisionError: oh\n")
    assert "stubs.py:" in text
    assert "input: query x\nnote: command discarded, state unchanged; still at step 0\n" in text


def test_a_definition_that_raises() -> None:
    """What a loaded definition does wrong is a finding about it, not called a bug of ours."""
    error = SchemeError("mine", "on_mapped", "KeyError: 3, at mine.py:7")
    error.told = "f1 page 0 mapped"
    session, text = talk(Typist("fault", "one"), fault=error)

    assert session.executed == ["one"]
    assert text.startswith("!!! FINDING: scheme mine, on_mapped(): KeyError: 3, at mine.py:7\n")
    assert "event: f1 page 0 mapped" in text
    assert "bug of folioshell" not in text


def talk_for_real(*texts: str | BaseException) -> tuple[Session, Typist, str]:
    session, typist = Session(), Typist(*texts)
    screen, out = plain_screen()
    Repl(session, screen, typist).run()
    return session, typist, out.getvalue()


def test_a_mail_reply_is_read_without_its_quotes() -> None:
    """One quoted line, or several."""
    session, _, _ = talk_for_real("> mmap buf 4", "> fault buf\n> race {\n>   A.t1: read buf[0]\n> }\n> fork B")

    assert session.history.script() == ["mmap buf 4", "fault buf", "fork B"]


def test_quit_among_pasted_lines() -> None:
    """It ends the session, as it does when it is typed."""
    session, _, _ = talk_for_real("mmap buf 4\nquit\nfault buf", "fork B")

    assert (session.finished, session.step) == (True, 1)


def test_pasted_lines_run_as_a_script() -> None:
    """Prose is told, comments are passed over, expects are checked, each command stands above what it did."""
    lines = [
        "| About *sharing*.",
        "",
        "# comment",
        "mmap buf 4",
        "fault buf[0]",
        "expect truth mms buf[0] == 1",
        "fails ENOMEM mprotect 0x1000 r",
        "race {",
        "  A.t1: fault buf[1]",
        "}",
    ]
    session, typist, text = talk_for_real("\n".join(lines))

    assert session.step == 3
    assert "About *sharing*." in text
    assert "A 1> fault buf[0]\nA wrote buf[0]" in text
    assert "pass  expect truth mms buf[0] == 1" in text
    assert "A 3> race {\n       A.t1: fault buf[1]\n     }\nRace of A.t1" in text
    assert typist.kept == []


def test_what_was_not_run_of_pasted_lines_is_kept() -> None:
    """A refusal says which line it was; that line and those behind it can be called back, the ones before stay done."""
    session, typist, text = talk_for_real("mmap buf 4\nfault bfu\n\nfork B\nfork C\n")

    assert session.step == 1
    assert "pasted:2:7: error: no such region" in text
    assert "note: stopped at line 2 of 5; 4 lines not executed (press Up to recall)" in text
    assert typist.kept == ["fault bfu\n\nfork B\nfork C"]


def test_a_failure_in_pasted_lines_ends_them() -> None:
    """As in a script; the line that failed in the kernel was run, and is not kept."""
    session, typist, text = talk_for_real("mmap buf 4\nmprotect 0x1000 r\nfork B")

    assert session.step == 2
    assert "failed with ENOMEM" in text
    assert typist.kept == ["fork B"]


def test_pasted_lines_that_cannot_be_read() -> None:
    """Nothing is run if one of them is no command."""
    session, _, text = talk_for_real("mmap buf 4\nfualt buf\nfork B")

    assert session.step == 0
    assert "pasted:2:1: error: unknown command" in text
    assert "none of these 3 lines was executed" in text


def test_a_race_over_several_lines() -> None:
    """It is one command; what is wrong in it is shown on its own line."""
    _, typist, text = talk_for_real("mmap buf 4", "race {\n  A.t1: fault buf[0]\n  A.t2: fault bfu\n}")

    assert "\n    A.t2: fault bfu\n                ^^^\n" in text
    assert typist.kept == []


def test_a_failure_that_was_expected() -> None:
    """`fails` at the prompt says whether it did."""
    _, _, text = talk_for_real("mmap buf 4", "fails ENOMEM mprotect buf r", "fails ENOMEM mprotect 0x1000 r")

    assert text.count("expected ENOMEM, but it ended with ok") == 1

    _, _, text = talk_for_real("mmap buf 4", "fails[6.1] ENOMEM mprotect buf r", "fails[6.18] ENOMEM mprotect buf rw")

    assert text.count("expected ENOMEM, but it ended with ok") == 1


def test_commands_of_one_line() -> None:
    """What they say stands together, as documents show it; in Markdown a sentence would flow into the next."""
    screen, out = plain_screen()
    session = Session()
    Repl(session, screen, Typist("# a comment", ";", "mmap buf 4 ; fork B", "mode markdown", "exit B ; exit")).run()
    text = out.getvalue()

    assert text.startswith("mmap(buf")
    assert "= 0x7f0000000000.\nfork() = B, 1 VMA copied.\n\n" in text
    assert "B exited.\n\nA exited" in text


def test_what_is_pasted_has_the_limits_of_what_is_typed() -> None:
    """Several lines at once are bounded as one after the other are, not as somebody's script is."""
    session = Session()
    session.host.limits = GENEROUS._replace(files=10)
    screen, out = plain_screen()
    Repl(session, screen, Typist("file a 8\nfile b 600")).run()

    assert list(session.workspace.kernel.files) == ["a"]
    assert "would exceed the limit of 10 pages of files" in out.getvalue()
