"""A session: typed lines, the state that they lead to, and undo.

Rules:
- Undo replays the typed commands on a fresh workspace, or from a checkpoint on, so that no command needs to know how to
  take itself back.
- An interrupted replay leaves the old workspace in place; one from a checkpoint is done again by the next command.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar
from weakref import ref

from folioshell.engine.machine import Uncollected
from folioshell.errors import DeterminismError, KernelBug, OutOfTime, Refused, SelfDeadlock
from folioshell.report import Report, Text
from folioshell.session.checkpoints import Checkpoints
from folioshell.session.history import Entry, History, HistoryPoint
from folioshell.session.host import Host, raised_by
from folioshell.session.language import MODEL, NO_PROCESS_LEFT, OUTPUT, SESSION, Language, Statement, Watch, news
from folioshell.session.progress import Replaying, StepProgress
from folioshell.session.step_report import NoStep, Settings, self_deadlock, step_report, whole_state
from folioshell.session.workspace import LoadedProtocol, LoadedScheme, Workspace
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.session.language import Teacher
    from folioshell.session.progress import Spawned, Undertaking
    from folioshell.session.race import RaceVerdict


def _no_report() -> Report | None:
    """No report is left to complete."""
    return None


class Session:
    """The public API: make one, execute lines, get reports that are plain data.

    Args:
        language: the grammar; the default one unless given.
        counting: names of the registered schemes that count from the start; None for all, as at the prompt. Others
            join when something first asks for them, with the numbers that they would have had.
        host: access to files, limits, clock and output; by default those of a prompt: free access, generous limits
            (``Host(limits=STRICT)`` for input that is not trusted), no clock.

    Attributes:
        default_language: the grammar that a session reads with by default.
        host: what it was given, changed while a script runs.
        settings: what reports show.
        watches: what is asked again after each step.
        workspace: the state; undo and its kin replace it, or give its objects their earlier contents.
        history: the steps typed.
        loaded_schemes, loaded_protocols: schemes and protocols loaded from files, by name.
        verdict: what the last race found, or the last command that deadlocked on its own.
        spawned: threads that are stepped by hand; None if none are under way.
        note: called with each line that leads here from a fresh session, once it is done; None by default.
        teacher: asks questions and sets tasks; None by default.
        finished: True once ``quit`` was executed.
        undertaking: what is being done, or was done last, and how far it is; for another thread to read.
        is_cut_off: a command was interrupted, and its undoing, too: the next command restores the state first.
    """

    default_language: ClassVar[Language | None] = None

    def __init__(
        self,
        language: Language | None = None,
        counting: Collection[str] | None = None,
        host: Host | None = None,
    ) -> None:
        language = language or self.default_language
        if language is None:
            raise RuntimeError("no command language: import folioshell.commands, or use folioshell.Session")
        self.language = language
        self.host = host or Host()
        self.settings = Settings()
        self.watches: list[Watch] = []
        self._counting = counting
        self.loaded_schemes: dict[str, LoadedScheme] = {}
        self.loaded_protocols: dict[str, LoadedProtocol] = {}
        self.workspace = self._fresh_workspace()
        self.history = History()
        self.verdict: RaceVerdict | None = None
        self.spawned: Spawned | None = None
        self.note: Callable[[str], None] | None = None
        self.teacher: Teacher | None = None
        self.finished = False
        self.undertaking: Undertaking | None = None
        self.is_cut_off = False
        self._checkpoints = Checkpoints()
        self._last_report: Callable[[], Report | None] = _no_report

    @property
    def prompt(self) -> str:
        """Current process and step: ``A 3>``; in a lesson its number before it, or ``?`` while it asks."""
        here = f"{self.process or '-'} {self.step}>"
        return here if self.teacher is None else self.teacher.asks or f"{self.teacher.name} {here}".lstrip()

    @property
    def step(self) -> int:
        """Number of steps that led to this state."""
        return self.history.position

    @property
    def process(self) -> str:
        """Name of the current process; empty when none is left."""
        return self.workspace.current

    @property
    def profile(self) -> str:
        """The kernel release that the model behaves like."""
        return self.workspace.kernel.release.version

    @property
    def shown_schemes(self) -> list[str]:
        """Names of the schemes that reports show."""
        machine = self.workspace.machine
        return self.settings.shown(machine.kernel, machine.schemes.kinds, self.loaded_schemes)

    def execute(self, line: str) -> list[Report]:
        """Run every command of a line; see ``stream``."""
        return [report for reports in self.stream(line) for report in reports]

    def stream(self, line: str) -> Iterator[Sequence[Report]]:
        """Run the commands of a line one by one, giving the reports of each as soon as it is done.

        The whole line is read before its first command runs. Commands before one that is refused stay done.

        Raises:
            Refused: columns refer to ``line``. Nothing was changed by the refused command.
            KernelBug: an invariant broke; the state before the command was restored.
            LoadedCodeError: a loaded scheme or protocol failed; the state before the command was restored.
            KeyboardInterrupt: passed on; the state before the command was restored.
        """
        if self.teacher is not None and (said := self.teacher.reply(line)) is not None:
            yield said
            return
        for statement in self.language.parse(line):
            for one in statement.expanded():
                yield self.run(one)

    def run(self, statement: Statement) -> Sequence[Report]:
        """Run one command; see ``stream``."""
        if statement.kind == OUTPUT:
            return statement.answer(self, self._process_of(statement))
        if self.teacher is not None:
            self.teacher.before(statement)
        target, self.host.output.once = self.host.output.once, None
        try:
            reports = self._run_noted(statement)
        except BaseException:
            self.host.output.once = target
            raise
        for report in reports:
            report.target = target
        return reports if self.teacher is None else [*reports, *self.teacher.after(statement)]

    def _run_noted(self, statement: Statement) -> Sequence[Report]:
        """Run one command that does not concern output, and pass it to ``note`` if it changed anything."""
        if self.note is None or statement.kind not in (MODEL, SESSION):
            return self._run(statement)
        note, self.note = self.note, None  # what the command runs in its turn comes back with it
        try:
            reports = self._run(statement)
        finally:
            self.note = note
        if statement.kind == SESSION:
            note(f"{_named(statement)}: {statement.text}" if statement.process else statement.text)
        elif reports[-1].step is not None:
            note(self.history.entries[self.step - 1].line)
        return reports

    def _complete_report(self) -> None:
        """Make the whole report of the last step if anyone still has it, before its state is left."""
        report, self._last_report = self._last_report(), _no_report
        if report is not None:
            report.complete()

    def _run(self, statement: Statement) -> Sequence[Report]:
        if self.is_cut_off:
            self.go_to(self.step)
        self._complete_report()
        self.undertaking = None
        self.workspace.limits = self.host.limits
        process = self._process_of(statement)
        if statement.kind != MODEL:
            reports = statement.answer(self, process)
            if reports and statement.kind == SESSION:
                reports[-1].watched += news(self)
                if self.settings.full:
                    reports[-1].state = whole_state(self.workspace, self.shown_schemes)
            return reports
        if self.spawned is not None:
            hint = f"`step` and `finish` resume {' and '.join(self.spawned.names)}; undo discards them"
            raise Refused("spawned threads have not finished", text=statement.text, hint=hint)
        with Uncollected():
            return [self._step(statement, process)]

    def _step(self, statement: Statement, process: str) -> Report:
        """Run one command that may be a step; what is none leaves the state as it was."""
        try:
            return self._run_step(statement, process)
        except Refused:
            raise
        except SelfDeadlock as hang:
            report = self_deadlock(statement.text, process, hang, self.workspace.machine.trace)
            self._restore()
            self.note_flaws([("deadlock", str(hang))])
            return report
        except NoStep as ended:
            self._restore()
            self.note_flaws(ended.flaws)
            return ended.report
        except (OutOfTime, MemoryError):
            # Restoring the state would take as long again, and may not be wanted any more.
            self.is_cut_off = True
            raise
        except BaseException:
            self._restore()
            raise

    def _process_of(self, statement: Statement) -> str:
        living = self.workspace.kernel.mms
        name = statement.process or self.process
        if name in living:
            if statement.thread and statement.thread not in self.workspace.threads.get(name, ()):
                hint = f"`{name}: thread {statement.thread}` creates it"
                known = [f"{name}.{thread}" for thread in self.workspace.threads.get(name, ())]
                raise statement.refused_thread(f"{name} has no thread {statement.thread}", known, hint)
            return name
        if statement.process:
            raise statement.refused_process("no such process", list(living))
        if statement.kind == MODEL:
            raise statement.refused_process("no process is left to run this", [], NO_PROCESS_LEFT)
        return name

    def _run_step(self, statement: Statement, process: str) -> Report:
        if self.host.limits.steps is not None and self.step >= self.host.limits.steps:
            message = f"the limit of {self.host.limits.steps:,} steps is reached"
            raise statement.refused_process(message, [], raised_by("steps"))
        if self.host.profile and statement.text.startswith("set profile "):
            message = f"this runs under profile {self.host.profile}"
            raise statement.refused_process(message, [], "leave out `set profile` where --profiles chooses")
        before = self.process
        self.undertaking = StepProgress(self.workspace, statement, process)
        shown = self.shown_schemes
        self.workspace.machine.note(shown)
        record = self.workspace.run(statement, process)
        if self.settings.check and (broken := self.workspace.machine.check()):
            raise KernelBug(f"after {statement.text}: {'; '.join(broken)}", list(record.events())[-20:])
        report = step_report(self.workspace, self.settings, shown, statement, record)
        self._last_report = ref(report)
        if self.workspace.machine.loaded:
            # What a loaded scheme raises ends this command, and none that reads the report later.
            report.complete()
        entry = Entry(before, _named(statement), statement.text, record.result, self.process, self.process)
        report.watched = news(self)
        gone = self.history.append(entry)
        self._checkpoints.step_done(self.workspace, entry)
        if gone:
            text = f"Undone steps were discarded, and with them mark{'s' * (len(gone) > 1)} {' and '.join(gone)}."
            report.sections += (Text((text,)),)
        return report

    def _restore(self) -> None:
        """Restore the state before an interrupted command; if that is interrupted too, the next command does it."""
        self.is_cut_off = True
        self.go_to(self.step)

    def note_flaws(self, flaws: Sequence[tuple[str, str]]) -> None:
        """A command ended in these (kind, text) on its own or by its schedule: `expect deadlocks` asks for them."""
        if flaws:
            # Imported here: few sessions race.
            from folioshell.session.race import verdict_of_one

            self.verdict = verdict_of_one(flaws)

    def _fresh_workspace(self) -> Workspace:
        return self.workspace_with(self._counting)

    def workspace_with(self, counting: Collection[str] | None) -> Workspace:
        """A workspace of its own at the start, with the schemes and protocols loaded.

        Args:
            counting: names of the registered schemes that count from the start; None for all.
        """
        schemes = {name: one.scheme for name, one in self.loaded_schemes.items()}
        protocols = {name: one.protocol for name, one in self.loaded_protocols.items()}
        workspace = Workspace(schemes, counting, protocols)
        if self.host.profile:
            workspace.machine.set_profile(self.host.profile)
        return workspace

    def load(self, schemes: Sequence[LoadedScheme], protocols: Sequence[LoadedProtocol] = ()) -> None:
        """Add schemes, from the first step on, and protocols, in place of those loaded from the same files before.

        Raises:
            Refused: a step ended in another way than before, because one of them decides; nothing was changed.
            LoadedCodeError: one of them failed; nothing was changed.
        """
        before, protocols_before = self.loaded_schemes, self.loaded_protocols
        files = {one.path for one in schemes} | {one.path for one in protocols}
        others = {name: one for name, one in before.items() if one.path not in files}
        self.loaded_schemes = others | {one.scheme.name: one for one in schemes}
        kept = {name: one for name, one in protocols_before.items() if one.path not in files}
        self.loaded_protocols = kept | {one.protocol.name: one for one in protocols}
        self._checkpoints.clear()
        try:
            self.go_to(self.step)
        except DeterminismError as error:
            self.loaded_schemes, self.loaded_protocols = before, protocols_before
            message = f"the history replays differently with it: {error}"
            raise Refused(message, hint="`reset`, or undo that step") from None
        except BaseException:
            self.loaded_schemes, self.loaded_protocols = before, protocols_before
            raise
        self.settings.add_schemes([name for name in self.loaded_schemes if name not in before])
        if self.note is not None:
            for path in sorted(files):
                self.note(self._load_line(path))

    def _load_line(self, path: str) -> str:
        """The command that loads a file again."""
        word = "protocol" if any(one.path == path for one in self.loaded_protocols.values()) else "scheme"
        return f'load {word} "{path}"'

    # Moving in the history.

    def replay(self, position: int, branch: str = "") -> Workspace:
        """A separate workspace in the state after step ``position`` of a branch, by default the current one.

        Raises:
            DeterminismError: a command did not end as it did when it was typed.
        """
        branch = branch or self.history.current
        workspace = self._checkpoints.start(self.history.branches[branch], position, self._fresh_workspace)
        for _ in self._replayed(workspace, position, branch):
            pass
        return workspace

    def keep(self, workspace: Workspace, point: HistoryPoint) -> None:
        """Keep what ``replay`` gave for a point: the next state that is wanted is often one soon after."""
        self._checkpoints.keep(workspace, self.history.branches[point.branch].at(point.position))

    def states(self, position: int, branch: str = "") -> Iterator[Workspace]:
        """A separate workspace in the state before the first step, then after each up to step ``position``.

        Args:
            branch: its name; by default the current one.

        Raises:
            DeterminismError: a command did not end as it did when it was typed.
        """
        workspace, self.undertaking = self._fresh_workspace(), Replaying.to(position)
        yield workspace
        yield from self._replayed(workspace, position, branch or self.history.current)

    def _replayed(self, workspace: Workspace, position: int, branch: str) -> Iterator[Workspace]:
        """The workspace after each of the steps that lead from its state up to step ``position`` of a branch."""
        self.undertaking = replaying = Replaying.to(position)
        for number, entry in enumerate(self.history.branches[branch][workspace.step : position], workspace.step + 1):
            workspace.machine.note(())  # nothing is reported of such a step
            (statement,) = self.language.parse(entry.text)
            try:
                record = workspace.run(statement, entry.named.partition(".")[0] or entry.process)
            except Refused as error:
                raise DeterminismError(f"replaying step {number}, {entry.text}: {error.message}") from error
            if record.result != entry.result:
                outcome = f"{record.result}, expected {entry.result}"
                raise DeterminismError(f"replaying step {number}, {entry.text}: {outcome}")
            workspace.current = entry.current
            replaying.done = number
            yield workspace

    def go_to(self, position: int, branch: str = "") -> None:
        """Go to the state after step ``position``, 0 being the initial one; later steps can be redone.

        Args:
            branch: the branch that is current from then on; by default the current one.
        Raises:
            Refused: there is no such step.
        """
        branch = branch or self.history.current
        last = len(self.history.branches[branch])
        if not 0 <= position <= last:
            raise Refused(f"there is no step {position}", hint=f"steps are 0 to {last}")
        self._complete_report()
        checkpoint = self._checkpoints.before(self.history.branches[branch], position)
        if checkpoint is None:
            self.workspace = self.replay(position, branch)
        else:
            self.is_cut_off = True
            self.workspace = checkpoint.restore()
            for _ in self._replayed(self.workspace, position, branch):
                pass
        self.spawned = None
        self.history.current, self.history.position = branch, position
        self.is_cut_off = False

    def undo(self, steps: int = 1) -> None:
        """Go back ``steps`` steps.

        Raises:
            Refused: there are not so many.
        """
        if steps > self.step:
            most = f"only {counted(self.step, 'step')} can be undone"
            raise Refused(most if self.step else "there is nothing to undo")
        self.go_to(self.step - steps)

    def redo(self, steps: int = 1) -> None:
        """Do again what was undone.

        Raises:
            Refused: there is not so much.
        """
        undone = len(self.history.entries) - self.step
        if steps > undone:
            most = f"only {counted(undone, 'step')} can be redone"
            raise Refused(most if undone else "there is nothing to redo")
        self.go_to(self.step + steps)

    def reset(self) -> None:
        """Start over: a fresh machine, an empty history, default settings; what was loaded stays."""
        self.workspace, self.history = self._fresh_workspace(), History()
        self.settings, self.watches = Settings(full=self.settings.full), []
        self.verdict = self.spawned = self.teacher = None
        self.is_cut_off = False
        self._checkpoints.clear()
        if self.note is not None:
            self.note("reset")

    def script(self) -> list[str]:
        """The lines that lead to the present state, and to what is shown, from a fresh session."""
        paths = [one.path for one in self.loaded_schemes.values()]
        paths += [one.path for one in self.loaded_protocols.values()]
        loaded = [self._load_line(path) for path in dict.fromkeys(paths)]
        shown = self.settings.script(self.workspace.kernel, list(self.workspace.machine.schemes))
        questions = [watch.question for watch in self.watches]
        watches = [f"watch {question.text}" for question in questions if question.can_be_set(self)]
        return loaded + shown + self.history.script() + watches


def _named(statement: Statement) -> str:
    """The process, or thread of a process, that was named before a command, or empty."""
    return f"{statement.process}.{statement.thread}" if statement.thread else statement.process
