"""Files written after a run: ``--junit`` writes JUnit XML, ``--update`` rewrites golden blocks.

Rules:
- JUnit: a suite per script, and per profile if any was chosen; a case per expect and golden block, an error if `quit`
  left it out. What stops a script is a case of its own: a failure if a command did not end as expected, an error if a
  line was refused or folioshell failed internally; and so is a race whose findings no expect asks for. The same runs
  give the same bytes: every time is 0, and there is no date or host.
- Update: nothing is written unless everything else in every script passed, since the output of a failed run is not
  worth keeping. A file is replaced atomically.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from folioshell.errors import Refused, reason_of
from folioshell.script.files import write_file
from folioshell.script.golden import Compared, updated
from folioshell.script.script import ScriptEvent
from folioshell.shell.replay import failure_text
from folioshell.views.blocks import Block, Tone, line
from folioshell.views.report_view import diff_blocks
from folioshell.wording import counted

# Characters that XML cannot hold, however they are escaped.
_NO_XML = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnit:
    """Collects the cases of runs, one after another."""

    def __init__(self) -> None:
        self._root = Element("testsuites")
        self._under = ""

    def begin(self, name: str, profile: str = "") -> None:
        """Begin the suite of a script, run under ``profile`` if that was chosen."""
        self._under = f"{profile}: " if profile else ""
        SubElement(self._root, "testsuite", name=_xml(f"{self._under}{name}"))

    def note(self, event: ScriptEvent) -> None:
        """Add the case of a script event."""
        report, failure = event.report, failure_text(event)
        if report is not None and report.expect is not None:
            self._case(event, report.expect.text, "failure", failure)
        elif event.golden is not None:
            self._case(event, f"output of {' '.join(event.text.split())}", "failure", failure)
        elif event.unreached is not None:
            self._case(event, event.unreached, "error", failure)
        elif event.failure is not None or event.unasked is not None:
            self._case(event, " ".join(event.text.split()), "failure", failure)
        elif event.refused is not None:
            self._case(event, event.refused.message, "error", failure)

    def crashed(self, error: Exception) -> None:
        """Add a case for an internal error that ended the run."""
        suite = self._root[-1]
        case = SubElement(suite, "testcase", classname=suite.get("name", ""), name="runs to its end")
        SubElement(case, "error", message=_xml(f"{type(error).__name__}: {error}"))

    def write(self, path: str) -> None:
        """Write the file.

        Raises:
            Refused: it cannot be written.
        """
        for suite in self._root:
            cases = list(suite)
            suite.set("tests", str(len(cases)))
            for kind in ("failure", "error"):
                suite.set(f"{kind}s", str(sum(case.find(kind) is not None for case in cases)))
            for timed in (suite, *cases):
                timed.set("time", "0")
        indent(self._root)
        try:
            write_file(path, tostring(self._root, encoding="utf-8", xml_declaration=True))
        except (OSError, ValueError) as error:
            raise Refused(f"cannot write {path}: {reason_of(error)}", file=path) from None

    def _case(self, event: ScriptEvent, name: str, kind: str, failure: str) -> None:
        title = f"{event.line}: {name}" if event.line else name
        place = {"file": _xml(event.file), "line": str(event.line)} if event.line else {}
        case = SubElement(
            self._root[-1], "testcase", {"classname": _xml(f"{self._under}{event.file}"), "name": _xml(title), **place}
        )
        if failure:
            first = failure.split("\n", 1)[0].removeprefix("FAIL  ")
            SubElement(case, kind, message=_xml(first)).text = _xml(failure)


def _xml(text: str) -> str:
    return _NO_XML.sub("?", text)


def check_permitted(environ: Mapping[str, str], *, forced: bool) -> None:
    """Check that golden blocks may be rewritten: on a CI machine no one would see what changed.

    Raises:
        Refused: they may not.
    """
    if not forced and environ.get("CI", "").lower() not in ("", "0", "false", "no"):
        raise Refused("--update is disabled where CI is set", hint="`--update --force` overrides this")


class Update:
    """Collects the output of runs, then rewrites the golden blocks that differ from it.

    Attributes:
        failures: number of failures other than golden blocks.
    """

    def __init__(self) -> None:
        self.failures = 0
        #: real path -> first line of a block -> block and output
        self._found: dict[str, dict[int, Compared]] = {}
        self._names: dict[str, str] = {}

    def note(self, event: ScriptEvent) -> None:
        """Add a script event.

        Raises:
            Refused: a block that runs twice has two different outputs.
        """
        other = event.failure or event.refused or event.unreached or event.unasked
        if other or (event.report and event.report.failed_expect):
            self.failures += 1
        if event.golden is None:
            return
        path = os.path.realpath(event.file)
        self._names.setdefault(path, event.file)
        before = self._found.setdefault(path, {}).setdefault(event.line, event.golden)
        if before.actual != event.golden.actual:
            hint = "the script runs twice from different states; write `[..]` or `...` for the parts that differ"
            if not (before.passed and event.golden.passed):
                message = "this golden block has two different outputs"
                raise Refused(message, text=event.text, file=event.file, line=event.line, hint=hint)

    def write(self) -> list[Block]:
        """Rewrite the blocks that differ; returns the diff and a summary.

        Raises:
            Refused: something else failed, or a file cannot be written; that file is unchanged.
        """
        if self.failures:
            raise Refused(f"no golden block rewritten: {counted(self.failures, 'other failure')}")
        blocks: list[Block] = []
        nr_blocks = nr_files = 0
        for path, found in self._found.items():
            changed = [one for one in found.values() if not one.passed]
            if changed:
                blocks += _rewrite(path, self._names[path], changed)
                nr_blocks += len(changed)
                nr_files += 1
        if not nr_files:
            return [line("all golden blocks are up to date", Tone.GOOD)]
        return [*blocks, line(f"{counted(nr_blocks, 'golden block')} in {counted(nr_files, 'file')} rewritten")]


def _rewrite(path: str, name: str, changed: list[Compared]) -> list[Block]:
    """Rewrite blocks of one file; returns the diff."""
    try:
        before = Path(path).read_bytes().decode("utf-8")
        lines = before.split("\n")
        for golden, actual, _ in sorted(changed, key=lambda one: one.golden.number, reverse=True):
            first, nr = golden.number - 1, len(golden.lines)
            end = "\r" if lines[first].endswith("\r") else ""
            if tuple(text.removesuffix("\r") for text in lines[first : first + nr]) != golden.written:
                raise Refused("the script was modified while it ran", file=name, line=golden.number)
            lines[first : first + nr] = [text + end for text in golden.rewritten(updated(golden.lines, actual))]
        after = "\n".join(lines)
        write_file(path, after.encode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"cannot write {name}: {reason_of(error)}", file=name) from None
    return _difference(before, after, name)


def _difference(before: str, after: str, name: str) -> list[Block]:
    from difflib import unified_diff

    return list(diff_blocks(unified_diff(before.splitlines(), after.splitlines(), name, name, n=2, lineterm="")))
