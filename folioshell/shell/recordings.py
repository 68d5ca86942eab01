"""``verify``, ``convert`` and ``record``: recordings and scenarios, one file after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from folioshell.commands.parse import ParsedStatement
from folioshell.errors import Refused, reason_of
from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live.files import write_recording
from folioshell.live.format import BadScenario, Recording, check_scenario, parse
from folioshell.live.recorder import plan, record
from folioshell.model.release import RELEASES
from folioshell.recording import ptl
from folioshell.recording.ptl import profile_of
from folioshell.recording.scenario import operation_text
from folioshell.recording.verify import Difference, DiffRow, verify
from folioshell.script import script
from folioshell.script.budget import EXCEEDED, Budget
from folioshell.script.files import path_of
from folioshell.session.host import STRICT, Limits
from folioshell.session.language import Language
from folioshell.views.blocks import Block, Column, Grid, Line, Span, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen
from folioshell.wording import counted

MATCHES, DIFFERS, UNUSABLE = 0, 1, 2
#: rows of a table of differences
ROWS = 20


def bounded(name: str, act: Callable[[], int], limits: Limits, errors: Screen) -> int:
    """Call ``act``, which deals with a file, within the limits of time and memory; UNUSABLE if it exceeds them."""
    budget = Budget(limits)
    try:
        with budget.running():
            return act()
    except EXCEEDED as error:
        refused = budget.refusal(error, "the recording")
        _report_unusable(errors, name, BadScenario(f"{refused.message}; {refused.hint}"))
        return UNUSABLE


class Verification:
    """Verifies recordings and shows how they compare.

    Args:
        screen: where results go.
        errors: where unusable files are reported.
        verbose: show the first difference of each as a table.
        quiet: show only recordings that differ.
        profile: the release to model; empty: that of each recording.
        books: compare the kernel's own books too, where a recording has them.
        limits: ``seconds`` and ``memory`` apply to each recording.
    """

    def __init__(
        self,
        screen: Screen,
        errors: Screen,
        *,
        verbose: bool = False,
        quiet: bool = False,
        profile: str = "",
        books: bool = False,
        limits: Limits = STRICT,
    ) -> None:
        self._screen = screen
        self._errors = errors
        self._verbose = verbose
        self._quiet = quiet
        self._profile = profile
        self._books = books
        self._limits = limits
        #: steps that were compared, and those of them with their books
        self._steps = self._steps_with_books = 0
        #: the profiles that recordings were compared with
        self._profiles: set[str] = set()

    def run(self, names: Sequence[str]) -> int:
        """Verify files; returns 0 if all match, 1 if one differs, 2 if one is unusable."""
        counts = [0, 0, 0]
        for name in names:
            counts[bounded(name, partial(self._one, name), self._limits, self._errors)] += 1
        differ = "differs" if counts[DIFFERS] == 1 else "differ"
        words = (f"{counts[MATCHES]} match", f"{counts[DIFFERS]} {differ}", f"{counts[UNUSABLE]} unusable")
        shown = [word for word, count in zip(words, counts, strict=True) if count or word is words[0]]
        tone = Tone.GOOD if counts[MATCHES] == len(names) else Tone.BAD
        under = [version for version in RELEASES if version in self._profiles]
        what = f"{counted(len(names), 'recording')}{' under profile ' if under else ''}{', '.join(under)}: "
        steps = f"; books of {self._steps_with_books:,} of {counted(self._steps, 'step')} match" if self._books else ""
        self._screen.write([Line((Span(what), Span(", ".join(shown), tone), Span(steps)))])
        self._screen.flush()
        return max(status for status in (MATCHES, DIFFERS, UNUSABLE) if counts[status] or status == MATCHES)

    def _one(self, name: str) -> int:
        try:
            recording = ptl.load_any(name)
            profile = self._profile or profile_of(recording)
            text, difference = self._compared(recording, profile)
        except BadScenario as error:
            _report_unusable(self._errors, name, error)
            return UNUSABLE
        self._profiles.add(profile)
        if difference is None and self._quiet:
            return MATCHES
        tone = Tone.GOOD if difference is None else Tone.BAD
        self._screen.write([Line((Span(f"{visible(Path(name).name)}: "), Span(text, tone)))])
        if difference is None:
            return MATCHES
        self._screen.write(difference_tables(difference) if self._verbose else [_summary(difference)])
        self._screen.flush()
        return DIFFERS

    def _compared(self, recording: Recording | ptl.PtlRecording, profile: str) -> tuple[str, Difference | None]:
        """How far a recording matches, and the first difference. A trace of locks is one of its last operation.

        Raises:
            BadScenario: there is nothing to compare with.
        """
        if isinstance(recording, ptl.PtlRecording):
            found = ptl.first_difference(recording, ptl.trace(recording.scenario, profile))
            if found is None:
                return f"{counted(len(recording.ptl), 'PTL')} and their nesting match", None
            ops = recording.scenario["ops"]
            return f"{visible(found[0])} differs", Difference(len(ops) - 1, ops[-1], (DiffRow(*found),))
        if recording.steps is None:
            raise BadScenario("a scenario without recorded steps; `verify --emit` runs it")
        match = verify(recording, profile, self._books)
        self._steps += match.steps
        self._steps_with_books += match.books
        books = f", {match.books} with their books" if self._books else ""
        return f"{match.matched} of {counted(match.steps, 'step')} match{books}", match.difference


def _summary(difference: Difference) -> Line:
    row, *others = difference.rows
    more = f" and {counted(len(others), 'more difference')}" if others else ""
    return line(visible(f"{_place(difference)}: {row.what}: kernel {row.kernel}, model {row.model}{more}"), indent=2)


def _place(difference: Difference) -> str:
    if difference.op is None:
        return "initial state"
    return f"step {difference.step}, {operation_text(difference.op)}"


def difference_tables(difference: Difference) -> list[Block]:
    """A step that differs: kernel and model side by side, and the events that led to it."""
    rows = tuple(
        (Span(visible(row.what)), Span(visible(row.kernel)), Span(visible(row.model), Tone.BAD))
        for row in difference.rows[:ROWS]
    )
    left = len(difference.rows) - ROWS
    columns = (Column("what"), Column("kernel"), Column("model"))
    note = f"{counted(left, 'more difference')}" if left > 0 else ""
    blocks: list[Block] = [Grid(columns, rows, title=visible(_place(difference)), note=note)]
    if difference.rules:
        events = tuple((Span(visible(rule.text)), Span(rule.function)) for rule in difference.rules)
        title = "events in the model (ids are the model's own)"
        blocks.append(Grid((Column("event"), Column("function")), events, title=title))
    return blocks


def emit_files(
    names: Sequence[str],
    stream: TextIO,
    errors: Screen,
    profile: str = "",
    limits: Limits = STRICT,
    *,
    books: bool = False,
) -> int:
    """Write the model's own recording of each scenario, one JSON document per line; returns 2 if a file is unusable."""
    return max(bounded(name, partial(_emit, name, stream, errors, profile, books), limits, errors) for name in names)


