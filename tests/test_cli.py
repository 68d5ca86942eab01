"""The command line: what is printed where, and the exit status.

All but a few tests run within this process.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from folioshell import __version__
from folioshell.cli import main
from tests.command_line import folioshell

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-m", "folioshell")

GOOD = """\
#!folioshell 1
| A file, mapped and read.
file lib 32 order=4
mmap win 16 file=lib
fault win[0]
expect mapcount vmas win[0] == 1
"""
WRONG = GOOD + "expect mapcount vmas win[0] == 7\nexpect truth mms win[0] == 1\n"
STOPS = GOOD + "mprotect 0x1000+1 r\nfork NEVER\n"
BAD = GOOD + "fault wim[0]\n"


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run folioshell as a process of its own, for what only an interpreter's beginning and end can show."""
    return subprocess.run(
        (*COMMAND, *arguments), check=False, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)}, **options
    )


@pytest.fixture
def scripts(tmp_path: Path) -> dict[str, str]:
    """Paths of a good script, one whose expect fails, one that stops, and one that cannot be read."""
    for name, text in (("good", GOOD), ("wrong", WRONG), ("stops", STOPS), ("bad", BAD)):
        (tmp_path / f"{name}.fs").write_text(text)
    return {name: str(tmp_path / f"{name}.fs") for name in ("good", "wrong", "stops", "bad", "missing")}


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (("good",), 0),
        (("good", "good"), 0),
        (("wrong",), 1),
        (("stops",), 1),
        (("bad",), 2),
        (("missing",), 2),
        (("good", "wrong"), 1),
        (("bad", "wrong", "good"), 2),
    ],
)
def test_status_of_the_worst(scripts: dict[str, str], names: tuple[str, ...], status: int) -> None:
    """The status is that of the worst file, and each file has its last line, in quiet too."""
    for flags in ((), ("--quiet",)):
        done = folioshell("run", *flags, *(scripts[name] for name in names))

        assert done.returncode == status, done
        assert "Traceback" not in done.stderr
        assert sum(
            ": passed:" in text or ": FAILED:" in text or ": refused:" in text for text in done.stdout.splitlines()
        ) == len(names)


def test_run_prints_steps_as_at_the_prompt(scripts: dict[str, str]) -> None:
    """Prose, each command behind its prompt, tables of what changed, expects, and a last line."""
    lines = folioshell("run", scripts["good"]).stdout.splitlines()

    assert lines[0] == "A file, mapped and read."
    assert "A 0> file lib 32 order=4" in lines
    assert "A 2> fault win[0]" in lines
    assert any(text.split()[:3] == ["f1", "4", "0"] for text in lines)
    assert "pass  expect mapcount vmas win[0] == 1" in lines
    assert lines[-1] == f"{scripts['good']}: passed: 3 steps, 1 expect"


def test_quiet_prints_failures_only(scripts: dict[str, str]) -> None:
    """Quietly a good script is one line, and a wrong one says what was wrong."""
    good = folioshell("run", "--quiet", scripts["good"]).stdout.splitlines()
    wrong = folioshell("run", "--quiet", "--width", "300", scripts["wrong"]).stdout.splitlines()

    assert len(good) == 1
    assert wrong[0] == f"FAIL  {scripts['wrong']}:7:29: is 1, expected == 7"
    assert wrong[-1] == f"{scripts['wrong']}: FAILED: 3 steps, 3 expects, 1 of them failed"


def test_refusal_names_the_place(scripts: dict[str, str]) -> None:
    """A word that is not known is pointed at with file, line and column, and the nearest right one is named."""
    done = folioshell("run", scripts["bad"])

    assert f"{scripts['bad']}:7:7: error: " in done.stderr
    assert "  fault wim[0]\n        ^" in done.stderr
    assert "win" in done.stderr.split("^", 1)[1]


def test_a_failure_stops_the_script(scripts: dict[str, str]) -> None:
    """A command that fails in the kernel without ``fails`` ends the run."""
    done = folioshell("run", scripts["stops"])

    assert "ENOMEM" in done.stdout
    assert "NEVER" not in done.stdout


def test_json_lines(scripts: dict[str, str]) -> None:
    """Each line is a document that says where it comes from, and nothing else is on the stream."""
    done = folioshell("run", "--json", scripts["good"])
    documents = [json.loads(text) for text in done.stdout.splitlines()]

    assert [document["v"] for document in documents] == [2, 2, 2, 2]
    assert [document["line"] for document in documents] == [3, 4, 5, 6]
    assert documents[2]["folios"][0]["mapcounts"]["vmas"] == {"old": 0, "new": 1}
    assert all("state" not in document for document in documents)


