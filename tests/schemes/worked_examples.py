"""The worked examples: which pages each process maps, step by step.

Each function plays one example in a world and yields the name of every step after it. Processes m1, m2, … are the
address spaces 1, 2, …; page 0 of the folio stands at the same virtual page in each unless the example says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from folioshell.contract.world import World

Example = Callable[[World], Iterator[str]]

#: virtual page at which an order-4 folio has half of its pages in either of two page tables
STRADDLING = 504


def folio_of(world: World, order: int, *mms: int, at: int = 0, anon: bool = False) -> int:
    """A folio of a file unless it is anonymous, and in each mm a VMA that can map all of it."""
    folio = world.folio(order, anon)
    for mm in mms:
        world.vma(mm, at, at + (1 << order))
    return folio


def simple(world: World) -> Iterator[str]:
    """All pages through one table."""
    folio = folio_of(world, 2, 1)
    world.map(1, folio, 0)
    yield "1"


def straddle(world: World) -> Iterator[str]:
    """A fault in each of two tables."""
    folio = folio_of(world, 4, 1, at=STRADDLING)
    world.map(1, folio, STRADDLING, 0, 8)
    yield "2a"
    world.map(1, folio, STRADDLING, 8, 8)
    yield "2b"


def pmd_then_split(world: World) -> Iterator[str]:
    """A PMD entry becomes PTEs."""
    folio = folio_of(world, 9, 1, anon=True)
    world.map_pmd(1, folio, 0)
    yield "3a"
    world.split_pmd(1, 0)
    yield "3b"


def the_other_two(world: World) -> Iterator[str]:
    """Two processes, one table each."""
    folio = world.folio(4, anon=False)
    for mm, base in ((1, 16), (2, 32)):
        world.vma(mm, base, base + 16)
        world.map(mm, folio, base)
    yield "4"


def vma_split(world: World) -> Iterator[str]:
    """An mprotect of the second half."""
    folio = folio_of(world, 4, 1, anon=True)
    world.map(1, folio, 0)
    yield "5a"
    world.split(1, 8)
    yield "5b"


def straddle_and_split(world: World) -> Iterator[str]:
    """Three tuples, one process."""
    folio = folio_of(world, 4, 1, at=STRADDLING)
    world.map(1, folio, STRADDLING)
    world.split(1, 508)
    yield "6"


def twice(order: int, nr: int, name: str) -> Example:
    """One process maps the folio at two addresses."""

    def example(world: World) -> Iterator[str]:
        folio = folio_of(world, order, 1)
        world.vma(1, 64, 80)
        world.map(1, folio, 0, 0, nr)
        world.map(1, folio, 64, 0, nr)
        yield name

    return example


def moved(world: World) -> Iterator[str]:
    """An mremap of the second half."""
    folio = folio_of(world, 4, 1, anon=True)
    world.map(1, folio, 0)
    world.vma(1, 1032, 1040)
    world.move(1, folio, 0, 1024, 8, 8)
    yield "18"


def larger_than_a_pmd(base: int, name: str) -> Example:
    """An order-10 folio through two or three tables."""

    def example(world: World) -> Iterator[str]:
        folio = folio_of(world, 10, 1, at=base)
        world.map(1, folio, base)
        yield name

    return example


def thp_split_twice(world: World) -> Iterator[str]:
    """PTEs of a THP, then an mprotect of its second half."""
    folio = folio_of(world, 9, 1, anon=True)
    world.map_pmd(1, folio, 0)
    world.split_pmd(1, 0)
    world.split(1, 256)
    yield "25"


def fork_and_copy(world: World) -> Iterator[str]:
    """The parent writes one page and gets a copy of it."""
    folio = folio_of(world, 4, 1, anon=True)
    world.map(1, folio, 0)
    world.fork(1, 2)
    yield "7a"
    world.unmap(1, folio, 0, 0, 1)
    yield "7b"


def halves(world: World) -> Iterator[str]:
    """Each process maps its half."""
    folio = folio_of(world, 4, 1, 2)
    world.map(1, folio, 0, 0, 8)
    world.map(2, folio, 0, 8, 8)
    yield "8"


def without_page_0(world: World) -> Iterator[str]:
    """Both map the same pages, page 0 not among them."""
    folio = folio_of(world, 4, 1, 2)
    for mm in (1, 2):
        world.map(mm, folio, 0, 1, 8)
    yield "9"


def fork_and_unmap(world: World) -> Iterator[str]:
    """The child keeps the last page only, then the parent drops that."""
    folio = folio_of(world, 4, 1, anon=True)
    world.map(1, folio, 0)
    world.fork(1, 2)
    world.unmap(2, folio, 0, 0, 15)
    yield "19a"
    world.unmap(1, folio, 0, 15, 1)
    yield "19b"


def straddle_shared(world: World) -> Iterator[str]:
    """Two processes, two tables each."""
    folio = folio_of(world, 4, 1, 2, at=STRADDLING)
    for mm in (1, 2):
        world.map(mm, folio, STRADDLING)
    yield "22"


def one_page_shared(world: World) -> Iterator[str]:
    """All pages in one process, page 0 in the other."""
    folio = folio_of(world, 9, 1, 2)
    world.map(1, folio, 0)
    world.map(2, folio, 0, 0, 1)
    yield "23"


def parent_exits(world: World) -> Iterator[str]:
    """The child is left alone."""
    folio = folio_of(world, 4, 1, anon=True)
    world.map(1, folio, 0)
    world.fork(1, 2)
    world.exit(1)
    yield "24"


def two_owners(world: World) -> Iterator[str]:
    """The first of two leaves."""
    folio = folio_of(world, 4, 1, 2)
    for mm in (1, 2):
        world.map(mm, folio, 0, 0, 4)
    yield "11a"
    world.unmap(1, folio, 0, 0, 4)
    yield "11b"


def three_owners(world: World) -> Iterator[str]:
    """The third is never tracked, and is left alone."""
    folio = folio_of(world, 4, 1, 2, 3)
    for mm in (1, 2, 3):
        world.map(mm, folio, 0, 0, 4)
    yield "12a"
    world.unmap(1, folio, 0, 0, 4)
    world.unmap(2, folio, 0, 0, 4)
    yield "12b"
    world.unmap(3, folio, 0, 0, 3)
    yield "12c"
    world.map(3, folio, 0, 0, 1)
    yield "12d"


def late_slot(world: World) -> Iterator[str]:
    """The third gets a slot that counts half of its pages."""
    folio = folio_of(world, 4, 1, 2, 3)
    for mm, nr in ((1, 16), (2, 16), (3, 8)):
        world.map(mm, folio, 0, 0, nr)
    yield "13a"
    world.unmap(1, folio, 0)
    yield "13b"
    world.map(3, folio, 0, 8, 8)
    yield "13c"
    world.unmap(2, folio, 0)
    yield "13d"
    world.unmap(3, folio, 0, 0, 8)
    yield "13e"
    world.unmap(3, folio, 0, 8, 8)
    yield "13f"
    world.map(1, folio, 0)
    yield "13g"


def untracked_leaves_first(world: World) -> Iterator[str]:
    """If the third leaves before the others, the bit heals."""
    folio = folio_of(world, 4, 1, 2, 3)
    for mm in (1, 2, 3):
        world.map(mm, folio, 0, 0, 4)
    world.unmap(3, folio, 0, 0, 4)
    yield "13x after m3"
    world.unmap(1, folio, 0, 0, 4)
    yield "13x after m1"


def thp_halves(world: World) -> Iterator[str]:
    """Parent and child split a THP and drop the same half."""
    folio = folio_of(world, 9, 1, anon=True)
    world.map_pmd(1, folio, 0)
    world.fork(1, 2)
    yield "14a"
    world.split_pmd(1, 0)
    yield "14b"
    world.unmap(1, folio, 0, 0, 256)
    yield "14c"
    world.split_pmd(2, 0)
    yield "14d"
    world.unmap(2, folio, 0, 0, 256)
    yield "14e"
    world.exit(2)
    yield "14f"


def many_children(world: World) -> Iterator[str]:
    """All but one page go from every process, then the children go."""
    folio = folio_of(world, 2, 1, anon=True)
    world.map(1, folio, 0)
    for child in (2, 3, 4):
        world.fork(1, child)
    yield "15a"
    for mm in (1, 2, 3, 4):
        world.unmap(mm, folio, 0, 1, 3)
    yield "15b"
    for child in (2, 3, 4):
        world.exit(child)
    yield "15c"


def pmd_beside_ptes(world: World) -> Iterator[str]:
    """The child splits, the parent leaves."""
    folio = folio_of(world, 9, 1, anon=True)
    world.map_pmd(1, folio, 0)
    world.fork(1, 2)
    world.split_pmd(2, 0)
    yield "16a"
    world.exit(1)
    yield "16b"


def file_by_pmds_and_a_pte(world: World) -> Iterator[str]:
    """Two PMD entries and one PTE."""
    folio = folio_of(world, 9, 1, 2, 3)
    world.map_pmd(1, folio, 0)
    world.map_pmd(2, folio, 0)
    world.map(3, folio, 0, 5, 1)
    yield "17"


def swapped_out(world: World) -> Iterator[str]:
    """The child's entries become swap entries, which are not mappings."""
    folio = folio_of(world, 4, 1, anon=True)
    world.map(1, folio, 0)
    world.fork(1, 2)
    world.unmap(2, folio, 0)
    yield "27"


EXAMPLES: tuple[Example, ...] = (
    simple,
    straddle,
    pmd_then_split,
    the_other_two,
    vma_split,
    straddle_and_split,
    twice(4, 16, "10a"),
    twice(4, 8, "10b"),
    twice(0, 1, "10c"),
    moved,
    larger_than_a_pmd(0, "20a"),
    larger_than_a_pmd(256, "20b"),
    thp_split_twice,
    fork_and_copy,
    halves,
    without_page_0,
    fork_and_unmap,
    straddle_shared,
    one_page_shared,
    parent_exits,
    two_owners,
    three_owners,
    late_slot,
    untracked_leaves_first,
    thp_halves,
    many_children,
    pmd_beside_ptes,
    file_by_pmds_and_a_pte,
    swapped_out,
)