def _emit(name: str, stream: TextIO, errors: Screen, profile: str, books: bool) -> int:
    from folioshell.recording.observe import emit

    try:
        recording = ptl.load_any(name)
        profile = profile or profile_of(recording)
        if isinstance(recording, ptl.PtlRecording):
            document = ptl.document(ptl.trace(recording.scenario, profile))
        else:
            document = emit(recording.scenario, profile, books)
    except BadScenario as error:
        _report_unusable(errors, name, error)
        return UNUSABLE
    stream.write(json_line(document))
    stream.flush()
    return MATCHES


def convert_file(name: str, stream: TextIO, errors: Screen, language: Language) -> int:
    """Write a scenario as a script, or a script as scenarios, one a line; returns 2 if that is impossible."""
    try:
        data, is_json = _read(name)
        text = (
            _script(_loaded(name, data))
            if is_json
            else "".join(map(json_line, _scenarios(name, data, language, errors)))
        )
    except OSError as error:
        _report_unusable(errors, name, BadScenario(f"cannot be read: {reason_of(error)}"))
        return UNUSABLE
    except (BadScenario, ValueError) as error:
        _report_unusable(errors, name, error)
        return UNUSABLE
    except Refused as error:
        errors.refusal(error)
        return UNUSABLE
    stream.write(text)
    return MATCHES


