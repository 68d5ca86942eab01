"""The whole picture: address spaces over page tables over folios, so that who shares what is seen at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from folioshell.model.vm import Mm, Vma
from folioshell.report import Bar, Cell, FolioLane, Lane, Picture, Stretch
from folioshell.schemes.base import Scheme, Sharing
from folioshell.session.folio_groups import FolioGroup, entries_of_all, folio_groups, knows_entries_only
from folioshell.session.picture_axis import Column, Slot, columns_of
from folioshell.session.region import Region, labels_of
from folioshell.session.workspace import Workspace
from folioshell.units import format_address
from folioshell.wording import counted

#: what is told at most; the notes say what was left out
MOST_STRETCHES = 32
MOST_LANES = 16
MOST_FOLIO_LANES = 32


def picture(workspace: Workspace, shown: Sequence[str]) -> Picture:
    """The whole picture.

    Args:
        shown: the schemes whose answers are compared with what the page tables say.
    """
    mms = list(workspace.kernel.mms.values())
    entries = entries_of_all(workspace)
    groups = folio_groups(workspace, shown, entries)
    lanes = mms[:MOST_LANES]
    regions = list(workspace.regions.values())
    columns = columns_of(lanes, entries, groups, regions, MOST_STRETCHES)
    schemes = [workspace.machine.schemes[name] for name in shown]
    return Picture(
        _title(mms, groups),
        tuple(_stretches(columns[:MOST_STRETCHES], regions)),
        tuple(_lane(workspace, mm, at, columns[:MOST_STRETCHES]) for at, mm in enumerate(lanes)),
        tuple(_folio_lane(workspace, group, schemes) for group in groups[:MOST_FOLIO_LANES]),
        tuple(_notes(len(mms), len(columns), len(groups))),
    )


def _notes(nr_mms: int, nr_stretches: int, nr_groups: int) -> Iterator[str]:
    """What was left out."""
    for number, most, noun, commands in (
        (nr_mms, MOST_LANES, "processes", "show processes, show tables"),
        (nr_stretches, MOST_STRETCHES, "stretches of addresses", "show vmas, show tables"),
        (nr_groups, MOST_FOLIO_LANES, "runs of folios", "show folios"),
    ):
        if number > most:
            yield f"{number - most:,} more {noun} are left out: {commands}"


def _title(mms: Sequence[Mm], groups: Iterable[FolioGroup]) -> str:
    counts = (
        counted(len(mms), "process", "processes"),
        counted(sum(len(mm.vmas) for mm in mms), "VMA"),
        counted(sum(mm.nr_ptes for mm in mms), "leaf table"),
        counted(sum(group.nr for group in groups), "folio"),
    )
    return ", ".join(counts)


def _bar(vma: Vma) -> Bar:
    return Bar(str(vma), vma.perm, vma_maps(vma), format_address(vma.start), vma.nr_pages)


def vma_maps(vma: Vma) -> str:
    """What a VMA maps: ``anon``, or file and page offset: ``lib+0``."""
    return "anon" if vma.file is None else f"{vma.file.name}+{vma.pgoff}"


def _stretches(columns: Sequence[Column], regions: Sequence[Region]) -> Iterator[Stretch]:
    end = columns[0].start if columns else 0
    for column in columns:
        yield Stretch(
            format_address(column.start), column.nr, labels_of(regions, column.start, column.end), column.start - end
        )
        end = column.end


def _lane(workspace: Workspace, mm: Mm, at: int, columns: Sequence[Column]) -> Lane:
    cells = tuple(_cell(column.slots[at]) for column in columns)
    return Lane(mm.name, mm.name == workspace.current, tuple(map(_bar, mm.vmas)), cells)


def _cell(slot: Slot) -> Cell:
    if slot.vma is None:
        return Cell()
    return Cell(str(slot.vma), slot.table, slot.text, slot.sharing)


def _folio_lane(workspace: Workspace, group: FolioGroup, schemes: Iterable[Scheme]) -> FolioLane:
    folio = workspace.kernel.folios.get(group.first)
    assert folio is not None
    maps = f"anon {folio.mapping}" if folio.anon else f"{folio.mapping}+{folio.index}"
    answers = {scheme.name: set(_answers(scheme, group)) for scheme in schemes}
    right = Sharing.YES if group.sharing == "shared" else Sharing.NO
    wrong = tuple(name for name, found in answers.items() if found - {right, Sharing.MAYBE})
    undecided = tuple(name for name, found in answers.items() if Sharing.MAYBE in found and name not in wrong)
    visits = tuple(mapper.visit for mapper in group.mappers)
    nr, order = group.nr, group.order
    return FolioLane(f"f{group.first}", order, maps, group.counts, group.sharing, nr, wrong, undecided, visits)


def _answers(scheme: Scheme, group: FolioGroup) -> Iterator[Sharing]:
    """What the scheme answers to everybody who maps a folio of the group."""
    alike = not group.order and knows_entries_only(scheme)
    for number in range(group.first, group.first + (1 if alike else group.nr)):
        for mm in group.mms:
            yield scheme.shared(number, mm)
