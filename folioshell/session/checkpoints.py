"""States that can be restored without replaying everything: what the objects of a workspace held after some steps.

Rules:
- A checkpoint changes no result: a state is the replay of what was typed, from the start or from a checkpoint.
- Taking one costs as much as there are objects. So it is taken when the steps since the last have yielded several times
  as much, and never of a state of very many objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from folioshell.session.history import Branch, Entry
from folioshell.session.workspace import Workspace

if TYPE_CHECKING:
    from folioshell.engine.counting import Mark

#: a checkpoint is due when steps have yielded so many events for each object that it would hold
EVENTS_AN_OBJECT = 5
#: and not before so many
FEWEST_EVENTS = 4_000
#: all together hold no more objects than this: the oldest goes first, and a state of more is replayed
MOST_OBJECTS = 300_000
#: and there are no more than this
MOST_KEPT = 3
#: elements of lists that take as long to copy as an object
_ELEMENTS_AN_OBJECT = 1_000
#: objects in which all schemes together keep what they know of a large folio
_OBJECTS_A_LARGE_FOLIO = 35


class Checkpoint:
    """What everything in a workspace held after its last step.

    Args:
        workspace: its objects are given their contents back in place, so that references to them stay valid.
        entry: the last step.

    Attributes:
        objects: how many objects it holds; elements of lists count for few.
    Raises:
        TypeError: a loaded scheme keeps objects that cannot be copied.
    """

    def __init__(self, workspace: Workspace, entry: Entry) -> None:
        # Most sessions are over before the first checkpoint is due.
        from folioshell.explore.snapshot import Snapshot

        self.position = workspace.step
        self.entry = entry
        self._workspace = workspace
        self._machine = workspace.machine
        self._journal = tuple(workspace.journal)
        self._admitted = workspace.admitted
        self._mark = self._machine.mark()
        self._names = (workspace.regions, workspace.process_names, workspace.threads)
        roots = (*workspace.names, workspace.threads)
        self._snapshot = Snapshot([self._machine.kernel, *self._mark.schemes.values(), *roots])
        self.objects = len(self._snapshot) + self._snapshot.nr_elements // _ELEMENTS_AN_OBJECT

    def restore(self) -> Workspace:
        """The workspace as it was."""
        workspace = self._workspace
        self._snapshot.restore()
        workspace.machine = self._machine
        workspace.regions, workspace.process_names, workspace.threads = self._names
        return self._returned(workspace, self._mark)

    def opened(self, workspace: Workspace) -> Workspace:
        """A fresh workspace made one of its own in that state; the one that the checkpoint was taken of stays."""
        machine, schemes = workspace.machine, self._mark.schemes
        made = self._snapshot.opened(self._machine.kernel, *self._names, *schemes.values())
        machine.kernel, workspace.regions, workspace.process_names, workspace.threads = made[:4]
        return self._returned(workspace, self._mark._replace(schemes=dict(zip(schemes, made[4:], strict=True))))

    def _returned(self, workspace: Workspace, mark: Mark) -> Workspace:
        """A workspace whose objects hold what they held then."""
        workspace.machine.rewind(mark)
        workspace.return_to(self._journal, self.entry.current, self._admitted)
        return workspace


class Checkpoints:
    """The checkpoints of a session, and a workspace beside its own whose state was asked for."""

    def __init__(self) -> None:
        self._kept: list[Checkpoint] = []
        self._beside: Workspace | None = None
        self._last: Entry | None = None
        self._events = 0
        self._due = FEWEST_EVENTS

    def step_done(self, workspace: Workspace, entry: Entry) -> None:
        """A step was done: take a checkpoint if it is time."""
        self._events += len(workspace.journal[-1].trace)
        if self._events < self._due:
            return
        kernel = workspace.kernel
        folios = kernel.folios
        spaces = sum(10 + 2 * mm.nr_ptes + 2 * len(mm.vmas) for mm in kernel.mms.values())
        objects = spaces + folios.nr_groups + _OBJECTS_A_LARGE_FOLIO * folios.nr_large
        if self._kept:
            objects = max(objects, self._kept[-1].objects)
        self._due = max(FEWEST_EVENTS, EVENTS_AN_OBJECT * objects)
        if self._events < self._due or objects > MOST_OBJECTS:
            return
        self._events = 0
        try:
            self._kept.append(Checkpoint(workspace, entry))
        except TypeError:
            # A loaded scheme may keep anything: then states are replayed.
            return
        while len(self._kept) > MOST_KEPT or sum(kept.objects for kept in self._kept) > MOST_OBJECTS:
            del self._kept[0]

    def keep(self, workspace: Workspace, entry: Entry | None) -> None:
        """Keep a workspace that no one else has any more; ``entry`` is its last step, None for the beginning."""
        self._beside, self._last = (workspace, entry) if entry is not None else (None, None)

    def start(self, entries: Branch, position: int, fresh: Callable[[], Workspace]) -> Workspace:
        """A workspace on the way to the state after step ``position`` of a branch, as near as there is one.

        Args:
            fresh: makes one in the state before the first step.
        """
        checkpoint = self.before(entries, position)
        if checkpoint is not None:
            return checkpoint.opened(fresh())
        return self._take(entries, position) or fresh()

    def _take(self, entries: Branch, position: int) -> Workspace | None:
        """The workspace that was kept, if it is on the way to the state after step ``position`` of a branch."""
        beside, self._beside = self._beside, None
        if beside is None or self._last is None or not self._is_on_the_way(beside, entries, position):
            return None
        beside.current = self._last.current
        return beside

    def _is_on_the_way(self, beside: Workspace, entries: Branch, position: int) -> bool:
        return beside.step <= position and entries.at(beside.step) is self._last

    def before(self, entries: Branch, position: int) -> Checkpoint | None:
        """The last checkpoint on the way to the state after step ``position`` of a branch.

        None: there is none, or the workspace that was kept is nearer.
        """
        on_the_way = [
            checkpoint
            for checkpoint in self._kept
            if checkpoint.position <= position and entries[checkpoint.position - 1] is checkpoint.entry
        ]
        nearest = max(on_the_way, key=lambda checkpoint: checkpoint.position, default=None)
        beside = self._beside
        if nearest is None or beside is None or not self._is_on_the_way(beside, entries, position):
            return nearest
        return nearest if nearest.position >= beside.step else None

    def clear(self) -> None:
        """Drop all: they hold no states of this session any more."""
        self._kept.clear()
        self._beside = None
        self._events = 0
