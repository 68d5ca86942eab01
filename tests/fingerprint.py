"""A digest of a machine: equal for equal states, however they came about."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from folioshell.engine.machine import Machine
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm
from folioshell.schemes.base import Scheme


def fingerprint(machine: Machine) -> str:
    """SHA-256 of every object, counter and number of kernel and schemes, written out in a fixed order."""
    digest = hashlib.sha256()
    for line in _lines(machine.kernel, machine.schemes):
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _lines(k: Kernel, schemes: Mapping[str, Scheme]) -> Iterator[str]:
    yield repr((k.geometry, k.release.version, k.config, k.decider.name, sorted(k.vm_events.items()), list(k.deferred)))
    yield repr([(kind, k.last_number(kind)) for kind in sorted(("mm", "vma", "anon_vma", "pt", "pmd", "folio"))])
    for mm in k.mms.values():
        yield from _mm_lines(mm)
    for file in [*k.files.values(), *k.shared_memory]:
        yield repr((file.name, file.size, file.readahead))
        yield repr(([folio.id for folio in file.folios], [vma.id for vma in file.i_mmap]))
    for folio in k.folios.values():
        yield repr(
            (
                *(folio.id, folio.pfn, folio.order, folio.anon, str(folio.mapping), folio.index, folio.ref),
                *(folio.anon_exclusive, folio.nonzero, folio.swapbacked, folio.cached, folio.dirty),
                *(folio.has_buffers, folio.dirty_buffers),
                *(
                    folio.mlocked,
                    folio.mlock_count,
                    folio.deferred,
                    folio.partially_mapped,
                    folio.swap_slot,
                    folio.readahead,
                    folio.pins,
                ),
            )
        )
    for name, scheme in schemes.items():
        yield name
        for number in k.folios:
            answers = [scheme.shared(number, mm.mm_id).value for mm in k.mms.values()]
            yield repr((number, scheme.mapcount(number), answers, scheme.why(number)))


def _mm_lines(mm: Mm) -> Iterator[str]:
    yield repr((mm.name, mm.mm_id, mm.parent, mm.rss.as_tuple(), mm.nr_ptes, sorted(mm.tables.puds)))
    yield repr((mm.has_pinned, [(vpn, [folio.id for folio in held]) for vpn, held in sorted(mm.pins.items())]))
    for vma in mm.vmas:
        yield repr(
            (
                *(vma.id, vma.start, vma.end, vma.flags, vma.pgoff, str(vma.file), str(vma.anon_vma)),
                [(anon_vma.id, anon_vma.children, anon_vma.active_vmas, anon_vma.root.id) for anon_vma in vma.chain],
            )
        )
    for number, table in sorted(mm.tables.pmds.items()):
        yield repr((number, table.id, [leaf.id for leaf in table.deposited]))
    for vpn, _, entry in mm.tables.blocks():
        yield repr((vpn, entry.id, entry.entries) if isinstance(entry, PageTable) else (vpn, entry))
