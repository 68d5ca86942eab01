"""Reverse-map walks as rows of a report, and walks made only to know what they cost."""

from __future__ import annotations

from folioshell.events import Walked
from folioshell.model.folio import Folio
from folioshell.model.mapping import AddressSpace
from folioshell.paths.walk import rmap_walk
from folioshell.report import Visit, Walk
from folioshell.session.workspace import Workspace


def walk_row(workspace: Workspace, event: Walked) -> Walk:
    """A walk that was announced."""
    visits = tuple(
        Visit(
            workspace.process_name(mm),
            f"v{vma}",
            tuple((str(table), count) for table, count in tables),
        )
        for mm, vma, tables in event.visits
    )
    folio = workspace.kernel.folios.get(event.folio)
    return Walk(f"f{event.folio}", event.reason, through(folio) if folio else "", visits)


def through(folio: Folio) -> str:
    """What leads from a folio to the VMAs that may map it."""
    if isinstance(folio.mapping, AddressSpace):
        return f"i_mmap of {folio.mapping.name}"
    return f"anon_vma {folio.mapping}"


def dry_walk(workspace: Workspace, folio: Folio, reason: str) -> Walk:
    """What a full rmap_walk of a folio would visit; nothing is left of it in the machine."""
    path = rmap_walk(workspace.kernel, folio, reason)
    # No one else runs, so that every lock can be had; what the path yields is not recorded.
    try:
        while True:
            next(path)
    except StopIteration as end:
        return walk_row(workspace, end.value)