def _of_scripts(
    names: Sequence[str], errors: Screen, language: Language, act: Callable[[str, list[dict[str, Any]]], None]
) -> int:
    """Do something with the scenarios of each file; returns 2 if that is impossible for one."""
    status = MATCHES
    for name in names:
        try:
            data, is_json = _read(name)
            act(name, [_loaded(name, data).scenario] if is_json else _scenarios(name, data, language, errors))
            continue
        except BrokenPipeError:
            raise
        except OSError as error:
            _report_unusable(errors, error.filename or name, BadScenario(f"cannot be used: {reason_of(error)}"))
        except (BadScenario, CannotRecord, ValueError) as error:
            _report_unusable(errors, name, error)
        except Refused as error:
            errors.refusal(error)
        status = UNUSABLE
    return status


def record_files(
    names: Sequence[str], target: str, screen: Screen, errors: Screen, language: Language, options: RecorderOptions
) -> int:
    """Record scripts or scenarios on the kernel that runs here; returns 2 if one cannot be.

    Args:
        target: the file of the recording, or a folder for NAME.json.gz of each. Further branches of a script have a
            number after the name.
    """
    is_folder = Path(target).is_dir()
    if len(names) > 1 and not is_folder:
        raise Refused(f"-o {target} is no folder", hint="the recordings of several files go to a folder")
    check_distinct(names, [Path(name).name.split(".")[0] for name in names])

    def recorded(name: str, scenarios: list[dict[str, Any]]) -> None:
        path = f"{target}/{Path(name).name.split('.')[0]}.json.gz" if is_folder else target
        for number, scenario in enumerate(scenarios, 1):
            own = path if number == 1 else _numbered(path, number)
            recording = record(scenario, options)
            write_recording(recording, own)
            _report_recorded(screen, own, recording)

    return _of_scripts(names, errors, language, recorded)


def check_distinct(names: Sequence[str], stems: Sequence[str]) -> None:
    """Raise ``Refused`` if a recording would overwrite another; ``stems`` are what they are named after."""
    for number, stem in enumerate(stems):
        if (first := stems.index(stem)) < number:
            raise Refused(f"the recordings of {names[first]} and {names[number]} would be one file, {stem}.json.gz")


def _numbered(path: str, number: int) -> str:
    """The file of another branch of a script: ``s-2.json.gz`` for ``s.json.gz``."""
    stem, dot, ending = Path(path).name.partition(".")
    return str(Path(path).with_name(f"{stem}-{number}{dot}{ending}"))


def show_plans(
    names: Sequence[str], screen: Screen, errors: Screen, language: Language, options: RecorderOptions, *, verbose: bool
) -> int:
    """Say what recording scripts would change on this machine, and what can run; returns 2 if one cannot.

    Args:
        verbose: list the operations, too.
    """

    def planned(name: str, scenarios: list[dict[str, Any]]) -> None:
        for scenario in scenarios:
            found, steps = plan(scenario, options), counted(len(scenario["ops"]), "step")
            heading = f"{name}: {'none of ' if found.obstacles else ''}{steps} can run"
            texts = [*found.sentences(), *(operation_text(op) for op in scenario["ops"] if verbose)]
            screen.write([line(visible(heading)), *(line(visible(text), indent=2) for text in texts)])
        screen.flush()

    return _of_scripts(names, errors, language, planned)


