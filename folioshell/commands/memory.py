"""Files and mappings: what the system calls on address spaces do.

Placement, where no address is given: the next boundary (of a PMD, or ``align=``) from the geometry's base on, after
all regions that there are, so that VMAs are adjacent only where ``after=`` or ``at=`` asked for it.
"""

from __future__ import annotations

from folioshell.commands.call import Call, Range, admit_file, admit_pages
from folioshell.commands.grammar import MODEL, Arg, Form, Option, command, flags
from folioshell.commands.operands import NEW_NAME, Address, Choice, Number, Size
from folioshell.commands.places import FILE, REGION, PlaceRef, own_place
from folioshell.model.mapping import AddressSpace
from folioshell.paths import Path
from folioshell.paths.mmap import do_mmap, do_munmap
from folioshell.paths.mremap import do_mremap, do_resize, must_move
from folioshell.paths.page_cache import do_create_file
from folioshell.paths.vma_flags import do_mprotect
from folioshell.session.history import Ending
from folioshell.session.workspace import Region, Regions, next_free
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
    Option("at", Address(), "its address", group="place"),
    Option("after", REGION, "directly after this region", group="place"),
)
_ALIGN = (
    Option("align", Size(), "pages between the boundaries at which it may start", group="place"),
    Option("skew", Size(least=0), "pages from the boundary to its start"),
)


def _file_subject(call: Call) -> str:
    size = call.number("SIZE")
    name, fs = call.word("NAME"), call.word("fs", "ext4")
    return f"File {name} created on {fs}, {counted(size, 'page')} ({format_pages(size)})"


@command(
    "file",
    Form(
        args=(Arg("NAME", NEW_NAME, "its name"), Arg("SIZE", Size(most=FILE_PAGES), "its size")),
        flags=flags("cache", cached="fill its page cache (default)", uncached="leave its page cache empty"),
        options=(
            Option("order", Number(most=FILE_ORDER), "order of the folios in its page cache (default: 0)"),
            Option("fs", Choice(FILE_SYSTEMS, "file system"), "its file system (default: ext4)"),
        ),
    ),
    kind=MODEL,
    topic=TOPIC,
    subject=_file_subject,
    races=True,
    host=True,
)
def file(call: Call) -> Path[Ending]:
    """Create a file.

    The file is filled with non-zero bytes. Its page cache holds folios of the given order; the tail uses the largest
    orders that fit. Orders above the PMD order are an extension: Linux has no such page-cache folios.

    Example:
        file lib 32 order=4
        file tmp 64K fs=tmpfs uncached

    Kernel: mm/filemap.c: __filemap_get_folio() (v6.18)
    """
    name = call.new_name("NAME")
    admit_file(call, "SIZE", call.number("SIZE"))
    made = AddressSpace(name, call.number("SIZE"), call.word("fs", "ext4"))
    return do_create_file(call.kernel, made, call.number("order", 0), call.word("cache", "cached") == "cached")


def _mmap_subject(call: Call) -> str:
    flags = ["MAP_SHARED" if call.word("kind", "") == "shared" else "MAP_PRIVATE"]
    flags += ["MAP_ANONYMOUS"] if "file" not in call.arguments else []
    flags += [f"MAP_{word.upper()}" for word in ("fixed", "populate") if word in call.arguments]
    name, size = call.word("NAME"), format_pages(call.number("SIZE"))
    file = [call.word("file")] if "file" in call.arguments else []
    return _at_region(call, name, name, size, "|".join(flags), *file)


def _at_region(call: Call, new: str, *arguments: str) -> str:
    """The call that made the region ``new``, and its address unless the kernel failed it."""
    region = call.workspace.regions.get(new)
    made = f" = {format_address(region.start)}" if region is not None else ""
    return f"{call.syscall(*arguments)}{made}"


def _populated(call: Call) -> list[tuple[int, int]]:
    """The pages of a new mapping, if they are populated at once; its label is made last."""
    nr, claim = call.number("SIZE"), call.workspace.regions.claims.get(call.word("NAME"))
    if "populate" not in call.arguments:
        return []
    return [(claim.start if claim is not None else start_of(call, nr), nr)]