def test_json_failures(scripts: dict[str, str]) -> None:
    """What stops a script is said on the error stream; the documents stay documents."""
    for name, status, word in (("stops", 1, "ENOMEM"), ("bad", 2, "wim")):
        done = folioshell("run", "--json", scripts[name])

        assert done.returncode == status
        assert word in done.stderr
        assert all(json.loads(text)["v"] == 2 for text in done.stdout.splitlines())


def test_json_full(scripts: dict[str, str]) -> None:
    """``--json=full`` adds the whole state to each step."""
    lines = folioshell("run", "--json=full", scripts["good"]).stdout.splitlines()
    documents = [found for text in lines if "command" in (found := json.loads(text))]

    assert ["state" in document for document in documents] == [True, True, True, False]


def test_schema_is_json() -> None:
    """The schema is a JSON document that knows the keys of a report."""
    schema = json.loads(folioshell("schema").stdout)

    assert {"v", "command", "result", "folios", "locks"} <= set(json.dumps(schema).replace('"', " ").split())


def test_commands() -> None:
    """``-c`` runs commands and prints what they did, without prompts."""
    done = folioshell("-c", "mmap buf 4 ; fault buf[0] ; query present? buf[0]")

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "present? buf[0] (f1, order 0): yes"
    assert "A 0>" not in done.stdout


def test_commands_refused() -> None:
    """A word that ``-c`` does not know gives status 2."""
    done = folioshell("-c", "fok B")

    assert (done.returncode, done.stdout) == (2, "")
    assert "fork" in done.stderr


def test_piped_commands() -> None:
    """Without an action, commands come from the pipe: no prompt, and the status of a script."""
    done = folioshell(stdin="mmap buf 4\nexpect vmas A == 2\n")

    assert done.returncode == 1
    assert "FAIL  -:2:15: is 1, expected == 2" in done.stdout
    assert "A 0>" not in done.stdout


def test_run_dash() -> None:
    """``run -`` reads a script from standard input."""
    assert folioshell("run", "-", stdin=GOOD).stdout.splitlines()[-1] == "-: passed: 3 steps, 1 expect"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnu", "a.fs"), "did you mean `run`?"),
        (("a.fs",), "'a.fs' is not an action; did you mean `folioshell run a.fs`?"),
        (("run", "--mode", "tabel", "a.fs"), "did you mean `table`?"),
        (("run", "--until", "line:x", "a.fs"), "'line:x' is neither a number of steps nor line:N"),
        (("-c", "fork B", "run", "a.fs"), "-c cannot be combined with run"),
        (("--width", "0"), "'0' is not a number of columns from 1 to 10,000"),
    ],
)
def test_wrong_words(arguments: tuple[str, ...], message: str) -> None:
    """What the command line does not know is named, and so is what may have been meant."""
    done = folioshell(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"{message}\n")


def test_empty_input() -> None:
    """Nothing to do is no failure."""
    assert folioshell(stdin="").returncode == 0
    assert folioshell("-c", "").returncode == 0


def test_binary_input() -> None:
    """Bytes that are no text are refused, not a traceback."""
    done = folioshell("run", "-", stdin=bytes(range(256)) * 4)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


def test_until(scripts: dict[str, str]) -> None:
    """``--until N`` stops after N steps."""
    done = folioshell("run", "--until", "2", scripts["good"])

    assert done.stdout.splitlines()[-1].endswith("passed: 2 steps, 0 expects")


