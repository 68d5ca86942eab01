"""One history under several kernels: step by step where they part, and the difference between them that makes it so.

The steps are done again under each release on a workspace of its own. Where two releases part, each named difference
between them that a path asked for is flipped on its own, and the steps up to there are done again: the rule is the
difference without which they would not have parted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from folioshell.errors import FolioshellError, Refused, SelfDeadlock
from folioshell.intervals import Intervals, together, union
from folioshell.model import proc
from folioshell.model.release import DIFFERENCES, RELEASES, Release, ReleaseDifference, differences_between
from folioshell.model.vm import Mm
from folioshell.records import NamedTuple
from folioshell.report import LockRow, Section, Table, Text
from folioshell.session.entries import joined_where, vma_maps
from folioshell.session.history import Entry, failure_of
from folioshell.session.progress import Replaying
from folioshell.session.session import Session
from folioshell.session.step_events import lock_rows
from folioshell.session.step_report import NoStep
from folioshell.session.workspace import Workspace, labels_of
from folioshell.units import format_address
from folioshell.wording import counted

#: what is compared, in the order in which it is shown; the ids of folios and physical pages are not
RESULT, VMAS, ORDERS, PAGES, NUMBERS, SMAPS, PAGEMAP, LOCKS = (
    *("result", "VMAs", "orders", "pages", "numbers", "smaps", "pagemap", "locks"),
)
_SHOWN = (RESULT, VMAS, ORDERS, PAGES, NUMBERS, SMAPS, PAGEMAP, LOCKS)
#: what a step does; the others are a state, of which only what changed is new
_OF_STEP = (RESULT, PAGES, LOCKS)
_IDS, _PFNS = "ids", "pfns"
#: pieces of an observable that are shown of each group
_PIECES = 2
#: VmFlags that the permissions show
_IN_PERM = {"rd", "wr", "sh", "mr", "mw", "me", "ms"}

#: (observable, process) -> virtual page -> what is there
View = Mapping[tuple[str, str], Intervals[Any]]


class Parting(NamedTuple):
    """Virtual pages at which releases part.

    Args:
        key: the observable, and the process.
        first, nr: virtual pages; what belongs to none is at page 0.
        parts: for each release the first one that has the same there.
    """

    key: tuple[str, str]
    first: int
    nr: int
    parts: tuple[int, ...]


class _AskedRelease:
    """A release that notes in which step each of its differences was asked for last."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.step = 0
        self.asked: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        self.asked[name] = self.step
        return getattr(self.release, name)


class Lineage:
    """The steps of a session under one release, done again as far as they are asked for.

    Attributes:
        release: the kernel, with what was asked of it.
        workspace: the state.
        done: number of steps done.
        outcome: how the last one ended.
        locks: the page-table locks that it took.
    """

    def __init__(self, session: Session, steps: Sequence[Entry], release: Release) -> None:
        self.release = _AskedRelease(release)
        self.workspace = session.workspace_with(session.shown_schemes)
        self.workspace.adapts_schedules = True
        self.done = 0
        self.outcome = ""
        self.locks: Sequence[LockRow] = ()
        self._session = session
        self._steps = steps
        self._ended = ""
        self._follow()

    def _follow(self) -> None:
        self.workspace.machine.follow(cast("Release", self.release))

    def view(self, step: int) -> View:
        """What can be observed after a step, which is not before the last one that was asked for."""
        while self.done < step - 1:
            self._next()
        before = {mm.name: _pfns(self.workspace, mm) for mm in self.workspace.kernel.mms.values()}
        while self.done < step:
            self._next()
        return _observed(self, self._session.shown_schemes, before)

    def _next(self) -> None:
        entry = self._steps[self.done]
        self.done += 1
        self.release.step = self.done
        self.locks = ()
        if self._ended or entry.text.startswith("set profile "):
            self.outcome = self._ended or "ok"
            return
        workspace = self.workspace
        workspace.machine.note(())
        (statement,) = self._session.language.parse(entry.text)
        try:
            record = workspace.run(statement, entry.named.partition(".")[0] or entry.process)
        except Refused as error:
            # Releases that refuse it alike go together.
            self.outcome = f"refused: {error.message}".replace(f"Linux {self.release.release.version} lacks", "lacks")
        except (SelfDeadlock, NoStep):
            # What such a command leaves is no state.
            self.outcome = self._ended = f"deadlock in step {self.done}: the rest was not done"
        else:
            self.outcome = failure_of(record.result) or "ok"
            self.locks = lock_rows(record.trace)
            if entry.current in workspace.kernel.mms:
                workspace.current = entry.current


