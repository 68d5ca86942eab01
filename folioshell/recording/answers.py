"""A script as a real kernel runs it, and how its recording compares: the steps, and what ``expect``s ask.

Rules:
- A question is translated while the model is in its state: places into regions and pages, a folio into a page that is
  mapped to it. So the kernel is asked about the folio at the same place.
- A scheme is asked only if its number is a count of page tables, as the observation has them: not one with a history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from folioshell.commands import Session
from folioshell.commands.call import Call
from folioshell.commands.compare import Comparison, Value, text_of
from folioshell.commands.expect import comparison_of
from folioshell.commands.grammar import MODEL
from folioshell.commands.parse import ParsedStatement
from folioshell.commands.places import FolioRef, PlaceRef
from folioshell.commands.questions import COUNTS, MAPCOUNT, MAPPED, PAGE_MAPCOUNT, PARTIAL, SHARED
from folioshell.commands.schemes import TRUTH
from folioshell.live.format import Recording, check_scenario
from folioshell.model.release import DEFAULT
from folioshell.model.truth import mappings
from folioshell.recording.to_scenario import ScenarioWriter
from folioshell.recording.verify import Difference, compared_steps, expand, orders, result_text
from folioshell.records import NamedTuple
from folioshell.session.history import Entry, is_failure
from folioshell.session.host import Host

#: scheme -> what its mapcount of a folio counts
_COUNTED = {**dict.fromkeys((TRUTH, "per-page", "likely", "mm-id"), "entries"), "vmas": "vmas", "tuples": "tuples"}
_NOT_MAPPED = "not mapped"

#: a virtual page -> (region, page)
Locate = Callable[[int], tuple[str, int] | None]


class AskedPage(NamedTuple):
    """A page of a process that a question is about."""

    process: str
    region: str
    page: int


class KernelQuestion(NamedTuple):
    """A question that a recorded step can answer.

    Args:
        name: the question.
        word: the scheme, the count or the process that it names.
        pages: the pages that it is about; for a folio, one that it is mapped at.
        by_page: it is about a page, not about its folio.
    """

    name: str
    word: str
    pages: tuple[AskedPage, ...]
    by_page: bool


def kernel_question(call: Call, locate: Locate) -> KernelQuestion | None:
    """The question of an ``expect``, for a kernel; None if no observation answers it.

    Raises:
        Refused: what it is about does not exist in the model.
    """
    name = call.word("lead")
    judge = call.word("SCHEME", TRUTH)
    if name == "vmas":
        return KernelQuestion(name, call.process_named("PROCESS").name, (), False)
    asked = {"present?": ("PLACE",), "same": ("PLACE", "OTHER"), "order": ("WHAT",), "truth": ("WHAT",)}
    if name in (SHARED, MAPPED, PARTIAL, PAGE_MAPCOUNT) and judge == TRUTH:
        asked[name] = ("PLACE" if name == PAGE_MAPCOUNT else "WHAT",)
    elif name == MAPCOUNT and judge in _COUNTED:
        asked[name] = ("WHAT",)
    if name not in asked:
        return None
    pages = [_page(call, argument, locate) for argument in asked[name]]
    by_page = isinstance(call.arguments.get(asked[name][0], object), PlaceRef)
    word = call.word("COUNT") if name == "truth" else judge
    return None if None in pages else KernelQuestion(name, word, tuple(page for page in pages if page), by_page)


def _page(call: Call, argument: str, locate: Locate) -> AskedPage | None:
    ref = call.arguments.get(argument, object)
    if isinstance(ref, PlaceRef):
        mm, vpn = call.page(ref)
    else:
        assert isinstance(ref, FolioRef)
        folio = call.kernel.folios.get(call.folio_number(ref))
        mapped = mappings(call.kernel, folio) if folio is not None else []
        if not mapped:
            return None
        mm, vpn = mapped[0].mm, mapped[0].vpn
    found = locate(vpn)
    return AskedPage(mm.name, *found) if found is not None else None


class KernelState:
    """What a kernel's processes map after a step.

    Args:
        step: of a recording.
        regions: those of the recording.
        partial: the recording has no folios.
    """

    def __init__(self, step: Mapping[str, Any], regions: Mapping[str, Mapping[str, int]], *, partial: bool) -> None:
        self._step = step
        self._regions = regions
        self._partial = partial
        self._orders = orders(step["folios"])
        self._mapcounts = {row["id"] + number: row["mapcounts"] for row in step["folios"] for number in range(row["n"])}
        self._pages = {
            (process, region): expand(runs, self._orders)
            for process, one in step["procs"].items()
            for region, runs in one["pages"].items()
        }

    def answer(self, question: KernelQuestion) -> Value | None:
        """The answer of the kernel; None if it does not show it to this user."""
        if question.name == "vmas":
            process = self._step["procs"].get(question.word)
            return len(process["vmas"]) if process is not None else _NOT_MAPPED
        found = [self._pages.get((page.process, page.region), {}).get(page.page) for page in question.pages]
        if question.name == "present?":
            return _yes(found[0] is not None and "p" in found[0][0])
        if self._partial:
            return None
        folios = [row[1] if row is not None and isinstance(row[1], int) else None for row in found]
        if folios[0] is None or found[0] is None:
            return 0 if question.name in (PAGE_MAPCOUNT, MAPCOUNT) and question.by_page else _NOT_MAPPED
        if question.name == "same":
            return _yes(found[1] is not None and found[0][1:3] == found[1][1:3])
        if question.name == PAGE_MAPCOUNT or (question.word == "per-page" and question.by_page):
            return int(found[0][3])
        return self._about_folio(question, folios[0])

    def _about_folio(self, question: KernelQuestion, folio: int) -> Value:
        order = self._orders[folio]
        if question.name == "order":
            return order
        counts = self._counts(folio)
        if question.name == "truth":
            return counts[question.word]
        if question.name == MAPCOUNT:
            return counts[_COUNTED[question.word]]
        if question.name == SHARED:
            return _yes(counts["mms"] > 1)
        return _yes(0 < counts["pages"] < 1 << order if question.name == PARTIAL else counts["pages"] > 0)

    def _counts(self, folio: int) -> dict[str, int]:
        """What the page tables count of a folio, by the words of the question ``truth``."""
        entries, vmas = set(), set()
        for (process, region), pages in self._pages.items():
            for page, row in pages.items():
                if row[1] == folio:
                    vpn = self._regions[region]["vpn"] + page
                    # A PMD is one entry for all pages.
                    entries.add((process, vpn >> 9, None if "h" in row[0] else vpn))
                    vmas.add((process, self._vma(process, vpn), vpn >> 9))
        counts = {
            "mms": len({process for process, _, _ in vmas}),
            "vmas": len({(process, vma) for process, vma, _ in vmas}),
            "tuples": len(vmas),
            "entries": len(entries),
            "pages": sum(nr for count, nr in self._mapcounts[folio] if count),
        }
        assert counts.keys() == COUNTS.keys()
        return counts

    def _vma(self, process: str, vpn: int) -> int:
        """The position of the VMA of a page among those of its process."""
        for position, vma in enumerate(self._step["procs"][process]["vmas"]):
            if 0 <= vpn - self._regions[vma["region"]]["vpn"] - vma["page"] < vma["count"]:
                return position
        return -1


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


# Scripts.

#: session commands that go elsewhere in the history
_MOVES = ("undo", "redo", "goto", "branch", "reset")


class Branches:
    """The branches of a script, each as a script that begins from the start: no process can undo a system call.

    A branch repeats the commands that it shares with an earlier one, but not their queries and expects.

    Args:
        profile: the release that the script runs under; empty for the default one.
    """

    def __init__(self, profile: str = "") -> None:
        self._session = Session(counting=(), host=Host(profile=profile))
        self._current: list[ParsedStatement] = []
        self._finished: list[list[ParsedStatement]] = []
        #: the state after a step -> the commands that lead there
        self._ways: dict[Entry | None, list[ParsedStatement]] = {None: []}
        #: has the current branch a statement that no other has?
        self._is_new = False

    def add(self, statement: ParsedStatement) -> None:
        """Run a statement, and add it to the current branch.

        Raises:
            Refused: it cannot be run.
        """
        verb = statement.command.verb
        if verb in _MOVES:
            self._session.run(statement)
            if self._is_new:
                self._finished.append(self._current)
            if verb == "reset":
                self._ways = {None: []}
            self._current, self._is_new = [*self._ways[self._tip()]], False
            return
        self._current.append(statement)
        self._is_new = True
        if statement.kind == MODEL or verb in ("as", "mark"):
            way = self._ways[self._tip()]
            self._session.run(statement)
            self._ways[self._tip()] = [*way, statement]

    def _tip(self) -> Entry | None:
        history = self._session.history
        return history.entries.at(history.position)

    def all(self) -> list[list[ParsedStatement]]:
        """The branches, in the order in which they end."""
        return [*self._finished, self._current] if self._is_new or not self._finished else self._finished


class LiveExpect(NamedTuple):
    """An assertion of a script that is made of a kernel, too.

    Args:
        line: its line in the script, from 1.
        text: the assertion.
        step: number of the operation that it follows.
        question: what the kernel is asked; None: how the operation ended.
        comparison: what the answer must be; for an operation, the errno or signal.
    """

    line: int
    text: str
    step: int
    question: KernelQuestion | None
    comparison: Comparison


class LiveScript:
    """A script as a real kernel runs it, statement after statement.

    Args:
        profile: the release that it runs under.

    Attributes:
        writer: its scenario.
        commands: the command that each operation comes from.
        expects: the assertions that an observation answers.
        unasked: the number of others.
    """

    def __init__(self, profile: str) -> None:
        self.writer = ScenarioWriter(profile)
        self.commands: list[str] = []
        self.expects: list[LiveExpect] = []
        self.unasked = 0

    def scenario(self, name: str) -> dict[str, Any]:
        """The scenario, checked.

        Raises:
            BadScenario: the recorder cannot run it.
        """
        return check_scenario({"name": name, "doc": "", "setup": self.writer.setup(), "ops": self.writer.ops})

    def add(self, statement: ParsedStatement, line: int) -> None:
        """Add a statement of a line.

        Raises:
            Refused: it cannot be run, or no real kernel can run it.
        """
        session, nr = self.writer.session, len(self.writer.ops)
        self.writer.add(statement)
        last = len(self.writer.ops) - 1
        self.commands += [statement.text] * (last + 1 - nr)
        if statement.command.verb == "expect":
            call = Call(statement, session.workspace, statement.process or session.process, session)
            if statement.profiles and call.kernel.release.version not in statement.profiles:
                return
            question = kernel_question(call, self.writer.place_of) if self.writer.cut is None else None
            if question is None or last < 0:
                self.unasked += 1
            else:
                text = statement.text.partition(" ")[2]
                self.expects.append(LiveExpect(line, text, last, question, comparison_of(call)))
        elif (expected := statement.expected_under(session.profile)) and last >= nr:
            comparison = Comparison("==", (expected,))
            self.expects.append(LiveExpect(line, statement.text, last, None, comparison))


def _answer_of(expect: LiveExpect, recording: Recording) -> tuple[bool, str] | None:
    """Does an assertion hold for a recorded kernel, and what does that say? None if its step does not show it."""
    assert recording.steps is not None
    step = recording.steps[expect.step]
    if "result" not in step:
        return None
    if expect.question is None:
        result = step["result"]
        return is_failure(result, expect.comparison.expected), result_text(result)
    value = KernelState(step, recording.regions, partial=recording.partial).answer(expect.question)
    return None if value is None else (expect.comparison.holds(value), text_of(value))


class LiveOutcome(NamedTuple):
    """What became of a script.

    Args:
        script: as a real kernel runs it.
        steps: its steps, compared.
        failed: assertions that do not hold for the kernel, and its answers.
        elsewhere: those that do not hold in this release: the model has the same answer.
        held: number of those that hold.
        partial: recorded without root.
    """

    script: LiveScript
    steps: list[Difference]
    failed: list[tuple[LiveExpect, str]]
    elsewhere: list[tuple[LiveExpect, str]]
    held: int
    partial: bool

    @property
    def differing(self) -> list[Difference]:
        """The steps that differ."""
        return [one for one in self.steps if one.rows]

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of steps and assertions, by what became of them."""
        nr, differ = len(self.script.commands), len(self.differing)
        # The model may have stopped, or already the initial state differs: what follows is not compared.
        unseen = sum(bool(one.unseen) for one in self.steps) + nr - sum(one.step >= 0 for one in self.steps)
        same = sum(one.step >= 0 and not one.rows and not one.unseen for one in self.steps)
        counts = {"steps": nr, "same": same, "differ": differ, "not_comparable": unseen}
        asked = self.held + len(self.failed) + len(self.elsewhere)
        return counts | {"expects": asked, "held": self.held, "not_in_release": len(self.elsewhere)}


