"""The glossary: what ``help TERM`` answers and ``docs/glossary.md`` lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from folioshell.records import NamedTuple

_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


class Term(NamedTuple):
    """A term.

    Args:
        term: one name or several, as ``address space, mm``; ``of …`` says which meaning of the name before it.
        kernel: what it is called in the kernel, in Markdown; empty if the kernel has no name for it.
        meaning: in Markdown.
        lesson: number of the lesson for class that introduces it: it may stand in no earlier one. 0: a word of plain
            English, or of the shell, in this meaning: it may stand in any. None: it stands in no lesson.
    """

    term: str
    kernel: str
    meaning: str
    lesson: int | None = None

    @property
    def names(self) -> list[str]:
        """Its names: ``address space``, ``mm``."""
        return [name for name in self.term.split(", ") if not name.startswith("of ")]

    @property
    def text(self) -> str:
        """The term, its name in the kernel, its meaning, and the lesson that introduces it, in one line.

        A link is its document's name: a terminal follows none.
        """
        kernel = f" ({self.kernel.replace('`', '')})" if self.kernel else ""
        stop = "" if self.meaning.endswith('"') else "."
        lesson = f" (lesson {self.lesson})" if self.lesson else ""
        meaning = _LINK.sub(r"docs/\1", self.meaning)
        return f"{self.term}{kernel}: {meaning}{stop}{lesson}"

    @property
    def short(self) -> str:
        """One of its names and its meaning, as plain text."""
        meaning = _LINK.sub(r"\1", self.meaning).replace("`", "")
        return f"{self.names[0]}: {meaning}"


#: topic -> its terms, in the order of the alphabet
GLOSSARY: dict[str, tuple[Term, ...]] = {
    "Memory and page tables": (
        Term(
            "address space, mm",
            "`struct mm_struct`",
            "the memory of one process, shared by its threads; the truth of `shared?` counts these",
            lesson=1,
        ),
        Term("anonymous", "`vma_is_anonymous()`", "memory that belongs to no file", lesson=2),
        Term(
            "deposited",
            "`pgtable_trans_huge_deposit()`",
            "a PTE table set aside when a PMD entry is installed, so that splitting the entry cannot fail",
        ),
        Term(
            "entry", "`pte_t`, `pmd_t`", "a slot of a page table that is in use; here usually a present one", lesson=1
        ),
        Term("file", "`struct address_space`", "a file with its page cache and the VMAs that map it", lesson=0),
        Term("geometry", "", "the number of entries of a table: 512 (`x86-64`) or 8 (`classroom`)", lesson=0),
        Term("order", "`folio_order()`", "a folio of order n has 2ⁿ pages", lesson=0),
        Term("page", "`struct page`", "4096 bytes", lesson=0),
        Term("page cache", "`mapping->i_pages`", "the folios that hold a file's data", lesson=11),
        Term(
            "page table",
            "`pgd_t`, `pud_t`, `pmd_t`, `pte_t`",
            "a table of entries that map pages or point to tables of the next level: PGD, PUD, PMD table, PTE table; "
            "`walk` descends them",
            lesson=1,
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
            "an entry or a table one level above the PTE tables; a present PMD leaf maps as many pages as a PTE table "
            "has entries",
            lesson=10,
        ),
        Term("PMD-mapped, PTE-mapped", "", "mapped by one PMD entry, or by PTEs, one per page", lesson=10),
        Term("PTE", "`pte_t`", "an entry of a PTE table", lesson=1),
        Term("PTE table", "`struct ptdesc`", "a page table of the last level; `pt1`, `pt2` … in the shell", lesson=1),
        Term("region", "", "a name for the range of one `mmap`; the kernel has no such thing", lesson=0),
        Term("run", "", "consecutive identical objects, shown as one row", lesson=0),
        Term("straddle", "", "to be mapped by entries of more than one PTE table", lesson=6),
        Term("VMA", "`struct vm_area_struct`", "a range of addresses with the same attributes", lesson=2),
        Term(
            "zero page",
            "`ZERO_PAGE()`, huge zero folio",
            "what a read of untouched anonymous memory is mapped to; it has no mapcount",
            lesson=1,
        ),
    ),
    "Folios": (
        Term("deferred split", "`deferred_split_folio()`", "a queue of folios to be split when memory is short"),
        Term(
            "exclusive",
            "`PageAnonExclusive()`",
            "a flag of an anonymous page: one process maps it, and may write to it in place",
            lesson=0,
        ),
        Term(
            "folio",
            "`struct folio`",
            "one page, or several that are managed as one; `f1`, `f2` … in the shell",
            lesson=1,
        ),
        Term("large folio", "`folio_test_large()`", "a folio of order 1 or more", lesson=4),
        Term("mTHP", "`hugepages-*kB`", "an anonymous large folio smaller than a PMD"),
        Term(
            "partially mapped",
            "`folio_test_partially_mapped()`",
            "a large folio with pages that no entry maps any more",
            lesson=5,
        ),
        Term("pin", "`pin_user_pages()`", "a reference held for a device that accesses the page"),
        Term(
            "reference", "`folio_ref_count()`", "any use that keeps a folio allocated; each entry holds one", lesson=0
        ),
        Term(
            "THP",
            "transparent huge page",
            "a large folio that the process did not ask for explicitly; here often a PMD-mapped one",
            lesson=4,
        ),
    ),
    "Mapcounts": (
        Term(
            "average",
            "`folio_average_page_mapcount()`",
            "entries divided by pages, where there are no per-page mapcounts",
            lesson=0,
        ),
        Term(
            "callback",
            "",
            "a method by which a scheme is notified of a change for which the kernel calls no rmap function, "
            "such as a VMA split",
        ),
        Term("decide", "", "`set decide` picks the scheme whose answer the simulated kernel acts on", lesson=0),
        Term("entire mapcount", "`folio->_entire_mapcount`", "the number of PMD entries that map the folio"),
        Term(
            "entries", "`folio_mapcount()`", "the number of PTEs and PMD entries that map a page of the folio", lesson=0
        ),
        Term(
            "event", "", "what a kernel path announces to the schemes: pages mapped, unmapped, a VMA split …", lesson=0
        ),
        Term("false negative", "", '"no" while another mm maps a page of the folio', lesson=4),
        Term("false positive", "", '"yes" while no other mm does', lesson=4),
        Term(
            "finding", "", "a violation that was caused by a wrong scheme or protocol, or a report of lockdep", lesson=0
        ),
        Term(
            "mapcount",
            "`folio_mapcount()`",
            "how many times a folio, or a page of it, is mapped; each scheme counts something else: entries, "
            "VMAs, tuples, address spaces",
            lesson=4,
        ),
        Term("maybe, undecided", "", "the scheme needs an rmap walk to answer", lesson=0),
        Term("miscount", "", "a counter that differs from its own definition"),
        Term(
            "MM-ID",
            "`folio->_mm_id[]`, `_mm_id_mapcount[]`",
            "up to two address spaces whose entries are counted separately, since v6.15",
            lesson=8,
        ),
        Term("per-page mapcount", "`page->_mapcount`", "the number of entries that map one page", lesson=4),
        Term("scheme", "", "a way to count, with its answers; [schemes.md](schemes.md) lists them", lesson=4),
        Term("shared?", "`folio_maybe_mapped_shared()`", '"I have it mapped, does anybody else?"', lesson=4),
        Term("total mapcount", "`folio->_large_mapcount`", "the number of all entries of a large folio"),
        Term(
            "tuple",
            "",
            "a pair of a VMA and a page table with entries of that VMA that map a page of the folio",
            lesson=4,
        ),
        Term(
            "unlocked update",
            "",
            "a counter changed without a lock that excludes the other threads that change it",
        ),
    ),
    "Operations": (
        Term("batch", "`folio_pte_batch()`", "consecutive entries of one folio that one call maps or unmaps", lesson=0),
        Term(
            "branch",
            "",
            "one history of steps; `branch` starts another that shares the steps so far: [history.md](history.md)",
            lesson=0,
        ),
        Term("copy on write", "`wp_page_copy()`", "a write to a page that others may map goes to a copy", lesson=3),
        Term("fault", "`handle_mm_fault()`", "an access that the page table does not allow as it is", lesson=1),
        Term(
            "fault-around",
            "`filemap_map_pages()`",
            "a file fault also maps nearby pages that are in the page cache",
            lesson=11,
        ),
        Term(
            "fork", "`copy_page_range()`", "create a process with its parent's VMAs and most of its entries", lesson=3
        ),
        Term("mark", "", "a name for a step, for `goto`", lesson=0),
        Term("reclaim", "`shrink_folio_list()`", "free a folio's memory", lesson=9),
        Term("reuse", "`wp_page_reuse()`", "a write to a page that no one else maps: made writable, no copy", lesson=3),
        Term(
            "rmap call",
            "`folio_add_file_rmap_ptes()` and its siblings",
            "how page-table code updates the mapcounts of a folio",
        ),
        Term("rmap walk", "`rmap_walk()`, `page_vma_mapped_walk()`", "find the entries that map a folio", lesson=9),
        Term(
            "split, merge, of VMAs",
            "`__split_vma()`, `vma_merge_new_range()`",
            "one VMA becomes two; adjacent VMAs become one",
            lesson=2,
        ),
        Term("split, of a folio", "`split_folio()`", "replace a large folio by smaller ones", lesson=7),
        Term(
            "split, of a PMD entry",
            "`__split_huge_pmd()`",
            "anonymous memory: replace a PMD entry by 512 PTEs. File: zap it; pages will be refaulted. The "
            "folio is not split",
            lesson=10,
        ),
        Term(
            "step", "", "a command that changed the state, or failed in the kernel; `undo` reverts one step", lesson=0
        ),
        Term("zap", "`zap_pte_range()`", "clear entries and unmap their pages"),
    ),
    "Locks": (
        Term(
            "ABBA deadlock",
            "`possible circular locking dependency`",
            "each of two threads waits for a lock that the other holds",
            lesson=12,
        ),
        Term(
            "lock order",
            "the comment at the top of `mm/rmap.c`",
            "which lock may be taken while which other is held",
            lesson=12,
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
            lesson=12,
        ),
        Term(
            "PTL",
            "`pte_lockptr()`, `pmd_lockptr()`",
            "the lock of one page table; named like the table, `pt1`, `pmd1`",
            lesson=1,
        ),
        Term(
            "recursive locking, AA deadlock",
            "`possible recursive locking`",
            "a thread waits for a lock that it holds itself",
        ),
        Term("schedule", "", "which thread runs next at each lock operation", lesson=12),
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


class WordUse(NamedTuple):
    """A name of the glossary in a text: its columns, and the lesson that introduces it, as in ``Term``."""

    name: str
    start: int
    end: int
    lesson: int | None


@cache
def _finder() -> tuple[re.Pattern[str], dict[str, int | None]]:
    """What matches any name of the glossary, the longest first; and the lesson that introduces each."""
    lessons: dict[str, int | None] = {}
    for term in terms():
        for name in map(_plain, term.names):
            # Of several meanings that of the earliest lesson is meant.
            known = [one for one in (lessons.get(name, term.lesson), term.lesson) if one is not None]
            lessons[name] = min(known, default=None)
    names = sorted(lessons, key=lambda name: (-len(name), name))
    forms = [re.escape(name).replace(r"\ ", "[ _-]") + ("" if name.endswith("?") else "(?:e?s|ies)?") for name in names]
    forms = [form.replace("y(?:e?s|ies)?", "(?:y|ies)") if form.endswith("y(?:e?s|ies)?") else form for form in forms]
    pattern = "|".join(f"(?P<w{at}>{form})" for at, form in enumerate(forms))
    by_group = {f"w{at}": lessons[name] for at, name in enumerate(names)}
    return re.compile(rf"(?<![\w`-])(?:{pattern})(?![\w-])", re.IGNORECASE), by_group


def words_in(text: str) -> Iterator[WordUse]:
    """The names of the glossary in a text, in order; of names within names only the longest."""
    pattern, lessons = _finder()
    for found in pattern.finditer(text):
        group = found.lastgroup
        assert group is not None
        yield WordUse(found[0], *found.span(), lessons[group])


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