def _pfns(workspace: Workspace, mm: Mm) -> Intervals[int]:
    """Virtual page -> distance of its physical page, of the present pages."""
    found: Intervals[int] = Intervals()
    for vma in mm.vmas:
        for run in proc.present_runs(workspace.kernel, vma):
            found.put(run.vpn, run.nr, run.pfn - run.vpn if run.folio is not None else -run.vpn)
    return found


def _observed(lineage: Lineage, shown: Sequence[str], before: Mapping[str, Intervals[int]]) -> View:
    """What can be observed after the last step; ``before`` has the physical pages before it, by process."""
    workspace = lineage.workspace
    kernel = workspace.kernel
    view: dict[tuple[str, str], Intervals[Any]] = {}

    def put(what: str, mm: str, first: int, nr: int, value: Any) -> None:
        view.setdefault((what, mm), Intervals()).put(first, nr, value)

    put(RESULT, "", 0, 1, lineage.outcome)
    put(LOCKS, "", 0, 1, tuple((row.function, row.depth, row.times) for row in lineage.locks))
    rows = workspace.machine.numbers(shown)
    for mm in kernel.mms.values():
        for vma in mm.vmas:
            words = [word for word in vma.flag_words.split() if word not in _IN_PERM]
            label = labels_of(workspace.regions.values(), vma.start, vma.end) or format_address(vma.start)
            put(VMAS, mm.name, vma.start, vma.nr_pages, (label, vma.perm, vma_maps(vma), *words))
            runs = [*proc.present_runs(kernel, vma)]
            figures = proc.smaps(kernel, vma, runs)
            put(SMAPS, mm.name, vma.start, vma.nr_pages, tuple(figures.items()))
            for run in (*runs, *proc.other_runs(kernel, vma)):
                put(PAGEMAP, mm.name, run.vpn, run.nr, proc.pagemap_bits(kernel, run))
                if run.folio is None:
                    put(ORDERS, mm.name, run.vpn, run.nr, run.other or "zero page")
                    continue
                number, order = run.number, run.folio.order
                put(ORDERS, mm.name, run.vpn, run.nr, f"order {order}{', by PMD' if run.pmd else ''}")
                for first, nr, row in [(number, run.nr, rows.row(number))] if order else rows.pieces(number, run.nr):
                    put(NUMBERS, mm.name, run.vpn + first - number, nr, tuple(zip(shown, row, strict=True)))
                put(_IDS, mm.name, run.vpn, run.nr, (order, number if order else number - run.vpn))
        now = _pfns(workspace, mm)
        for first, nr, old in before.get(mm.name, Intervals()).runs():
            for start, length, new in now.pieces(first, nr):
                if new is not None:
                    put(PAGES, mm.name, start, length, "same page" if new == old else "another page")
    return view


def parts_of(values: Sequence[Any]) -> tuple[int, ...]:
    """For each value the place of the first equal one."""
    return tuple(values.index(value) for value in values)


_NOTHING: Intervals[Any] = Intervals()


def _parted(views: Sequence[View], keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Intervals[Any]]:
    """Where views differ, with the parts that they fall into."""
    found: dict[tuple[str, str], Intervals[Any]] = {}
    for key in keys:
        rows = [view.get(key, _NOTHING) for view in views]
        for first, nr, _ in union(*rows).runs():
            for start, length, values in together(*(row.pieces(first, nr) for row in rows)):
                parts = parts_of(values)
                # A page that was not mapped before in one of them is neither copied nor kept there.
                if any(parts) and not (key[0] == PAGES and None in values):
                    found.setdefault(key, Intervals()).put(start, length, parts)
    return found