def stable_recording(document: dict[str, Any]) -> Recording:
    """A recording that was just made; steps in which its runs differ are empty."""
    soft = document.get("soft", {})
    unstable = {path.split("/")[1] for path in soft.get("unstable", ()) if path.startswith("steps/")}
    steps = [{} if str(number) in unstable else step for number, step in enumerate(document["steps"])]
    shown = {key: document[key] for key in ("name", "scenario", "regions", "files")}
    return Recording(steps=steps, partial=document.get("partial") is True, **shown)


def compared(live: LiveScript, document: dict[str, Any], profile: str) -> LiveOutcome:
    """Compare a recording with the model, and make the assertions of its script of it."""
    recording = stable_recording(document)
    found = list(compared_steps(recording, profile))
    same = {one.step for one in found if not one.rows}
    outcome = LiveOutcome(live, found, [], [], 0, recording.partial)
    held = 0
    for expect in live.expects:
        answer = _answer_of(expect, recording)
        if answer is None:
            live.unasked += 1
        elif answer[0]:
            held += 1
        elif profile != DEFAULT.version and expect.step in same:
            # It was written for the default release.
            outcome.elsewhere.append((expect, answer[1]))
        else:
            outcome.failed.append((expect, answer[1]))
    return outcome._replace(held=held)
