"""The glossary: what ``help TERM`` answers and ``docs/glossary.md`` lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Term(NamedTuple):
    """A term.

    Args:
        term: one name or several, as ``address space, mm``; ``of …`` says which meaning of the name before it.
        kernel: what it is called in the kernel, in Markdown; empty if the kernel has no name for it.
        meaning: in Markdown.
    """

    term: str
    kernel: str
    meaning: str

    @property
    def names(self) -> list[str]:
        """Its names: ``address space``, ``mm``."""
        return [name for name in self.term.split(", ") if not name.startswith("of ")]

    @property
    def text(self) -> str:
        """The term, its name in the kernel, and its meaning, in one line."""
        kernel = f" ({self.kernel.replace('`', '')})" if self.kernel else ""
        stop = "" if self.meaning.endswith('"') else "."
        return f"{self.term}{kernel}: {self.meaning}{stop}"


#: topic -> its terms, in the order of the alphabet
GLOSSARY: dict[str, tuple[Term, ...]] = {
    "Memory and page tables": (
        Term(
            "address space, mm",
            "`struct mm_struct`",
            "the memory of one process, shared by its threads; the truth of `shared?` counts these",
        ),
        Term("anonymous", "`vma_is_anonymous()`", "memory that belongs to no file"),
        Term(
            "deposited",
            "`pgtable_trans_huge_deposit()`",
            "a PTE table set aside when a PMD entry is installed, so that splitting the entry cannot fail",
        ),
        Term("entry", "`pte_t`, `pmd_t`", "a slot of a page table that is in use; here usually a present one"),
        Term("file", "`struct address_space`", "a file with its page cache and the VMAs that map it"),
        Term("geometry", "", "the number of entries of a table: 512 (`x86-64`) or 8 (`classroom`)"),
        Term("order", "`folio_order()`", "a folio of order n has 2ⁿ pages"),
        Term("page", "`struct page`", "4096 bytes"),
        Term("page cache", "`mapping->i_pages`", "the folios that hold a file's data"),
        Term(
            "page table",
            "`pgd_t`, `pud_t`, `pmd_t`, `pte_t`",
            "a table of entries that map pages or point to tables of the next level: PGD, PUD, PMD table, PTE table; "
            "`walk` descends them",
        ),
        Term("pfn", "`page_to_pfn()`", "the number of a physical page"),
        Term(
            "pgoff",
            "`vm_pgoff`, `folio->index`",
            "a page offset in a file; for anonymous memory, in the VMA's own numbering",
        ),
        Term(
            "PMD",
            "`pmd_t`",
            "an entry or a table one level above the PTE tables; a present PMD leaf maps 512 pages",
        ),
        Term("PMD-mapped, PTE-mapped", "", "mapped by one PMD entry, or by PTEs, one per page"),
        Term("PTE", "`pte_t`", "an entry of a PTE table"),
        Term("PTE table", "`struct ptdesc`", "a page table of the last level; `pt1`, `pt2` … in the shell"),
        Term("region", "", "a name for the range of one `mmap`; the kernel has no such thing"),
        Term("run", "", "consecutive identical objects, shown as one row"),
        Term("straddle", "", "to be mapped by entries of more than one PTE table"),
        Term("VMA", "`struct vm_area_struct`", "a range of addresses with the same attributes"),
        Term(
            "zero page",
            "`ZERO_PAGE()`, huge zero folio",
            "what a read of untouched anonymous memory is mapped to; it has no mapcount",
        ),
    ),
    "Folios": (
        Term("deferred split", "`deferred_split_folio()`", "a queue of folios to be split when memory is short"),
        Term(
            "exclusive",
            "`PageAnonExclusive()`",
            "a flag of an anonymous page: one process maps it, and may write to it in place",
        ),
        Term("folio", "`struct folio`", "one page, or several that are managed as one; `f1`, `f2` … in the shell"),
        Term("large folio", "`folio_test_large()`", "a folio of order 1 or more"),
        Term("mTHP", "`hugepages-*kB`", "an anonymous large folio smaller than a PMD"),
        Term(
            "partially mapped",
            "`folio_test_partially_mapped()`",
            "a large folio with pages that no entry maps any more",
        ),
        Term("pin", "`pin_user_pages()`", "a reference held for a device that accesses the page"),
        Term("reference", "`folio_ref_count()`", "any use that keeps a folio allocated; each entry holds one"),
        Term(
            "THP",
            "transparent huge page",
            "a large folio that the process did not ask for explicitly; here often a PMD-mapped one",
        ),
    ),
    "Mapcounts": (
        Term(
            "average",
            "`folio_average_page_mapcount()`",
            "entries divided by pages, where there are no per-page mapcounts",
        ),
        Term(
            "callback",
            "",
            "a method by which a scheme is notified of a change for which the kernel calls no rmap function, "
            "such as a VMA split",
        ),
        Term("decide", "", "`set decide` picks the scheme whose answer the simulated kernel acts on"),
        Term("entire mapcount", "`folio->_entire_mapcount`", "the number of PMD entries that map the folio"),
        Term("entries", "`folio_mapcount()`", "the number of PTEs and PMD entries that map a page of the folio"),
        Term("event", "", "what a kernel path announces to the schemes: pages mapped, unmapped, a VMA split …"),
        Term("false negative", "", '"no" while another mm maps a page of the folio'),
        Term("false positive", "", '"yes" while no other mm does'),
        Term("finding", "", "a violation that was caused by a wrong scheme or protocol, or a report of lockdep"),
        Term(
            "mapcount",
            "`folio_mapcount()`",
            "how many times a folio, or a page of it, is mapped; each scheme counts something else: entries, "
            "VMAs, tuples, address spaces",
        ),
        Term("maybe, undecided", "", "the scheme needs an rmap walk to answer"),
        Term("miscount", "", "a counter that differs from its own definition"),
        Term(
            "MM-ID",
            "`folio->_mm_id[]`, `_mm_id_mapcount[]`",
            "up to two address spaces whose entries are counted separately, since v6.15",
        ),
        Term("per-page mapcount", "`page->_mapcount`", "the number of entries that map one page"),
        Term("scheme", "", "a way to count, with its answers; [schemes.md](schemes.md) lists them"),
        Term("shared?", "`folio_maybe_mapped_shared()`", '"I have it mapped, does anybody else?"'),
        Term("total mapcount", "`folio->_large_mapcount`", "the number of all entries of a large folio"),
        Term("tuple", "", "a pair of a VMA and a page table with entries of that VMA that map a page of the folio"),
        Term(
            "unlocked update",
            "",
            "a counter changed without a lock that excludes the other threads that change it",
        ),
    ),
    "Operations": (
        Term("batch", "`folio_pte_batch()`", "consecutive entries of one folio that one call maps or unmaps"),
        Term(
            "branch",
            "",
            "one history of steps; `branch` starts another that shares the steps so far: [history.md](history.md)",
        ),
        Term("copy on write", "`wp_page_copy()`", "a write to a page that others may map goes to a copy"),
        Term("fault", "`handle_mm_fault()`", "an access that the page table does not allow as it is"),
        Term(
            "fault-around",
            "`filemap_map_pages()`",
            "a file fault also maps nearby pages that are in the page cache",
        ),
        Term("fork", "`copy_page_range()`", "create a process with its parent's VMAs and most of its entries"),
        Term("mark", "", "a name for a step, for `goto`"),
        Term("reclaim", "`shrink_folio_list()`", "free a folio's memory"),
        Term("reuse", "`wp_page_reuse()`", "a write to a page that no one else maps: made writable, no copy"),
        Term(
            "rmap call",
            "`folio_add_file_rmap_ptes()` and its siblings",
            "how page-table code updates the mapcounts of a folio",
        ),
        Term("rmap walk", "`rmap_walk()`, `page_vma_mapped_walk()`", "find the entries that map a folio"),
        Term(
            "split, merge, of VMAs",
            "`__split_vma()`, `vma_merge_new_range()`",
            "one VMA becomes two; adjacent VMAs become one",
        ),
        Term("split, of a folio", "`split_folio()`", "replace a large folio by smaller ones"),
        Term(
            "split, of a PMD entry",
            "`__split_huge_pmd()`",
            "anonymous memory: replace a PMD entry by 512 PTEs. File: zap it; pages will be refaulted. The "
            "folio is not split",
        ),
        Term("step", "", "a command that changed the state, or failed in the kernel; `undo` reverts one step"),
        Term("zap", "`zap_pte_range()`", "clear entries and unmap their pages"),
    ),
    "Locks": (
        Term(
            "ABBA deadlock",
            "`possible circular locking dependency`",
            "each of two threads waits for a lock that the other holds",
        ),
        Term(
            "lock order",
            "the comment at the top of `mm/rmap.c`",
            "which lock may be taken while which other is held",
        ),
        Term("mmap_lock", "`mm->mmap_lock`", "protects the VMAs of an address space; `MMAP(A)` in traces"),
        Term(
            "page_table_lock",
            "`mm->page_table_lock`",
            "protects the upper levels of the page tables; `A.mm` in traces",
        ),
        Term(
            "protocol",
            "",
            "how to keep under locks what a scheme counts: `set protocol`, [protocols-own.md](protocols-own.md)",
        ),
        Term(
            "PTL",
            "`pte_lockptr()`, `pmd_lockptr()`",
            "the lock of one page table; named like the table, `pt1`, `pmd1`",
        ),
        Term(
            "recursive locking, AA deadlock",
            "`possible recursive locking`",
            "a thread waits for a lock that it holds itself",
        ),
        Term("schedule", "", "which thread runs next at each lock operation"),
        Term("trylock", "`spin_trylock()`, `folio_trylock()`", "take a lock if it is free, else continue without it"),
        Term("VMA lock", "`vma_start_read()`, `vma_start_write()`", "lets faults run without the mmap_lock"),
    ),
}


def terms() -> Iterator[Term]:
    """All terms."""
    for found in GLOSSARY.values():
        yield from found


def lookup(words: str) -> list[Term]:
    """The terms with a name, in any case, in the singular or plural; ``page-cache`` is ``page cache``."""
    wanted = {_plain(words), *_singular(_plain(words))}
    return [term for term in terms() if any(_plain(name) in wanted for name in term.names)]


def with_word(word: str) -> list[Term]:
    """The terms that have this word in one of their names."""
    wanted = {_plain(word), *_singular(_plain(word))}
    return [term for term in terms() if any(wanted & set(_plain(name).split()) for name in term.names)]


def named_in(words: Sequence[str]) -> str:
    """The longest name of a term within some words, as they were typed; empty if there is none."""
    for length in range(len(words), 0, -1):
        for start in range(len(words) - length + 1):
            text = " ".join(words[start : start + length]).rstrip("?!.,")
            if lookup(text):
                return text
    return ""


def _plain(name: str) -> str:
    return name.lower().replace("-", " ").replace("_", " ")


def _singular(name: str) -> Iterator[str]:
    if name.endswith("ies"):
        yield f"{name[:-3]}y"
    if name.endswith("s"):
        yield name[:-1]


def glossary_page() -> str:
    """docs/glossary.md."""
    lines = [
        "# Glossary",
        "",
        "The terms of the shell, their names in the kernel, and what they mean; `help TERM` shows the same text.",
        "[concepts.md](concepts.md) explains the most important ones with examples,",
        "[kernel-map.md](kernel-map.md) maps the kernel's functions to ours.",
    ]
    for topic, found in GLOSSARY.items():
        lines += ["", f"## {topic}", "", "| term | in the kernel | meaning |", "| --- | --- | --- |"]
        lines += [f"| {term.term} | {term.kernel} | {term.meaning} |".replace("|  |", "| |") for term in found]
    return "\n".join(lines) + "\n"