def _report_recorded(screen: Screen, path: str, recording: dict[str, Any]) -> None:
    words = [counted(len(recording["steps"]), "step")]
    if unstable := len(recording["soft"]["unstable"]):
        words.append(f"{counted(unstable, 'value')} left out: the runs differ in {'it' if unstable == 1 else 'them'}")
    if recording.get("partial"):
        words.append("without folios, as page frame numbers cannot be seen")
    screen.write([Line((Span(f"{visible(path)}: "), Span(", ".join(words), Tone.GOOD)))])
    screen.flush()


def _read(name: str) -> tuple[bytes, bool]:
    """What a file has, and whether that is JSON rather than a script."""
    data = Path(path_of(name)).read_bytes() if name != "-" else script.read_text(name).encode()
    return data, name.endswith((".json", ".json.gz")) or data.lstrip()[:1] == b"{" or data[:2] == b"\x1f\x8b"


def _loaded(name: str, data: bytes) -> Recording | ptl.PtlRecording:
    return ptl.load_any(name) if name != "-" else parse(data)


def _script(recording: Recording | ptl.PtlRecording) -> str:
    from folioshell.recording.to_script import script_of

    return script_of(recording.scenario)


def _scenarios(name: str, data: bytes, language: Language, errors: Screen) -> list[dict[str, Any]]:
    """The scenarios of a script, one for each branch of its history; what is left out of them is reported."""
    from folioshell.recording.answers import Branches
    from folioshell.recording.to_scenario import ScenarioWriter

    branches, prose = Branches(), []
    places: dict[int, script.ScriptLine] = {}
    for one in script.parse(script.decoded(data, name), name, language):
        if one.prose is not None:
            prose.append(one.prose)
        for statement in (command for typed in one.statements for command in typed.expanded()):
            assert isinstance(statement, ParsedStatement)
            places[id(statement)] = one
            with located(name, one):
                branches.add(statement)
    scenarios: list[dict[str, Any]] = []
    cuts: list[Refused] = []
    for branch in branches.all():
        writer = ScenarioWriter()
        for statement in branch:
            with located(name, places[id(statement)]):
                was_cut = writer.cut
                writer.add(statement)
                if writer.cut is not None and was_cut is None:
                    cuts.append(script.located(writer.cut, name, places[id(statement)].written))
        scenario = {"name": Path(name).stem, "doc": "\n".join(prose), "setup": writer.setup(), "ops": writer.ops}
        if writer.ops and not any(_begins_with(one, scenario) for one in scenarios):
            scenarios = [one for one in scenarios if not _begins_with(scenario, one)]
            scenarios.append(check_scenario(scenario))
    if cuts and not scenarios:
        raise cuts[0]
    for place, message in dict.fromkeys((cut.line, cut.message) for cut in cuts):
        errors.write([line(visible(f"{name}:{place}: {message}; what depends on it is left out"))])
    return scenarios or [check_scenario({"name": Path(name).stem, "doc": "\n".join(prose), "setup": {}, "ops": []})]


def _begins_with(scenario: dict[str, Any], other: dict[str, Any]) -> bool:
    """Does a scenario do all that another does?"""
    return bool(scenario["setup"] == other["setup"] and scenario["ops"][: len(other["ops"])] == other["ops"])


@contextmanager
def located(name: str, one: script.ScriptLine) -> Iterator[None]:
    """Give a refusal its place in the script."""
    try:
        yield
    except Refused as error:
        raise script.located(error, name, one.written) from None


def json_line(document: dict[str, Any]) -> str:
    """A document as one line of JSON, its newline included."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def _report_unusable(errors: Screen, name: str, error: Exception) -> None:
    errors.write([Line((Span(f"{visible(name)}: "), Span(visible(str(error)), Tone.BAD)))])
    errors.flush()
