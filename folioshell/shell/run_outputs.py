"""Files written after a run: ``--junit`` writes JUnit XML, ``--update`` rewrites golden blocks, ``export`` pages.

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
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from folioshell.commands.lex import is_for_class
from folioshell.errors import Refused, reason_of
from folioshell.export.document import document
from folioshell.export.page import Script, Shot, index, page, standalone
from folioshell.records import replace
from folioshell.report import Picture, Report
from folioshell.script.files import scenario_folder, write_file
from folioshell.script.golden import Compared, updated
from folioshell.script.lesson import Prediction, goal_text
from folioshell.script.runner import Runner
from folioshell.script.script import ScriptEvent, ScriptLine, comment_of, parse, read_text
from folioshell.session.picture import picture
from folioshell.session.session import Session
from folioshell.shell.replay import failure_text
from folioshell.units import parse_number
from folioshell.views import html_view, spoken
from folioshell.views.blocks import Block, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.picture_view import picture_blocks
from folioshell.views.report_view import diff_blocks, report_blocks
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


# Pages.


class PageShots:
    """What a page shows of a run in ``session``, in order; ``texts`` has the texts of scripts that are known."""

    def __init__(self, session: Session, texts: Mapping[str, str]) -> None:
        session.settings.full = True
        self._session, self._texts = session, texts
        self._prose: list[ScriptEvent] = []
        self._lines: dict[str, dict[int, ScriptLine]] = {}
        #: (file, line) of each question -> its document, which gets the answer once it is known; and of each task
        self._asked: dict[tuple[str, int], dict[str, Any]] = {}
        self.shots: list[Shot] = []
        self._last: tuple[int, Picture] | None = None

    def note(self, event: ScriptEvent) -> None:
        """Add a script event."""
        if is_for_class(event.text):
            self._note_for_class(event)
        elif event.prose is not None:
            if self._prose and event.line != self._prose[-1].line + 1:
                self.flush()
            self._prose.append(event)
        elif event.report is not None:
            self.flush()
            self._ask(event)
            self._report(event, event.report)

    def flush(self) -> None:
        """Add the prose since the last command: a title alone, for it is that of the page, and paragraphs."""
        texts = [(event.line, visible(event.prose or "")) for event in self._prose]
        self._prose.clear()
        first = texts[:1] if texts and texts[0][1].startswith("# ") else []
        for part in (first, texts[len(first) :]):
            if any(text for _, text in part):
                words = [text for _, text in part]
                self.shots.append(Shot({"prose": "\n".join(words), "line": part[0][0]}, html_view.prose(words)))

    def _report(self, event: ScriptEvent, report: Report) -> None:
        sections = tuple(section for section in report.sections if not isinstance(section, Picture))
        if sections != report.sections and not sections:
            # `show`: the figure of the step is there already.
            return
        blocks = report_blocks(replace(report.as_shown, expect=None, sections=sections))
        made = document(report, event.file, event.line, comment=comment_of(event.text))
        shown = picture(self._session.workspace, self._session.shown_schemes)
        words = "" if report.state is None else spoken.render(picture_blocks(shown), _UNWRAPPED)
        if "step" in made and report.state is not None:
            self._last = len(self.shots), shown
        self.shots.append(Shot(made, html_view.render(blocks), words))

    def _line(self, event: ScriptEvent) -> ScriptLine | None:
        """The line of a script that an event is about; None if it is one of several."""
        if event.file not in self._lines:
            text = self._texts.get(event.file)
            lines = parse(read_text(event.file) if text is None else text, event.file, self._session.language)
            self._lines[event.file] = {line.number: line for line in lines}
        return self._lines[event.file].get(event.line)

    def _ask(self, event: ScriptEvent) -> None:
        """Add the questions about a command line before its first command."""
        line = self._line(event)
        for asked in line.asked if line is not None else ():
            if (key := (event.file, asked.line.written.number)) not in self._asked:
                self._asked[key] = _question_document(asked, event.text)
                if self._last is not None and "maybe" in asked.values.words:
                    at, shown = self._last
                    plain = shown._replace(folios=tuple(one._replace(wrong=(), undecided=()) for one in shown.folios))
                    self.shots[at] = self.shots[at]._replace(unjudged=spoken.render(picture_blocks(plain), _UNWRAPPED))
                self.shots.append(Shot(self._asked[key], ""))

    def _note_for_class(self, event: ScriptEvent) -> None:
        """The answer to a question, or a task."""
        expect = event.report.expect if event.report is not None else None
        if expect is not None and expect.kind == "question":
            self._asked[event.file, event.line]["answer"] = expect.actual
        line = self._line(event)
        if line is None or line.task is None or (event.file, event.line) in self._asked:
            return
        self.flush()
        self._asked[event.file, event.line] = made = {
            "task": line.task.text,
            "goals": [goal_text(goal) for goal in line.task.goals],
            "hints": [one.text for one in line.task.hints],
            "solution": line.task.solutions[0].line.text if line.task.solutions else "",
        }
        self.shots.append(Shot(made, ""))


#: columns of words that are read, not seen
_UNWRAPPED = 10_000


def _question_document(asked: Prediction, command: str) -> dict[str, Any]:
    return {
        "question": asked.text,
        "next": " ".join(command.split()),
        "allowed": asked.allowed,
        "choices": [] if asked.values.number or asked.values.listed else list(asked.values.words),
        "answer": asked.value,
        "hints": [one.text for one in asked.hints],
        "wrong": {one.statement.arguments.get("VALUE", str): one.text for one in asked.wrong},
        "after": " ".join(one.text for one in asked.after),
    }


def export_pages(
    names: Sequence[str], target: str, run: Callable[[str], Runner], settings: Mapping[str, Any], site: bool, svg: str
) -> list[Block]:
    """Write scripts as a page, or folders of scripts as a site: a page each, and an index. Returns what was written.

    Args:
        target: the page, ``-`` for standard output, or the folder of the site.
        run: makes the run of a script.
        settings: of ``page``.
        svg: a folder for the figures; empty for none.

    Raises:
        Refused: a script was refused or failed, or a file cannot be written. Nothing is written before all have run.
    """
    scripts = [script_of(run(name)) for name in (_scripts_in(names) if site else names)]
    groups = [[script] for script in scripts] if site else [scripts]
    pages = {group[0].name: page(group, **settings) for group in groups}
    for name, made in pages.items():
        _write_text(f"{target}/{name}.html" if site else target, made.html)
        for ident, figure in made.figures.items() if svg else ():
            _write_text(f"{svg}/{name}-{ident}.svg", standalone(figure))
    if site:
        listed = [(f"{script.name}.html", script.title, script.about) for script in scripts]
        _write_text(f"{target}/index.html", index("Contents", listed, settings["made_by"]))
    return [line(f"{counted(len(pages), 'page')} written to {visible(target)}")] if target != "-" else []


def steps_in(text: str) -> tuple[int, int] | None:
    """The first and last step of ``3..5``, or of ``3``; None if the text is empty: all.

    Raises:
        Refused: it is neither.
    """
    first, dots, last = text.partition("..")
    low, high = parse_number(first), parse_number(last if dots else first)
    if text and (low is None or high is None or low > high):
        raise Refused(f"{text} is neither a step nor a range of steps", hint="3..5")
    return (low, high) if low is not None and high is not None else None


def _scripts_in(names: Iterable[str]) -> list[str]:
    """The scripts of folders, those of the scenarios that come with folioshell among them."""
    shipped = scenario_folder()
    found: list[str] = []
    for name in names:
        places = [Path(name), *([shipped / name.removeprefix("scenarios/")] if shipped is not None else [])]
        scripts = next((sorted(place.glob("*.fs")) for place in places if place.is_dir()), [])
        if not scripts:
            raise Refused(f"no scripts in {name}", hint="`--index` takes a folder of scripts")
        found += map(str, scripts)
    return found


def script_of(runner: Runner) -> Script:
    """Run a script for a page.

    Raises:
        Refused: it was refused, or it failed.
    """
    # Standard input is read once.
    runner.text = read_text(runner.name) if runner.text is None else runner.text
    shots = PageShots(runner.session, {runner.name: runner.text})
    for event in runner:
        if event.refused is not None:
            raise event.refused
        if failure := failure_text(event):
            message = f"no page, as the script failed: {' '.join(failure.split())}"
            raise Refused(message, file=event.file, line=event.line)
        shots.note(event)
    shots.flush()
    return Script(os.path.basename(runner.name).removesuffix(".fs"), shots.shots)  # noqa: PTH119 - it may be `-`


def _write_text(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text.encode("utf-8", "backslashreplace"))
    except (OSError, ValueError) as error:
        raise Refused(f"cannot write {path}: {reason_of(error)}", file=path) from None