class ProfileComparison:
    """Where the history of a session parts under several releases.

    Args:
        session: the history up to the present state is compared.
        versions: the profiles, oldest first.

    Attributes:
        parted: numbers of the steps in which they part.
    """

    def __init__(self, session: Session, versions: Sequence[str]) -> None:
        self.versions = list(versions)
        self.parted: list[int] = []
        self._session = session
        self._steps = session.history.in_force
        self._lineages = [Lineage(session, self._steps, RELEASES[version]) for version in versions]
        self._flipped: dict[tuple[str, str, frozenset[str]], Lineage] = {}
        self._known: dict[str, None] = {}
        self._other_ids: dict[str, int] = {}

    def sections(self) -> Iterator[Section]:
        """A table for each step in which they part; at the end from where on folios have other ids."""
        before: dict[tuple[str, str], Intervals[Any]] = {}
        self._session.undertaking = replaying = Replaying("replaying under each profile", len(self._steps))
        for step, entry in enumerate(self._steps, 1):
            views = [lineage.view(step) for lineage in self._lineages]
            keys = dict.fromkeys(key for view in views for key in view if key[0] in _SHOWN)
            now = _parted(views, sorted(keys, key=lambda key: _SHOWN.index(key[0])))
            places = list(_new_places(now, before))
            if places:
                self.parted.append(step)
                yield self._table(step, entry, views, places)
            self._note_ids(step, views)
            before, replaying.done = now, step
        if self._other_ids:
            since = [
                f"from step {step} on under {_listed([one for one, at in self._other_ids.items() if at == step])}"
                for step in dict.fromkeys(self._other_ids.values())
            ]
            yield Text((f"Some folios have other ids than under {self.versions[0]}: {'; '.join(since)}.",))

    def _note_ids(self, step: int, views: Sequence[View]) -> None:
        """Note under which releases a folio has another id than under the first, at the same place and order."""
        keys = [key for key in views[0] if key[0] == _IDS]
        for number, version in enumerate(self.versions[1:], 1):
            if version not in self._other_ids and any(
                None not in values and values[0][0] == values[1][0] and values[0] != values[1]
                for key in keys
                for first, nr, _ in views[0][key].runs()
                for _, _, values in together(
                    *(view.get(key, _NOTHING).pieces(first, nr) for view in (views[0], views[number]))
                )
            ):
                self._other_ids[version] = step

    def _table(self, step: int, entry: Entry, views: Sequence[View], places: Sequence[Parting]) -> Table:
        parts = parts_of(list(zip(*(place.parts for place in places), strict=True)))
        groups = sorted(set(parts))
        rows: list[tuple[str, str, str]] = []
        for group in groups:
            label = ", ".join(version for version, part in zip(self.versions, parts, strict=True) if part == group)
            for what, text in self._texts(group, views, places):
                rows.append((label, what, text))
                label = ""
        rules = [rule for group in groups[1:] for rule in self._rules(step, group, views, places)]
        who = entry.named or entry.process
        # The schedule of a race may have hundreds of steps, and is not what the others follow to the letter.
        title = f"step {step}, {who}: {entry.text.partition(' schedule=')[0]}"
        return Table(title, ("profiles", "what", "there"), tuple(rows), "\n".join(dict.fromkeys(rules)))

    def _texts(self, group: int, views: Sequence[View], places: Sequence[Parting]) -> Iterator[tuple[str, str]]:
        """(observable, what a release has) of the places in which it parts from another."""
        regions = self._lineages[group].workspace.regions.values()
        for what in _SHOWN:
            found = [
                (place.key[1], first, first + nr, _value_text(what, values, group))
                for place in places
                if place.key[0] == what
                for first, nr, values in together(
                    *(view.get(place.key, _NOTHING).pieces(place.first, place.nr) for view in views)
                )
            ]
            texts: list[str] = []
            for process, first, end, text in joined_where(found, _goes_on, _joined):
                label = "" if what == VMAS else labels_of(regions, first, end) or format_address(first)
                texts.append(f"{process}:{label} {text}" if process else text)
            if texts:
                more = f" … ({len(texts) - _PIECES} more)" if len(texts) > _PIECES else ""
                yield what, "\n".join(texts[:_PIECES]) + more

    # Rules.

    def _rules(self, step: int, group: int, views: Sequence[View], places: Sequence[Parting]) -> list[str]:
        """What makes a group part from the release before its first one."""
        pair = group - 1, group
        left = [place for place in places if place.parts[pair[0]] != place.parts[pair[1]]]
        older, newer = (self._lineages[number].release for number in pair)
        asked = {**older.asked, **newer.asked}
        rules = [
            rule
            for rule in differences_between(older.release, newer.release)
            if rule.name in asked or rule.name not in DIFFERENCES
        ]
        # A rule is likely to be one that the step asked for, and one that parted them before.
        rules.sort(key=lambda rule: (rule.name not in self._known, -asked.get(rule.name, 0)))
        found: list[ReleaseDifference] = []
        several: list[ReleaseDifference] = []
        for base, target in ((pair[1], pair[0]), pair):
            fixed: list[tuple[ReleaseDifference, set[Parting]]] = []
            covered: set[Parting] = set()
            for rule in rules if left else ():
                fixed.append((rule, self._fixed(step, base, target, [rule], views[target], left)))
                covered |= fixed[-1][1]
                if len(covered) == len(left):
                    break
            while covered:
                best, gone = max(fixed, key=lambda one: len(one[1] & covered))
                found.append(best)
                left = [place for place in left if place not in gone]
                covered -= gone
        if left:
            several = self._smallest(step, pair, rules, views[pair[0]], left)
        self._known |= dict.fromkeys(rule.name for rule in (*found, *several))
        return list(self._rule_texts(pair, found, several, left))

    def _rule_texts(
        self,
        pair: tuple[int, int],
        found: Sequence[ReleaseDifference],
        several: Sequence[ReleaseDifference],
        left: Sequence[Parting],
    ) -> Iterator[str]:
        versions = " → ".join(self.versions[number] for number in pair)
        for rule in found:
            yield f"{versions}: {rule.text}"
        if several:
            yield f"{versions}: several together: {'; '.join(rule.text for rule in several)}"
        elif left:
            what = ", ".join(dict.fromkeys(place.key[0] for place in left))
            yield f"{versions}: no named difference was found for {what}"

    def _smallest(
        self,
        step: int,
        pair: tuple[int, int],
        rules: Sequence[ReleaseDifference],
        wanted: View,
        left: Sequence[Parting],
    ) -> list[ReleaseDifference]:
        """Rules that together make the newer release like the older one, none of which can be left out."""
        older, newer = pair
        if len(self._fixed(step, newer, older, rules, wanted, left)) < len(left):
            return []
        kept = list(rules)
        for rule in rules:
            fewer = [one for one in kept if one is not rule]
            if len(self._fixed(step, newer, older, fewer, wanted, left)) == len(left):
                kept = fewer
        return kept

    def _fixed(
        self,
        step: int,
        base: int,
        target: int,
        rules: Sequence[ReleaseDifference],
        wanted: View,
        left: Sequence[Parting],
    ) -> set[Parting]:
        """The places at which a release does not part from another any more, with some of its rules flipped."""
        own, other = (self._lineages[number].release.release for number in (base, target))
        key = own.version, other.version, frozenset(rule.name for rule in rules)
        try:
            if key not in self._flipped:
                for rule in rules:
                    own = rule.flipped(own, other)
                self._flipped[key] = Lineage(self._session, self._steps, own)
            view = self._flipped[key].view(step)
        except (FolioshellError, AssertionError):
            # There never was such a kernel: rules of one release may need others of it.
            return set()
        return {place for place in left if _equal_at(view, wanted, place)}


