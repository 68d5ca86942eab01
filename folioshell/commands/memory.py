"""Files and mappings: what the system calls on address spaces do.

Placement, where no address is given: the next boundary (of a PMD, or ``align=``) from 0x7f0000000000 on, behind all
regions that there are, so that VMAs are neighbours only where ``after=`` or ``at=`` asked for it.
"""

from __future__ import annotations

from folioshell.commands.build import (
    NEW_NAME,
    arg,
    choice,
    command,
    file_operand,
    flags,
    option,
    own_place,
    region_operand,
)
from folioshell.commands.call import Call
from folioshell.commands.grammar import MODEL, Arg, Form
from folioshell.commands.limits_check import admit_file, admit_pages
from folioshell.commands.operands import Address, Number, Size
from folioshell.model.mapping import AddressSpace
from folioshell.paths.mmap import do_mmap, do_munmap
from folioshell.paths.mremap import do_mremap
from folioshell.paths.page_cache import do_create_file
from folioshell.paths.step import Path
from folioshell.paths.vma_flags import do_mprotect
from folioshell.session.language import Ending
from folioshell.session.region import END_VPN, Region, next_free
from folioshell.units import format_address, format_pages
from folioshell.wording import counted

#: pages of a file at most: its page cache is made folio by folio
FILE_PAGES = 1 << 21
#: order of a page-cache folio at most; above the PMD's it is an extension of ours
FILE_ORDER = 13

TOPIC = "memory"
PROTS = {"r": "readable", "rw": "readable and writable", "none": "no access"}
FILE_SYSTEMS = {
    "ext4": "a file system on a disk",
    "tmpfs": "tmpfs, huge=never",
    "tmpfs-huge": "tmpfs, huge=always",
    "tmpfs-within": "tmpfs, huge=within_size",
}
_PLACE = (
    option("at", Address(), "where it goes", group="place"),
    option("after", region_operand(), "directly behind this region", group="place"),
)
_ALIGN = (
    option("align", Size(), "pages between the boundaries at which it may start", group="place"),
    option("skew", Size(least=0), "pages from the boundary to its start"),
)


def _file_subject(call: Call) -> str:
    size = call.number("SIZE")
    return f"file {call.word('NAME')} made on {call.word('fs', 'ext4')}, {counted(size, 'page')} ({format_pages(size)})"


@command(
    "file",
    Form(
        args=(arg("NAME", NEW_NAME, "its name"), arg("SIZE", Size(most=FILE_PAGES), "its size")),
        flags=flags("cache", cached="its page cache is filled (the default)", uncached="nothing of it is cached"),
        options=(
            option("order", Number(most=FILE_ORDER), "order of the folios that its page cache holds; 0 unless said"),
            option("fs", choice(FILE_SYSTEMS, "file system"), "where it lives; ext4 unless said"),
        ),
    ),
    kind=MODEL,
    topic=TOPIC,
    summary="make a file",
    explained="Makes a file filled with bytes other than zero. Its page cache holds folios of the given order; the "
    "tail uses the largest orders that fit. Orders above that of a PMD are an extension that Linux does not have.",
    examples=("file lib 32 order=4", "file tmp 64K fs=tmpfs uncached"),
    subject=_file_subject,
    kernel="mm/filemap.c: __filemap_get_folio()",
)
def file(call: Call) -> Ending:
    """Make a file."""
    name = call.new_name("NAME")
    admit_file(call, "SIZE", call.number("SIZE"))
    made = AddressSpace(name, call.number("SIZE"), call.word("fs", "ext4"))
    path = do_create_file(call.kernel, made, call.number("order", 0), call.word("cache", "cached") == "cached")
    call.workspace.machine.run(path)
    return None


def _mmap_subject(call: Call) -> str:
    region = call.workspace.regions[call.word("NAME")]
    kind = call.word("kind", "")
    what = f"{call.word('file')}, {kind or 'private'}" if "file" in call.arguments else f"{kind or 'anon'} memory"
    size = counted(region.nr, "page")
    return f"{call.process} mapped {region.name}, {size} of {what}, at {format_address(region.start)}"


def _populated(call: Call) -> list[tuple[int, int]]:
    """The pages of a new mapping, if they are populated at once; its label is made last."""
    nr = call.number("SIZE")
    return [(start_of(call, nr), nr)] if "populate" in call.arguments else []


