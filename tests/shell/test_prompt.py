"""The prompt: keys, completion, history, suggestions and undo, driven as a person drives them."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from folioshell.commands import Session
from folioshell.shell.prompt import CommandCompleter, PromptReader, history_path, open_history
from folioshell.shell.repl import Repl
from tests.shell.stubs import plain_screen

UP, RIGHT, TAB, ENTER, CTRL_C, CTRL_D, CTRL_U = "\x1b[A", "\x1b[C", "\t", "\r", "\x03", "\x04", "\x15"
ESCAPE, END = "\x1b", "\x05"

Step = tuple[str, Callable[[PromptReader], bool]]


def holds(text: str) -> Callable[[PromptReader], bool]:
    """Has the line become this?"""
    return lambda reader: reader.typed == text


def offers(word: str) -> Callable[[PromptReader], bool]:
    """Does the menu show this alone?"""
    return lambda reader: reader.offered == [word]


def suggests(text: str) -> Callable[[PromptReader], bool]:
    """Is this suggested as the rest of the line?"""
    return lambda reader: reader.suggested == text


def press(pipe: PipeInput, reader: PromptReader, steps: list[Step]) -> None:
    """Type each piece once what the piece before it should have led to can be seen."""
    for keys, seen in steps:
        pipe.send_text(keys)
        deadline = time.monotonic() + 120
        while not seen(reader) and time.monotonic() < deadline:
            time.sleep(0.005)
    pipe.send_text(CTRL_U + CTRL_D)


def talk(*lines: str, history: InMemoryHistory | None = None, then: list[Step] | None = None) -> tuple[Session, str]:
    """Type lines, then pieces one by one, then Ctrl-D; returns the session and what was shown."""
    session = Session()
    screen, out = plain_screen()
    with create_pipe_input() as pipe:
        reader = PromptReader(session, history=history or InMemoryHistory(), source=pipe, sink=DummyOutput())
        pipe.send_text("".join(line + ENTER for line in lines))
        typing = threading.Thread(target=press, args=(pipe, reader, then or []))
        typing.start()
        assert Repl(session, screen, reader).run() == 0
        typing.join()
    return session, out.getvalue()


def commands(session: Session) -> list[str]:
    return [entry.text for entry in session.history.in_force]


def test_lines_are_executed() -> None:
    """What is typed is executed, and Ctrl-D on an empty line ends the shell."""
    session, text = talk("file lib 32 order=4", "mmap win 16 file=lib", "fault win[0]")

    assert session.step == 3
    assert "f1" in text


def test_undo_and_redo() -> None:
    """``undo`` takes steps back, ``redo`` does them again."""
    assert talk("mmap buf 4", "fault buf", "undo")[0].step == 1
    assert talk("mmap buf 4", "fault buf", "undo 2", "redo")[0].step == 1


def test_errors_keep_the_line_in_history() -> None:
    """A refused line can be called back to be mended."""
    history = InMemoryHistory()
    session, text = talk("mmpa buf 4", "mmap buf 4", history=history)

    assert history.get_strings() == ["mmpa buf 4", "mmap buf 4"]
    assert session.step == 1
    assert "did you mean `mmap`?" in text


def test_up_arrow_calls_back_the_last_line() -> None:
    """The arrow key fetches what was typed before."""
    session, _ = talk(
        "mmap buf 4", "fault buf[0]", then=[(UP, holds("fault buf[0]")), (CTRL_U + "fork B" + ENTER, holds(""))]
    )

    assert session.step == 3


def test_ctrl_c_clears_the_line() -> None:
    """Ctrl-C gives up what was typed, and the next line is executed."""
    session, _ = talk(f"nonsense{CTRL_C}mmap buf 4")

    assert session.step == 1


def test_tab_completes_a_verb_and_a_name() -> None:
    """Tab completes what the language knows, and names that live in this session."""
    session, _ = talk(
        "mmap buffer 4",
        then=[
            ("munm", offers("munmap")),
            (TAB, holds("munmap")),
            (" buf", offers("buffer")),
            (TAB, holds("munmap buffer")),
            (ENTER, holds("")),
        ],
    )

    assert session.step == 2


def test_suggestion_from_history() -> None:
    """The rest of a line typed before is suggested and taken with the right arrow."""
    session, _ = talk(
        "mmap buf 4",
        then=[("mm", suggests("ap buf 4")), (RIGHT, holds("mmap buf 4"))],
    )

    assert session.step == 1


def test_pasted_lines() -> None:
    """Lines that a terminal marks as pasted run in order."""
    session, _ = talk("\x1b[200~mmap buf 4\nfault buf\nfork B\x1b[201~")

    assert session.step == 3


def test_enter_goes_on_while_a_brace_is_open() -> None:
    """A race may be typed over several lines; it is one command, and one entry of the history."""
    history = InMemoryHistory()
    lines = ["mmap buf 4", "race {  # two threads", "A.t1: fault buf[0]", "A.t2: fault buf[1]", "} schedule=1,2,1,2"]
    _, text = talk(*lines, history=history)

    assert "A.t1" in text
    assert "closing }" not in text
    assert history.get_strings() == [lines[0], "\n".join(lines[1:])]


def test_ways_out_of_an_open_brace() -> None:
    """Ctrl-C gives the lines up; Escape and Enter run them as they are."""
    history = InMemoryHistory()
    session, text = talk(
        "race {", f"A.t1: fault buf{CTRL_C}mmap buf 4", "race {", f"A.t1: fault buf{ESCAPE}", history=history
    )

    assert session.step == 1
    assert text.count("error: the closing } is missing") == 1


def test_the_rest_of_a_paste_comes_back() -> None:
    """The up arrow brings what a refusal left over; mended, it runs."""
    history = InMemoryHistory()
    session, _ = talk(
        "\x1b[200~mmap buf 4\nfault bfu\nfork B\x1b[201~",
        history=history,
        then=[
            ("", lambda _: len(history.get_strings()) == 2),
            (UP, holds("fault bfu\nfork B")),
            (CTRL_U, holds("fault bfu\n")),
            ("fork C" + UP + END + CTRL_U + "fault buf", holds("fault buf\nfork C")),
            (ENTER, holds("")),
        ],
    )

    assert commands(session) == ["mmap buf 4", "fault buf", "fork C"]


def test_a_full_word_and_an_empty_line_open_no_menu() -> None:
    """What is typed is not offered, nor is everything where nothing is typed, unless it is asked for."""
    completer = CommandCompleter(Session())
    typed, asked = CompleteEvent(text_inserted=True), CompleteEvent(completion_requested=True)

    assert list(completer.get_completions(Document("fork"), asked)) == []
    assert list(completer.get_completions(Document("fork B\n"), typed)) == []
    assert list(completer.get_completions(Document("fork B\n"), asked)) != []


def test_completion_within_a_brace_over_lines() -> None:
    """Threads and commands of a race are completed on each of its lines; its comments are left alone."""
    completer = CommandCompleter(Session())

    def texts(text: str) -> list[str]:
        return [found.text for found in completer.get_completions(Document(text), CompleteEvent())]

    assert texts("race {\n  A.t1: fau") == ["fault"]
    assert texts("race { # threads\n  A.t1: fault buf\n") == ["A.t2:"]
    assert texts("race {\n  # A.t1: fau") == []
    assert texts("race {\n  A.t1: fault buf\n} max") == ["max-states="]


def test_completions_have_descriptions() -> None:
    """Every verb is offered with a word about what it does, and replaces what was typed of it."""
    found = list(CommandCompleter(Session()).get_completions(Document("mprot"), CompleteEvent()))

    assert [(completion.text, completion.start_position) for completion in found] == [("mprotect", -5)]
    assert all(completion.display_meta_text for completion in found)


def test_completion_of_the_line_under_the_cursor() -> None:
    """In a pasted block, the line of the cursor is completed."""
    found = CommandCompleter(Session()).get_completions(Document("fork B\nmprot"), CompleteEvent())

    assert [completion.text for completion in found] == ["mprotect"]


def test_idle_call_comes_once_after_the_first_prompt() -> None:
    """What is put off until the prompt is on the screen is called once."""
    calls: list[str] = []
    with create_pipe_input() as pipe:
        reader = PromptReader(
            Session(),
            history=InMemoryHistory(),
            when_idle=lambda: calls.append("idle"),
            source=pipe,
            sink=DummyOutput(),
        )
        assert calls == []
        pipe.send_text("one\rtwo\r")
        assert [reader.read("> "), reader.read("> ")] == ["one", "two"]

    assert calls == ["idle"]


@pytest.mark.parametrize("keys", ["\x1b[Z", "\x1bOP", "\x1b[6n", "\x00", "\x1b\x1b[A", "\x07\x08\x0b\x0c"])
def test_odd_keys(keys: str) -> None:
    """Keys without a meaning here neither end the shell nor disturb the line."""
    session, _ = talk(f"{keys}{CTRL_U}mmap buf 4")

    assert session.step == 1


def test_xdg_state_home(tmp_path: Path) -> None:
    """$XDG_STATE_HOME holds the history if it is an absolute path."""
    assert history_path({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "folioshell" / "history"


@pytest.mark.parametrize("environ", [{}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}])
def test_default(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, or with a relative one, the history is under ~/.local/state."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert history_path(environ) == tmp_path / ".local" / "state" / "folioshell" / "history"


def test_file_is_private(tmp_path: Path) -> None:
    """The file is made for its owner alone, with the folders that it needs."""
    path = tmp_path / "a" / "b" / "history"

    assert isinstance(open_history(path), FileHistory)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_come_back(tmp_path: Path) -> None:
    """What one session stored the next one loads, newest first."""
    path = tmp_path / "history"
    first = open_history(path)
    first.append_string("file lib 32")
    first.append_string("fork B")

    assert list(open_history(path).load_history_strings()) == ["fork B", "file lib 32"]


def test_unwritable_place(tmp_path: Path) -> None:
    """A place that cannot be written costs the history, not the shell."""
    (tmp_path / "file").write_text("")

    assert isinstance(open_history(tmp_path / "file" / "history"), InMemoryHistory)
    assert isinstance(open_history(None), InMemoryHistory)


def test_lines_of_several_rows_come_back(tmp_path: Path) -> None:
    """A race over several lines is one entry, its comments included."""
    text = "race {  # two\n# threads\n  A.t1: fault buf\n}"
    open_history(tmp_path / "history").append_string(text)

    assert list(open_history(tmp_path / "history").load_history_strings()) == [text]


def test_a_line_typed_twice_is_kept_once(tmp_path: Path) -> None:
    """What is done again and again fills the history once."""
    history = open_history(tmp_path / "history")
    for line in ("undo", "undo", "show", "undo"):
        history.append_string(line)

    assert list(open_history(tmp_path / "history").load_history_strings()) == ["undo", "show", "undo"]


def test_two_shells_at_once(tmp_path: Path) -> None:
    """What both of them append is there for the next one."""
    first, second = open_history(tmp_path / "history"), open_history(tmp_path / "history")
    first.append_string("fork B")
    second.append_string("fork C")
    first.append_string("fork D")

    assert list(open_history(tmp_path / "history").load_history_strings()) == ["fork D", "fork C", "fork B"]


def test_only_the_end_of_a_huge_file_is_read(tmp_path: Path) -> None:
    """Years of typing do not hold up the prompt; an entry that is cut is left out."""
    path = tmp_path / "history"
    path.write_text("".join(f"\n# 2026-01-01\n+mmap buf{number:06} 4\n" for number in range(100_000)))
    lines = list(open_history(path).load_history_strings())

    assert lines[0] == "mmap buf099999 4"
    assert 5_000 < len(lines) < 50_000
    assert all(line.startswith("mmap buf") for line in lines)


def test_a_file_that_goes_away(tmp_path: Path) -> None:
    """Whatever becomes of the file and its folder, lines are still kept for this session."""
    path = tmp_path / "folder" / "history"
    history = open_history(path)
    path.unlink()
    path.parent.rmdir()
    history.append_string("fork B")

    assert history.get_strings() == ["fork B"]
    assert list(history.load_history_strings()) == []


def test_a_warning_in_the_toolbar() -> None:
    """A warning has a line of its own above the state of the session, until it is taken back."""
    with create_pipe_input() as pipe:
        reader = PromptReader(Session(), history=InMemoryHistory(), source=pipe, sink=DummyOutput())
        reader.warn("crash log not written: No space left on device")
        shown = fragment_list_to_text(reader._toolbar())
        reader.warn("")

        assert shown.startswith(" crash log not written: No space left on device\n process A")
        assert fragment_list_to_text(reader._toolbar()).startswith(" process A")
