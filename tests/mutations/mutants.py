"""Kernel paths with one reference, re-check or freeze removed: race-sweep must find a flaw in each.

A new try_get, re-check after a lock, or freeze in a path is a new row: the text as it stands in the module, the text
without it, and a set-up and pair of race-sweep in which something goes wrong then.

Not listed is what another check makes up for, so that nothing goes wrong without it: the freezes of reclaim and
migration, because faults look at the cache again once they have locked the folio; the looks at a folio's cache before a
lock that is taken to look again; and in mprotect and mlock that a table is still there, because a freed table is empty.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.repo.tree import ROOT

PACKAGE = ROOT / "folioshell"


class Mutant(NamedTuple):
    """A path without something that excludes a race.

    Args:
        rule: what was removed, in the kernel's names.
        file: the module, within the package.
        old, new: the text that is replaced, which occurs once, and what replaces it.
        setup, pair: of race-sweep, where it is found.
    """

    rule: str
    file: str
    old: str
    new: str
    setup: str
    pair: str

    def text(self) -> str:
        """The mutated module.

        Raises:
            AssertionError: the text to replace does not occur exactly once.
        """
        text = (PACKAGE / self.file).read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.file}: {text.count(self.old)} times: {self.old}"
        return text.replace(self.old, self.new)


MUTANTS = (
    Mutant(
        "next_uptodate_folio(): folio_try_get()",
        "paths/file_fault.py",
        "or folio.readahead or not folio.try_get():",
        "or folio.readahead or folio.frozen:",
        "ext4, order 0",
        "read,reclaim",
    ),
    Mutant(
        "filemap_get_entry(): a frozen folio is looked up again",
        "paths/page_cache.py",
        "is not None and not folio.try_get():\n        yield file.xa_lock",
        "is not None and not folio.try_get() and False:\n        yield file.xa_lock",
        "ext4, order 2",
        "write,split",
    ),
    Mutant(
        "wp_page_copy(): folio_get() before the PTL is dropped",
        "paths/wp_fault.py",
        "    if old is not None:\n        old.add_refs(1)\n    yield table.ptl.release(times=times)\n    if vma",
        "    yield table.ptl.release(times=times)\n    if vma",
        "anon, forked",
        "rewrite,dontneed",
    ),
    Mutant(
        "finish_fault(): the entry is still none",
        "paths/file_fault.py",
        "mapped = (nr > 1 or not table.entries[index]) and not tables.is_detached(mm, vpn, table)",
        "mapped = not tables.is_detached(mm, vpn, table)",
        "ext4, order 0",
        "write,read",
    ),
    Mutant(
        "finish_fault() of a copy: the entry is still none",
        "paths/file_fault.py",
        "if table is None or table.entries[index] or tables.is_detached(vma.mm, vpn, table):",
        "if table is None or tables.is_detached(vma.mm, vpn, table):",
        "ext4, order 0",
        "write,write",
    ),
    Mutant(
        "__read_swap_cache_async(): another thread may have added the folio",
        "paths/swap.py",
        "        usable = _can_be_read(k, first, nr)\n",
        "        usable = all(k.slots.counts[first : first + nr])\n",
        "anon, swapped",
        "read,read",
    ),
    Mutant(
        "do_swap_page(): pte_same()",
        "paths/fault.py",
        "    if table.entries[index] != entry or (fresh",
        "    if (fresh",
        "anon, swapped",
        "read,dontneed all",
    ),
    Mutant(
        "do_huge_pmd_wp_page(): folio_get() before the PMD lock is dropped",
        "paths/wp_fault.py",
        "            folio.ref += 1\n            yield pmd.lock.release()",
        "            yield pmd.lock.release()",
        "THP, parent and child",
        "rewrite,migrate",
    ),
    Mutant(
        "do_anonymous_page(): the entry is still none",
        "paths/anon_fault.py",
        "    if any(table.entries[index : index + nr]) or tables.is_detached(vma.mm, vpn, table):",
        "    if tables.is_detached(vma.mm, vpn, table):",
        "anon",
        "write,write",
    ),
    Mutant(
        "do_anonymous_page(): the table is still there",
        "paths/anon_fault.py",
        "    if any(table.entries[index : index + nr]) or tables.is_detached(vma.mm, vpn, table):",
        "    if any(table.entries[index : index + nr]):",
        "anon",
        "write,dontneed all",
    ),
    Mutant(
        "follow_pmd_mask(): the PMD entry again",
        "paths/gup.py",
        "    if pmd.entries.get(tree.pmd_index(vpn)) != found:\n        yield pmd.lock.release()\n        return 0\n",
        "",
        "THP, PMD-mapped",
        "pin,split",
    ),
    Mutant(
        "folio_isolate_lru(): only one isolates a folio",
        "model/folio.py",
        "if self.isolated or not self.try_get():",
        "if not self.try_get():",
        "anon",
        "reclaim,migrate",
    ),
    Mutant(
        "add_folio_for_migration(): folio_isolate_lru()",
        "paths/unmap.py",
        '    if not folio.isolate():\n        return "EBUSY"\n',
        "    folio.isolate()\n",
        "mTHP, partially mapped",
        "dontneed all,migrate",
    ),
    Mutant(
        "migrate_folio_unmap(): the reference to the new folio",
        "paths/unmap.py",
        "    new.ref = 1\n",
        "    new.ref = 0\n",
        "anon",
        "dontneed all,migrate",
    ),
    Mutant(
        "__folio_split(): folio_ref_freeze()",
        "paths/split.py",
        "frozen = folio.freeze(1 + (folio.nr_pages if folio.cached else 0))",
        "frozen = folio.freeze(folio.ref)",
        "ext4, order 2",
        "read,split",
    ),
    Mutant(
        "split_huge_pages_write(): folio_try_get()",
        "paths/split.py",
        '    if not folio.try_get():\n        return "EAGAIN"\n',
        "    folio.ref += 0\n",
        "mTHP, partially mapped",
        "dontneed all,split",
    ),
    Mutant(
        "reclaim: folio_isolate_lru()",
        "paths/reclaim.py",
        "    if folio.isolate():\n",
        "    folio.isolate()\n    if True:\n",
        "mTHP, partially mapped",
        "dontneed all,reclaim",
    ),
    Mutant(
        "zap_huge_pmd(): the entry again",
        "paths/zap.py",
        "    if isinstance(entry, PageTable) or entry == pte.NONE:\n"
        "        yield pmd.lock.release()\n"
        "        return False\n",
        "",
        "THP, PMD-mapped",
        "dontneed all,split",
    ),
    Mutant(
        "page_vma_mapped_walk(): the PMD entry again",
        "paths/walk.py",
        "        if isinstance(entry, PageTable):\n            yield pmd.lock.release()\n            return False\n",
        "",
        "THP, PMD-mapped",
        "reclaim,dontneed",
    ),
    Mutant(
        "page_vma_mapped_walk(): the PTE again",
        "paths/walk.py",
        "                # What was read without the lock may be out of date.\n"
        "                entry = entries[vpn - block]\n",
        "",
        "ext4, order 0",
        "reclaim,dontneed all",
    ),
    Mutant(
        "collapse_huge_page(): hugepage_vma_revalidate()",
        "paths/collapse.py",
        "        found = _look_again(k, mm, block, cc, order)\n"
        "        if not isinstance(found, Scan):\n            found = yield",
        "        if not isinstance(found, Scan):\n            found = yield",
        "anon",
        "collapse,munmap",
    ),
    Mutant(
        "collapse_huge_page(): find_pmd_or_thp_or_none() again",
        "paths/collapse.py",
        "    table = find_table(mm, block)\n    if isinstance(table, Scan):\n        return table\n    rwsem",
        "    table = mm.tables.leaf(block)\n    rwsem",
        "anon",
        "collapse,dontneed all",
    ),
    Mutant(
        "collapse_file(): folio_isolate_lru()",
        "paths/collapse_file.py",
        "    if not folio.isolate():\n        return Scan.DEL_PAGE_LRU\n",
        "    folio.isolate()\n",
        "tmpfs",
        "collapse,reclaim",
    ),
    Mutant(
        "collapse_file(): a hole was filled",
        "paths/collapse_file.py",
        "    is_filled = nr != sum(folio.nr_pages for folio in found)\n",
        "    is_filled = False\n",
        "tmpfs",
        "collapse,write",
    ),
    Mutant(
        "copy_huge_pmd(): the entry again",
        "paths/fork.py",
        "    if isinstance(entry, PageTable) or entry == pte.NONE:\n"
        "        tables.pte_free(dst.mm)\n"
        "        yield src_pmd.lock.release()\n"
        "        yield dst_pmd.lock.release()\n"
        "        return False\n",
        "",
        "THP, PMD-mapped",
        "fork,split",
    ),
    Mutant(
        "find_lock_entries(): folio_try_get()",
        "paths/truncate.py",
        "if _is_inside(folio, first, last) and folio.try_get():",
        "if _is_inside(folio, first, last):",
        "ext4, order 0",
        "truncate,reclaim",
    ),
    Mutant(
        "truncate_pagecache(): unmap_mapping_range() again",
        "paths/truncate.py",
        "to a private mapping.\n        yield from unmap_mapping_range(k, file, size, _NO_END, even_cows=True)\n",
        "to a private mapping.\n        pass\n",
        "ext4, order 0",
        "truncate,write",
    ),
    Mutant(
        "finish_fault(): the table is still there",
        "paths/file_fault.py",
        "mapped = (nr > 1 or not table.entries[index]) and not tables.is_detached(mm, vpn, table)",
        "mapped = nr > 1 or not table.entries[index]",
        "tmpfs",
        "read,dontneed all",
    ),
    Mutant(
        "finish_fault() of a copy: the table is still there",
        "paths/file_fault.py",
        "if table is None or table.entries[index] or tables.is_detached(vma.mm, vpn, table):",
        "if table is None or table.entries[index]:",
        "ext4, uncached",
        "write,dontneed all",
    ),
    Mutant(
        "filemap_get_entry(): folio_try_get()",
        "paths/page_cache.py",
        "        if folio is not None and not folio.try_get():",
        "        if folio is not None and folio.frozen:",
        "ext4, order 2",
        "write,reclaim",
    ),
    Mutant(
        "swap_cache_get_folio(): folio_try_get()",
        "paths/swap.py",
        "is not None and not folio.try_get():",
        "is not None and folio.frozen:",
        "anon, swapped",
        "write,pageout",
    ),
    Mutant(
        "find_get_entries(): folio_try_get()",
        "paths/truncate.py",
        "        if not folio.try_get():\n            yield file.xa_lock",
        "        if folio.frozen:\n            yield file.xa_lock",
        "ext4, order 0",
        "truncate,read",
    ),
    Mutant(
        "madvise_pageout(): folio_isolate_lru()",
        "paths/madvise_hints.py",
        "            if not folio.mlocked and folios.isolate():",
        "            if not folio.mlocked:",
        "anon",
        "pageout,dontneed all",
    ),
    Mutant(
        "madvise_pageout() of a THP: folio_isolate_lru()",
        "paths/madvise_hints.py",
        "    elif folio.isolate():",
        "    else:",
        "THP, PMD-mapped",
        "pageout,dontneed all",
    ),
    Mutant(
        "__collapse_huge_page_isolate(): folio_isolate_lru()",
        "paths/collapse.py",
        "            result = Scan.SUCCEED if folio.isolate() else Scan.DEL_PAGE_LRU",
        "            result = Scan.SUCCEED",
        "anon",
        "collapse,dontneed all",
    ),
    Mutant(
        "truncate_inode_pages_range(): folio_try_get() at the end of a hole",
        "paths/truncate.py",
        "    if piece is None or not piece.try_get():",
        "    if piece is None or piece.frozen:",
        "tmpfs-huge",
        "remove,remove",
    ),
)


def swept(mutant: Mutant, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run race-sweep with the pair of a mutant, by a mutated copy of the package in an empty folder."""
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / PACKAGE.name / mutant.file).write_text(mutant.text(), encoding="utf-8")
    pair = ("--setup", mutant.setup, "--pair", mutant.pair)
    return subprocess.run(
        (sys.executable, "-m", "folioshell", "race-sweep", *pair, "--max-states", "5000", "--quiet"),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        check=False,
        capture_output=True,
        text=True,
    )