@command(
    "mmap",
    Form(
        args=(arg("NAME", NEW_NAME, "name of the region"), arg("SIZE", Size(), "its size")),
        flags=(
            *flags(
                "kind",
                anon="private anonymous memory (the default)",
                shared="MAP_SHARED: of the file, or shared anonymous memory",
                private="MAP_PRIVATE (the default with file=)",
            ),
            *flags("populate", populate="MAP_POPULATE: fault every page in"),
            *flags("fixed", fixed="MAP_FIXED: replace what is mapped there"),
        ),
        options=(
            option("file", file_operand(), "the file mapped"),
            option("offset", Size(least=0), "page of the file where it starts"),
            option("prot", choice(PROTS, "protection"), "rw unless said, but r for a private file"),
            *_PLACE,
            *_ALIGN,
        ),
    ),
    kind=MODEL,
    topic=TOPIC,
    summary="map memory and name the range",
    explained="Maps anonymous memory or a file. Without at=, after= or align= it starts at the next free PMD-sized "
    "boundary, never adjacent to another region. The name labels the range from then on, in every process.",
    examples=("mmap buf 64K", "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504"),
    subject=_mmap_subject,
    pages=_populated,
    host=True,
    kernel="mm/mmap.c: do_mmap()",
)
def mmap(call: Call) -> Ending:
    """Map memory and name the range."""
    name = call.new_name("NAME")
    kind = call.word("kind", "private" if "file" in call.arguments else "anon")
    if kind == "anon" and "file" in call.arguments:
        raise call.refused_at("kind", "anonymous memory has no file", allowed=("shared", "private"))
    of_file = call.file("file") if "file" in call.arguments else None
    if "offset" in call.arguments and of_file is None:
        raise call.refused_at("offset", "offset= goes with file=")
    kind = "anon" if kind == "private" and of_file is None else kind
    prot = call.word("prot", "r" if kind == "private" else "rw")
    region = Region(name, start_of(call, call.number("SIZE")), call.number("SIZE"))
    if "populate" in call.arguments:
        admit_pages(call, "SIZE", region.nr)
    ending = call.workspace.machine.run(
        do_mmap(
            call.kernel,
            call.mm,
            region.start,
            region.nr,
            kind=kind,
            prot=prot,
            file=of_file,
            pgoff=call.number("offset", 0),
            populate="populate" in call.arguments,
            fixed="fixed" in call.arguments,
            name=name,
        )
    )
    if ending is None:
        call.workspace.regions.add(region)
    return ending


def start_of(call: Call, nr: int) -> int:
    """First virtual page of a new mapping of ``nr`` pages.

    Raises:
        Refused: the words about its place contradict each other, or there is no room.
    """
    words = call.arguments
    if "skew" in words and ("at" in words or "after" in words):
        raise call.refused_at("skew", "skew= goes with align=, not with an address")
    if "fixed" in words and "at" not in words and "after" not in words:
        raise call.refused_at("fixed", "fixed needs a place", allowed=("at=ADDR", "after=REGION"))
    if "at" in words:
        start: int | None = call.number("at")
    elif "after" in words:
        start = call.region("after").end
    else:
        boundary = call.number("align", call.kernel.geometry.pmd_pages)
        start = next_free(call.workspace.regions, nr, boundary, call.number("skew", 0))
    if start is None or start + nr > END_VPN:
        raise call.refused_at("SIZE", "this reaches beyond user space", hint="user addresses end at 0x7fffffffffff")
    return start


@command(
    "munmap",
    Form(args=(own_place("the pages that go"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="unmap pages",
    explained="Unmaps pages; VMAs are split where the range ends within them, and page tables that are left empty are "
    "freed. The region's name stays.",
    examples=("mmap buf 16 ; fault buf ; munmap buf[4..7]",),
    subject=lambda call: f"{call.process} unmapped {call.place_text('PLACE')}",
    host=True,
    kernel="mm/vma.c: do_vmi_munmap()",
    races=True,
)
def munmap(call: Call) -> Path[Ending]:
    """Unmap pages."""
    found = call.own_range("PLACE")
    return do_munmap(call.kernel, found.mm, found.start, found.nr)


@command(
    "mprotect",
    Form(args=(own_place(), Arg("PROT", choice(PROTS, "protection"), "what is allowed from now on"))),
    kind=MODEL,
    topic=TOPIC,
    summary="change the protection of pages",
    explained="Changes the protection; VMAs split and merge, and a PMD mapping that is only partly covered is split. "
    "Over a hole it fails with ENOMEM, and what lies before the hole is changed.",
    examples=("mmap buf 16 ; fault buf ; mprotect buf[8] r",),
    subject=lambda call: f"{call.process} made {call.place_text('PLACE')} {call.word('PROT')}",
    host=True,
    kernel="mm/mprotect.c: do_mprotect_pkey()",
    races=True,
)
def mprotect(call: Call) -> Path[Ending]:
    """Change the protection of pages."""
    found = call.own_range("PLACE")
    return do_mprotect(call.kernel, found.mm, found.start, found.nr, call.word("PROT"))


def _mremap_subject(call: Call) -> str:
    region = call.workspace.regions[call.word("new")]
    size = f", {counted(region.nr, 'page')}," if "SIZE" in call.arguments else ""
    return f"{call.process} moved {call.place_text('PLACE')} to {region.name}{size} at {format_address(region.start)}"


@command(
    "mremap",
    Form(
        args=(own_place("what moves"), arg("SIZE", Size(), "its new size; as before unless said", optional=True)),
        flags=flags("dontunmap", dontunmap="MREMAP_DONTUNMAP: the old range stays mapped, empty"),
        options=(option("new", NEW_NAME, "name of the new region", required=True), *_PLACE, *_ALIGN),
    ),
    kind=MODEL,
    topic=TOPIC,
    summary="move a mapping to another address",
    explained="Moves the mapping and its page-table entries to a new place (MREMAP_FIXED), which is chosen as for "
    "mmap and gets a name of its own. No rmap function is called for the entries that move.",
    examples=("mmap buf 16 ; fault buf ; mremap buf[8..15] new=tail",),
    subject=_mremap_subject,
    host=True,
    kernel="mm/mremap.c: do_mremap()",
)
def mremap(call: Call) -> Ending:
    """Move a mapping to another address."""
    name = call.new_name("new")
    found = call.own_range("PLACE")
    nr = call.number("SIZE", found.nr)
    region = Region(name, start_of(call, nr), nr)
    ending = call.workspace.machine.run(
        do_mremap(
            call.kernel,
            found.mm,
            found.start,
            found.nr,
            region.start,
            region.nr,
            dontunmap="dontunmap" in call.arguments,
        )
    )
    if ending is None:
        call.workspace.regions.add(region)
    return ending