def test_until_then_more(scripts: dict[str, str]) -> None:
    """``-i`` goes on with what is typed, in the state that the script left."""
    done = folioshell("run", "--until", "2", "-i", scripts["good"], stdin="expect vmas A == 1\nfault win[0]\n")

    assert done.returncode == 0
    assert "pass  expect vmas A == 1" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("run",),
        ("wrong",),
        ("--width", "wide"),
        ("--width", "0"),
        ("run", "--until", "-1", "x.fs"),
        ("run", "-i", "a.fs", "b.fs"),
        ("run", "-i", "--json", "a.fs"),
    ],
)
def test_usage_errors(arguments: tuple[str, ...]) -> None:
    """Arguments that make no sense give status 2 and a word of help."""
    done = folioshell(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "folioshell" in done.stderr


def test_version_and_help() -> None:
    """The version is one line, and help names every action."""
    assert folioshell("--version").stdout == f"folioshell {__version__}\n"
    assert folioshell("--plain", "--version").stdout == f"folioshell {__version__}\n"
    help_text = folioshell("--help").stdout
    assert {"run", "scenarios", "verify", "convert", "check-scheme", "race-sweep", "schema", "completion"} <= set(
        help_text.split()
    )
    examples = [text for text in help_text.splitlines() if text.startswith("  folioshell ")]
    assert len(examples) == 3


def test_width() -> None:
    """``--width`` limits lines, before and behind the action."""
    for arguments in (("--width", "60", "run", "-"), ("run", "--width", "60", "-")):
        done = folioshell(*arguments, stdin=GOOD.replace("| A file, mapped and read.\n", ""))

        assert max(map(len, done.stdout.splitlines())) <= 60


def test_output_that_is_not_unicode(scripts: dict[str, str]) -> None:
    """Where the encoding has no arrow, it is spelled."""
    done = folioshell("run", scripts["good"], environ={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})

    assert done.stdout.isascii()
    assert "0 -> " in done.stdout


def test_closed_pipe(scripts: dict[str, str]) -> None:
    """When the reader goes away, folioshell ends without a word."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = process("run", scripts["good"], stdout=write_end, stderr=subprocess.PIPE)
    os.close(write_end)

    assert done.stderr == b""
    assert done.returncode == 141


#: runs one after another in one interpreter, and the libraries that none of them may have imported
IMPORTING = """
import io, sys
from folioshell.cli import main
for arguments, heavy in RUNS:
    sys.stdin = io.TextIOWrapper(io.BytesIO(GOOD.encode()))
    assert main(arguments) == 0, arguments
    assert not heavy & {name.split(".")[0] for name in sys.modules}, (arguments, heavy & set(sys.modules))
"""


def test_no_run_waits_for_libraries_that_it_does_not_need() -> None:
    """--version imports none; a script neither the prompt's nor validation, and in a pipe not rich either."""
    heavy = {"rich", "pydantic", "prompt_toolkit", "asyncio"}
    recording = str(ROOT / "tests" / "recordings" / "c16_mremap_part.json.gz")
    runs = [
        (["--version"], {*heavy, "argparse"}),
        (["run", "-"], heavy),
        (["run", "--json", "-"], heavy),
        (["run", "--quiet", "-"], heavy),
        (["-c", "mmap buf 4 ; fault buf"], heavy),
        (["verify", recording], heavy),
    ]
    done = subprocess.run(
        (sys.executable, "-c", f"RUNS, GOOD = {runs!r}, {GOOD!r}\n{IMPORTING}"),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_as_a_process(scripts: dict[str, str]) -> None:
    """`python -m folioshell` is the same: what it prints, and its exit status."""
    for name in ("good", "wrong"):
        done = process("run", "--quiet", "--width", "1000", scripts[name], capture_output=True)
        here = folioshell("run", "--quiet", "--width", "1000", scripts[name])

        assert (done.returncode, done.stdout.decode(), done.stderr) == (here.returncode, here.stdout, b"")


MINE = """
from folioshell.schemes.vmas import Vmas

class Mine(Vmas):
    name = "mine"
"""


def test_a_definition_on_the_command_line(tmp_path: Path, scripts: dict[str, str]) -> None:
    """--scheme adds a column to every run, without --allow-code; a file that cannot be used ends it with 2."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "bad.py").write_text("class (")
    (tmp_path / "yours.py").write_text(MINE.replace('"mine"', '"yours"'))
    mine, yours = str(tmp_path / "mine.py"), str(tmp_path / "yours.py")
    done = folioshell("--scheme", mine, "run", "--scheme", yours, scripts["good"])
    assert done.returncode == 0
    assert "mm-id  average  mine  yours" in done.stdout

    bad = folioshell("--scheme", str(tmp_path / "bad.py"), "-c", "mmap buf 16")
    assert bad.returncode == 2
    assert bad.stdout == ""
    assert "bad.py:1:" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_check_scheme(tmp_path: Path) -> None:
    """check-scheme prints a line a law and ends with 0 if the declaration is true."""
    (tmp_path / "mine.py").write_text(MINE)
    done = folioshell("check-scheme", "--histories", "40", "--mms", "60", str(tmp_path / "mine.py"))

    assert done.returncode == 0
    assert "never-false-positive violated after 2 steps:" in done.stdout


@pytest.mark.parametrize("others", [(), ("run", "file.fs"), ("-c", "history")])
def test_resume_wants_a_terminal(others: tuple[str, ...]) -> None:
    """It opens the shell: without a terminal, or with something else to do, it is refused."""
    done = folioshell("--resume", *others)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--resume opens the shell" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("run", "-h"), ("schema",), ("-c", "mmap buf 4"), ("run", "-")]
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Output that cannot be written gives a message and a status, not a traceback."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)

        assert main(arguments) == 2
    assert capsys.readouterr().err == "folioshell: standard output: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_at_the_end_of_a_process() -> None:
    """Nothing is written again when the interpreter ends."""
    with Path("/dev/full").open("w") as full:
        done = process("--help", stdout=full, stderr=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (2, b"folioshell: standard output: No space left on device\n")


@pytest.mark.parametrize(
    ("closing", "status", "message"),
    [(">&-", 2, b"folioshell: standard output is closed\n"), ("2>&-", 0, b""), ("<&-", 0, b"")],
)
def test_closed_streams(closing: str, status: int, message: bytes) -> None:
    """A stream that the process was started without is no traceback either."""
    done = subprocess.run(
        ("sh", "-c", f'"$@" -c "mmap buf 4" {closing}', "sh", *COMMAND),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert (done.returncode, done.stderr) == (status, message)


@pytest.mark.parametrize(
    ("text", "status", "shown"),
    [
        ("mmap buf 4\nquit\nfok\n", 2, ""),
        ("mmap buf 4\nquit\nmmap more 4\n", 0, "mmap(buf, 16K"),
        ("mmap buf 4\nfault x[0]\nmmap more 4\n", 2, "mmap(buf, 16K"),
        ("mmap buf 4\nexpect vmas A == 2\nmmap more 4\n", 1, "mmap(more, 16K"),
        ("munmap 0x1000+1\nmprotect 0x1000+1 r\nmmap more 4\n", 1, "script stopped"),
    ],
)
def test_errors_in_the_middle_of_a_pipe(text: str, status: int, shown: str) -> None:
    """What cannot be read keeps all of it from running, what is refused the rest; an expect that fails goes on."""
    done = folioshell(stdin=text)

    assert done.returncode == status
    assert shown in done.stdout
    assert ("mmap(more" in done.stdout) == ("more" in shown)


def test_modes() -> None:
    """--mode holds before and behind the action, whatever the script says; --json is the same as --mode json."""
    text = GOOD + "mode csv\nquery shared? win[0]\n"
    by_option = {mode: folioshell("run", "--mode", mode, "-", stdin=text).stdout for mode in ("mail", "json")}
    script = [*GOOD.splitlines()[2:], "query shared? win[0]"]

    assert by_option["mail"].endswith("Reproducer (folioshell 1):\n" + "".join(f"  {line}\n" for line in script))
    assert folioshell("--mode", "mail", "run", "-", stdin=text).stdout == by_option["mail"]
    assert folioshell("--json", "run", "-", stdin=text).stdout == by_option["json"]
    assert folioshell("run", "-", stdin=text).stdout.count("shared?,win[0],f1,") == 7
    assert folioshell("--mode", "sideways", "-c", "").returncode == 2


def test_table_in_a_pipe() -> None:
    """Mode table has its rules in a pipe, too, but no escape codes and no spaces at the ends of lines."""
    done = folioshell("-c", "mode table ; mmap buf 4 ; show vmas", environ={"FORCE_COLOR": "1"})

    assert "─────" in done.stdout
    assert "\x1b" not in done.stdout
    assert not any(line.endswith(" ") for line in done.stdout.splitlines())


def test_documents_where_the_encoding_lacks_signs() -> None:
    """Documents stay JSON whatever the encoding, the schema too."""
    environ = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    texts = folioshell("--json", "-c", "mmap buf 4 ; help set", environ=environ).stdout.splitlines()

    assert "…" in " ".join(json.loads(texts[1])["sections"][0]["lines"])
    assert json.loads(folioshell("schema", environ=environ).stdout)


def test_a_script_may_not_write() -> None:
    """`once` in a script needs --allow-files; on the command line it does not."""
    text = "mmap buf 4\nonce /dev/null\nquery present? buf[0]\n"
    done = folioshell(stdin=text)

    assert done.returncode == 2
    assert "-:2:6: error: scripts may not write files" in done.stderr
    assert folioshell("--allow-files", "run", "-", stdin=text).returncode == 0
    assert folioshell("-c", text.replace("\n", ";")).returncode == 0


def test_columns_and_plain(scripts: dict[str, str]) -> None:
    """COLUMNS is the width of what is no terminal; FOLIOSHELL_MODE names the mode, unless an option does."""
    wide = folioshell("-c", "show schemes", environ={"COLUMNS": "150"}).stdout
    spoken = folioshell("-c", "mmap buf 4 ; show vmas", environ={"FOLIOSHELL_MODE": "spoken"}).stdout
    plain = folioshell("--plain", "-c", "mmap buf 4 ; show vmas", environ={"FOLIOSHELL_MODE": "spoken"}).stdout
    unknown = folioshell("-c", "show vmas", environ={"FOLIOSHELL_MODE": "loud"})

    assert 100 < max(map(len, wide.splitlines())) <= 150
    assert "\nprocess A: vma v1, start 0x7f0000000000, end 0x7f0000004000, size 16K, perm rw-p, " in spoken
    assert "\n  process  vma  start " in plain
    assert (unknown.returncode, unknown.stderr.splitlines()[0]) == (2, "error: FOLIOSHELL_MODE=loud: no such mode")


PROFILED = """#!folioshell 1
set thp.pmd always
mmap buf 2M align=512
read buf[0]
write buf[0]
expect[6.1,6.12] order buf[0] == 0
expect[6.18] order buf[0] == 9
"""


def test_run_under_profiles(tmp_path: Path) -> None:
    """A line a profile, then where they part; the status is the worst."""
    script = tmp_path / "huge-zero.fs"
    script.write_text(PROFILED)
    done = folioshell("run", "--profiles", "6.18,6.1", str(script))

    lines = done.stdout.split("\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[:2] == [f"{version}: {script}: passed: 4 steps, 1 expect and 1 skipped" for version in ("6.1", "6.18")]
    assert "do_huge_zero_wp_pmd() (v6.13)" in done.stdout

    script.write_text(PROFILED.replace("[6.18]", "[6.12,6.18]"))
    done = folioshell("run", "--quiet", "--profiles", "6.12,6.18", str(script))
    assert done.returncode == 1
    assert f"folioshell run --profiles 6.12 {script} --until 4 -i" in done.stdout
    assert done.stdout.endswith(f"6.18: {script}: passed: 4 steps, 1 expect and 1 skipped\n")


def test_run_under_one_profile(tmp_path: Path) -> None:
    """It is shown as any run; a script that chooses a profile itself is refused."""
    script = tmp_path / "huge-zero.fs"
    script.write_text(PROFILED)
    done = folioshell("run", "--profiles", "6.1", str(script))
    assert done.returncode == 0
    assert "Skipped: expect[6.18] order buf[0] == 9 (this is profile 6.1)." in done.stdout

    script.write_text("set profile 6.12\n")
    done = folioshell("run", "--profiles", "6.1", str(script))
    assert done.returncode == 2
    assert "this runs under profile 6.1" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--profiles", "6.1,6.2", "x.fs"), "no such profile: '6.2'; allowed: 5.10, 6.1, 6.12"),
        (("--profiles", "6.1,6.12", "-"), "standard input can be read only once"),
        (("--profiles", "6.1,6.12", "-i", "x.fs"), "-i takes one FILE and one profile"),
        (("--profiles", "6.1,6.12", "--update", "x.fs"), "--update takes one profile"),
        (("--profiles", "6.1,6.12", "--junit", "x.xml", "-i", "x.fs"), "-i takes one FILE and one profile"),
    ],
)
def test_run_profiles_refusals(arguments: tuple[str, ...], message: str) -> None:
    """What cannot be done under profiles is said before anything runs."""
    done = folioshell("run", *arguments)

    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    "words", [[], ["--restore", "a.fs"], ["--restore", "--dry-run"], ["--dry-run", "--kernel", "k", "a.fs"]]
)
def test_live_takes_files_or_restores(words: list[str]) -> None:
    """``live`` without a file, and options that do not go together, are refused in one line."""
    ended = folioshell("live", *words)

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith("folioshell: live: ")