def _new_places(
    now: Mapping[tuple[str, str], Intervals[Any]], before: Mapping[tuple[str, str], Intervals[Any]]
) -> Iterator[Parting]:
    """Where releases part in another way than before the step."""
    for key, parted in now.items():
        old = _NOTHING if key[0] in _OF_STEP else before.get(key, _NOTHING)
        for first, nr, parts in parted.runs():
            for start, length, were in old.pieces(first, nr):
                if were != parts:
                    yield Parting(key, start, length, parts)


def _equal_at(one: View, other: View, place: Parting) -> bool:
    sides = (view.get(place.key, _NOTHING).pieces(place.first, place.nr) for view in (one, other))
    return all(values[0] == values[1] for _, _, values in together(*sides))


#: process, first virtual page, the one beyond the last, what is there
_Piece = tuple[str, int, int, str]


def _goes_on(piece: _Piece, later: _Piece) -> bool:
    return (piece[0], piece[2], piece[3]) == (later[0], later[1], later[3])


def _joined(piece: _Piece, later: _Piece) -> _Piece:
    return (*piece[:2], *later[2:])


def _value_text(what: str, values: Sequence[Any], number: int) -> str:
    """What a release has at a place; of figures those that differ."""
    value = values[number]
    if value is None:
        return "no VMA" if what in (VMAS, SMAPS) else "none"
    if what in (SMAPS, NUMBERS):
        pairs: list[dict[str, int]] = [dict(one or ()) for one in values]
        names = list(dict.fromkeys(name for one in pairs for name in one))
        differing = [name for name in names if any(one.get(name) != pairs[0].get(name) for one in pairs)]
        unit = " kB" if what == SMAPS else ""
        return ", ".join(f"{name} {pairs[number].get(name, 0)}{unit}" for name in differing)
    if what == VMAS:
        return " ".join(value)
    if what == LOCKS:
        functions = dict.fromkeys(function for function, _, _ in value)
        return f"{counted(sum(times for *_, times in value), 'PTL')}{': ' if functions else ''}{', '.join(functions)}"
    return str(value)


def _listed(versions: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(versions[:-1]), versions[-1]) if part)


def compared_profiles(session: Session, versions: Sequence[str]) -> tuple[str, tuple[Section, ...]]:
    """(sentence, sections) that say where the history so far parts under some profiles."""
    comparison = ProfileComparison(session, versions)
    sections = tuple(comparison.sections())
    nr, parted = session.step, comparison.parted
    under = _listed(versions)
    if not parted:
        return f"{counted(nr, 'step')} under {under}: equal in all.", sections
    return f"{counted(nr, 'step')} under {under}: they part in {counted(len(parted), 'step')}.", sections