@command(
    "mmap",
    Form(
        args=(Arg("NAME", NEW_NAME, "name of the region"), Arg("SIZE", Size(), "its size")),
        flags=(
            *flags(
                "kind",
                anon="private anonymous memory (default)",
                shared="MAP_SHARED: of the file, or shared anonymous memory",
                private="MAP_PRIVATE (default with file=)",
            ),
            *flags("populate", populate="MAP_POPULATE: fault every page in"),
            *flags("fixed", fixed="MAP_FIXED: replace what is mapped there"),
        ),
        options=(
            Option("file", FILE, "the file to map"),
            Option("offset", Size(least=0), "page of the file at which it starts"),
            Option("prot", Choice(PROTS, "protection"), "default: rw, but r for a private file mapping"),
            *_PLACE,
            *_ALIGN,
        ),
    ),
    kind=MODEL,
    topic=TOPIC,
    subject=_mmap_subject,
    pages=_populated,
    host=True,
    races=True,
)
def mmap(call: Call) -> Path[Ending]:
    """Map memory and name the range.

    Maps anonymous memory or a file. Without at=, after= or align= the mapping starts at the next free PMD-sized
    boundary, never adjacent to another region. From then on the name labels this range in every process.

    Example:
        mmap buf 64K
        file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504

    Kernel: mm/mmap.c: do_mmap() (v6.18)
    """
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
    path = do_mmap(
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
    return call.workspace.regions.labeled(region, path)


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
        start = call.number("at")
    elif "after" in words:
        start = call.region("after").end
    else:
        geometry = call.kernel.geometry
        boundary = call.number("align", geometry.pmd_pages)
        free = next_free(call.workspace.regions, geometry, nr, boundary, call.number("skew", 0))
        start = geometry.end if free is None else free
    call.check_user_space(call.arguments.tokens("SIZE"), start + nr)
    return start


@command(
    "munmap",
    Form(args=(own_place("the pages to unmap"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: call.syscall(call.place_text("PLACE")),
    host=True,
    races=True,
)
def munmap(call: Call) -> Path[Ending]:
    """Unmap pages.

    VMAs are split where the range ends inside them, and page tables left empty are freed. The region keeps its name.

    Example:
        mmap buf 16 ; fault buf ; munmap buf[4..7]

    Kernel: mm/vma.c: do_vmi_munmap() (v6.18)
    """
    found = call.own_range("PLACE")
    return do_munmap(call.kernel, found.mm, found.start, found.nr)


@command(
    "mprotect",
    Form(args=(own_place(), Arg("PROT", Choice(PROTS, "protection"), "the new protection"))),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: call.syscall(call.place_text("PLACE"), call.word("PROT")),
    host=True,
    races=True,
)
def mprotect(call: Call) -> Path[Ending]:
    """Change the protection of pages.

    VMAs split and merge, and a PMD mapping that is only partially covered is split. Over a hole it fails with ENOMEM
    after changing the part before the hole.

    Example:
        mmap buf 16 ; fault buf ; mprotect buf[8] r

    Kernel: mm/mprotect.c: do_mprotect_pkey() (v6.18)
    """
    found = call.own_range("PLACE")
    return do_mprotect(call.kernel, found.mm, found.start, found.nr, call.word("PROT"))


def _mremap_subject(call: Call) -> str:
    words = [call.place_text("PLACE"), *([format_pages(call.number("SIZE"))] if "SIZE" in call.arguments else [])]
    if "new" in call.arguments:
        return _at_region(call, call.word("new"), *words, call.word("new"))
    place = call.arguments.get("PLACE", PlaceRef)
    return _at_region(call, place.region, *words) if place.whole else call.syscall(*words)


@command(
    "mremap",
    Form(
        args=(own_place("the pages"), Arg("SIZE", Size(), "its new size (default: the same)", optional=True)),
        flags=flags("dontunmap", dontunmap="MREMAP_DONTUNMAP: the old range stays mapped, empty"),
        options=(Option("new", NEW_NAME, "move it: name of the new region"), *_PLACE, *_ALIGN),
    ),
    kind=MODEL,
    topic=TOPIC,
    subject=_mremap_subject,
    host=True,
    races=True,
)
def mremap(call: Call) -> Path[Ending]:
    """Resize a mapping, or move it to another address.

    With `new=` it moves the mapping and its page-table entries to a new place (MREMAP_FIXED), chosen as for mmap and
    named as a region of its own. With a size alone it shrinks or grows the mapping in place, as realloc() does; what
    cannot grow in place moves (MREMAP_MAYMOVE) and takes the name of the region along, unless another process maps it.
    A grown mapping merges with the next one if it can. No rmap function is called for moved entries.

    Example:
        mmap buf 16 ; fault buf ; mremap buf[8..15] new=tail
        mmap buf 16 ; fault buf ; mremap buf 64 ; mremap buf 8

    Kernel: mm/mremap.c: do_mremap() (v6.18)
    """
    return _move(call) if "new" in call.arguments else _resize(call)


def _move(call: Call) -> Path[Ending]:
    name = call.new_name("new")
    found = call.own_range("PLACE")
    nr = call.number("SIZE", found.nr)
    region = Region(name, start_of(call, nr), nr)
    dontunmap = "dontunmap" in call.arguments
    path = do_mremap(call.kernel, found.mm, found.start, found.nr, region.start, region.nr, dontunmap=dontunmap)
    return call.workspace.regions.labeled(region, path)


def _resize(call: Call) -> Path[Ending]:
    """Another size without a new name.

    A name is one address in every process, so it is not taken from pages that another process maps.
    """
    found, nr = _checked_resize(call)
    region = call.workspace.regions.get(call.arguments.get("PLACE", PlaceRef).region)
    is_whole = region is not None and (found.start, found.nr) == (region.start, region.nr)
    moves = must_move(found.mm, found.start, found.nr, nr)
    first_lost = found.start if moves else found.start + min(nr, found.nr)
    others = [mm.name for mm in call.kernel.mms.values() if mm is not found.mm]
    holders = [name for name in others if call.kernel.mms[name].vmas.overlapping(first_lost, found.end)]
    if moves and (holders or not is_whole):
        why = f"{holders[0]} maps it, too" if holders else "it is not a whole region"
        what = f"{call.place_text('PLACE')} must move to grow, and cannot take the name along: {why}"
        raise call.refused_at("SIZE", what, hint="name its new place with new=NAME")
    start = start_of(call, nr) if moves else None
    if nr > found.nr:
        admit_pages(call, "SIZE", nr - found.nr)
    path = do_resize(call.kernel, found.mm, found.start, found.nr, nr, start)
    return _relabeled(call.workspace.regions, region, found, nr, is_whole and not holders, path)


def _relabeled(
    regions: Regions, region: Region | None, found: Range, nr: int, takes_name: bool, path: Path[int | str]
) -> Path[Ending]:
    """Resize pages of a region, and let its name stand for what they have become.

    Args:
        found, nr: the pages, and how many they are to be.
        takes_name: the region is these pages, and no other process maps what they lose.
        path: returns where they are then, or an errno.
    """
    start = yield from path
    if isinstance(start, str):
        return start
    if region is not None:
        if takes_name:
            regions.add(Region(region.name, start, nr))
        elif found.end == region.end < start + nr:
            regions.add(region._replace(nr=start + nr - region.start))
    return None


def _checked_resize(call: Call) -> tuple[Range, int]:
    """The range to resize and its new size.

    Raises:
        Refused: a word is missing, goes with ``new=``, or the range would end beyond user space.
    """
    for word in ("dontunmap", "at", "after", "align", "skew"):
        if word in call.arguments:
            raise call.refused_at(word, f"{word} goes with new=NAME")
    if "SIZE" not in call.arguments:
        raise call.refused_at("PLACE", "the new size, or new=NAME, is missing")
    found, nr = call.own_range("PLACE"), call.number("SIZE")
    call.check_user_space(call.arguments.tokens("SIZE"), found.start + nr)
    return found, nr
