"""A call: a command being run, with its arguments looked up in the state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from folioshell.commands.lex import Token
from folioshell.commands.operands import NEW_NAME, nearest
from folioshell.commands.places import FolioRef, PlaceRef
from folioshell.errors import Refused
from folioshell.model import pte
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm
from folioshell.paths.anon_fault import huge_fault_allowed
from folioshell.records import NamedTuple
from folioshell.report import Report
from folioshell.session.host import raised_by
from folioshell.session.language import NO_PROCESS_LEFT
from folioshell.session.workspace import Region
from folioshell.units import PAGE_SHIFT, align_down, align_up, format_address

if TYPE_CHECKING:
    from folioshell.commands.statement import Arguments, Parsed
    from folioshell.model.folio import Folio
    from folioshell.model.kernel import Kernel
    from folioshell.model.mapping import AddressSpace
    from folioshell.model.vm import Mm
    from folioshell.session.session import Session
    from folioshell.session.workspace import Workspace


class Range(NamedTuple):
    """A place looked up: pages ``[start, start + nr)`` of an address space."""

    mm: Mm
    start: int
    nr: int

    @property
    def end(self) -> int:
        """First virtual page after it."""
        return self.start + self.nr


class Call:
    """A command being run.

    Attributes:
        arguments: what was typed.
        workspace: the state.
        process: name of the process that runs it; empty if none is left.
    """

    __slots__ = ("_session", "arguments", "process", "statement", "workspace")

    def __init__(self, statement: Parsed, workspace: Workspace, process: str, session: Session | None) -> None:
        self.statement = statement
        self.arguments: Arguments = statement.arguments
        self.workspace = workspace
        self.process = process
        self._session = session

    @property
    def session(self) -> Session:
        """The session; model commands have none, so that they can be replayed on any workspace."""
        assert self._session is not None, "a model command asked for the session"
        return self._session

    @property
    def kernel(self) -> Kernel:
        """The model's state."""
        return self.workspace.kernel

    @property
    def mm(self) -> Mm:
        """The address space of the process that runs the command.

        Raises:
            Refused: no process is left.
        """
        mm = self.workspace.process(self.process)
        if mm is None and self.process:
            raise self.statement.refused_process("no such process", list(self.workspace.processes))
        if mm is None:
            raise self.statement.refused_process("no process is left", [], NO_PROCESS_LEFT)
        return mm

    # Errors.

    def refused(self, token: Token | None, message: str, *, allowed: Iterable[str] = (), hint: str = "") -> Refused:
        """An error about a word, or about the command as a whole."""
        words = tuple(allowed)
        start, end = (token.start, token.end) if token else (None, None)
        return Refused(message, start=start, end=end, text=self.statement.line, allowed=words, hint=hint)

    def refused_at(self, name: str, message: str, *, allowed: Iterable[str] = (), hint: str = "") -> Refused:
        """An error about an argument."""
        tokens = self.arguments.tokens(name)
        return self.refused(tokens[0] if tokens else None, message, allowed=allowed, hint=hint)

    # Names.

    def word(self, name: str, default: str = "") -> str:
        """A word, or its default."""
        return self.arguments.get(name, str, default)

    def number(self, name: str, default: int | None = None) -> int:
        """A number, or its default."""
        return self.arguments.get(name, int, default)

    def new_name(self, name: str) -> str:
        """A name that nothing has yet.

        Raises:
            Refused: something has it.
        """
        text = self.word(name)
        self.check_new(name, text)
        return text

    def check_new(self, name: str, text: str) -> None:
        """Check that nothing has a name yet that an argument gives.

        Raises:
            Refused: something has it, or it cannot be a name.
        """
        (token,) = self.arguments.tokens(name)
        NEW_NAME.read(Token(text, token.start, token.end))
        if kind := self.workspace.kind_of(text):
            hint = "regions, files and processes share their names"
            raise self.refused_at(name, f"there is already a {kind} {text}", hint=hint)

    def file(self, name: str) -> AddressSpace:
        """A file that exists.

        Raises:
            Refused: there is none of that name.
        """
        files = self.kernel.files
        return files[self._existing(name, "file", files)]

    def process_named(self, name: str) -> Mm:
        """A living process.

        Raises:
            Refused: there is none of that name.
        """
        living = self.workspace.processes
        return living[self._existing(name, "process", living)]

    def region(self, name: str) -> Region:
        """A region.

        Raises:
            Refused: there is none of that name.
        """
        regions = self.workspace.regions
        return regions[self._existing(name, "region", regions)]

    def _existing(self, name: str, kind: str, found: Collection[str]) -> str:
        return self._check_existing(self.arguments.tokens(name)[0], self.word(name), kind, found)

    def _check_existing(self, token: Token, text: str, kind: str, found: Collection[str]) -> str:
        if text not in found:
            raise self._no_such(token, text, kind, found)
        return text

    def _no_such(self, token: Token, text: str, kind: str, found: Collection[str]) -> Refused:
        """The error about a name that none of those found has."""
        names = list(found)
        other = self.workspace.kind_of(text)
        message = f"{text} is a {other}, not a {kind}" if other else f"no such {kind}"
        return self.refused(token, message, allowed=names, hint=nearest(text, names))

    # Places and folios.

    def own_range(self, name: str) -> Range:
        """A place in the memory of the process that runs the command.

        Raises:
            Refused: it names another process, or there is no such place.
        """
        place = self.arguments.get(name, PlaceRef)
        if place.process and place.process != self.process:
            hint = f"run it as that process: `{place.process}: {self.statement.command.verb} …`"
            raise self.refused(place.token, f"{self.process} cannot do this to memory of {place.process}", hint=hint)
        return self.range_of(place)

    def check_user_space(self, tokens: Sequence[Token], end: int) -> None:
        """Check a range of virtual pages.

        Args:
            tokens: what an error is about, the first of them.
            end: the first page beyond the range.
        Raises:
            Refused: it ends beyond user space.
        """
        limit = self.kernel.geometry.end
        if end > limit:
            hint = f"user addresses end at {(limit << PAGE_SHIFT) - 1:#x}"
            raise self.refused(tokens[0] if tokens else None, "the range ends beyond user space", hint=hint)

    def range_of(self, place: PlaceRef) -> Range:
        """The pages of a place.

        Raises:
            Refused: process or region do not exist, or the pages are outside the region.
        """
        mm = self.mm
        if place.process:
            token = Token(place.process, place.token.start, place.token.start + len(place.process))
            living = self.workspace.processes
            mm = living[self._check_existing(token, place.process, "process", living)]
        if not place.region:
            self.check_user_space([place.token], place.vpn + place.nr)
            return Range(mm, place.vpn, place.nr)
        region = self.workspace.regions.get(place.region)
        nr = place.nr or (region.nr if region is not None else 0)
        if region is None or place.first + nr > region.nr:
            raise self._no_such_pages(place, region)
        return Range(mm, region.start + place.first, nr)

    def _no_such_pages(self, place: PlaceRef, region: Region | None) -> Refused:
        """The error about pages of a region that does not exist, or is shorter."""
        start = place.token.start + (len(place.process) + 1 if place.process else 0)
        token = Token(place.region, start, start + len(place.region))
        if region is None:
            return self._no_such(token, place.region, "region", self.workspace.regions)
        index = Token("", token.end, place.token.end)
        return self.refused(index, f"outside {region.name}", hint=f"{region.name} has pages 0..{region.nr - 1}")

    def place_text(self, name: str) -> str:
        """A place as sentences name it: ``win[0..15]``, a whole region by its name."""
        return self.arguments.get(name, PlaceRef).token.text

    def pages_in(self, place: PlaceRef) -> int:
        """How many pages a place names; of a whole region that does not exist, one."""
        region = self.workspace.regions.get(place.region)
        return place.nr or (region.nr if region else 1)

    def syscall(self, *arguments: str) -> str:
        """The system call that this command is, as sentences open with it: ``munmap(buf[3])``."""
        return self.calling(self.statement.command.verb, *arguments)

    def calling(self, function: str, *arguments: str) -> str:
        """A call of a function, after its process if that was named: ``B: munmap(buf[3])``."""
        statement = self.statement
        thread = f".{statement.thread}" if statement.thread else ""
        return f"{statement.process}{thread}{': ' if statement.process else ''}{function}({', '.join(arguments)})"

    def page(self, place: PlaceRef) -> tuple[Mm, int]:
        """The one page that a place names.

        Raises:
            Refused: it names more than one.
        """
        found = self.range_of(place)
        if found.nr != 1:
            hint = f"such as `{place.region}[0]`" if place.region else "such as the first one's address"
            raise self.refused(place.token, f"one page expected, this is {found.nr}", hint=hint)
        return found.mm, found.start

    def folio_at(self, mm: Mm, vpn: int, token: Token) -> tuple[Folio, int]:
        """The folio, and the page of it, that a present entry maps.

        Raises:
            Refused: there is no entry, or it maps the zero page.
        """
        found = self.kernel.folio_at(mm, vpn)
        if found is None:
            what = "maps the zero page" if self.kernel.entry(mm, vpn) > 0 else "has no present entry"
            hint = f"see `query present? {token.text}`"
            raise self.refused(token, f"{mm.name} {what} at {format_address(vpn)}, so there is no folio", hint=hint)
        return found

    def folio_number(self, ref: FolioRef) -> int:
        """The number of a folio that is or was.

        Raises:
            Refused: no folio ever had it.
        """
        last = self.kernel.last_number("folio")
        if ref.number > last:
            hint = f"the last one is f{last}" if last else "no folio exists yet"
            raise self.refused(ref.token, "no such folio", hint=hint)
        return ref.number

    def living_folio(self, name: str) -> Folio:
        """The folio that an argument names by id or by place.

        Raises:
            Refused: it does not exist, was freed, or nothing is mapped at the place.
        """
        ref = self.arguments.get(name, object)
        if isinstance(ref, PlaceRef):
            return self.folio_at(*self.page(ref), ref.token)[0]
        assert isinstance(ref, FolioRef)
        folio = self.kernel.folios.get(self.folio_number(ref))
        if folio is None:
            raise self.refused(ref.token, f"f{ref.number} was freed, or split into others", allowed=())
        return folio


def done(call: Call, text: str = "", **parts: Any) -> Report:
    """The report of a command that is no step."""
    return Report(command=call.statement.text, process=call.process, sentence=text, **parts)


def admit_pages(call: Call, name: str, nr: int, place: Range | None = None) -> None:
    """Check that ``nr`` pages may be mapped besides those that are.

    Args:
        name: the argument that asks for them.
        place: where; pages of it that are mapped already are no new ones.

    Raises:
        Refused: there would be more than the limit.
    """
    workspace, limit = call.workspace, call.workspace.limits.pages
    # What was ever admitted bounds what is mapped; only if that is too much, it is counted.
    workspace.admitted += nr
    if limit is None or workspace.admitted <= limit:
        return
    mapped = workspace.admitted = sum(mm.nr_entries for mm in call.kernel.mms.values())
    if place is not None:
        nr = missing_entries(call.kernel, place.mm, place.start, place.end)
    workspace.admitted += nr
    if mapped + nr > limit:
        workspace.admitted = mapped
        what = f"{nr:,} more than the {mapped:,} mapped" if mapped else f"{nr:,} pages"
        raise _limited(call, name, "pages", what, f"{limit:,} pages mapped")


def admit_file(call: Call, name: str, nr: int) -> None:
    """Check that files may have ``nr`` pages more; ``name`` is the argument that asks for them.

    Raises:
        Refused: there would be more than the limit.
    """
    limit, present = call.workspace.limits.files, sum(file.size for file in call.kernel.files.values())
    if limit is not None and present + nr > limit:
        what = f"{nr:,} more than the {present:,} there are" if present else f"{nr:,} pages"
        raise _limited(call, name, "files", what, f"{limit:,} pages of files")


def admit_process(call: Call, name: str, nr: int = 1) -> None:
    """Check that there may be ``nr`` more processes; ``name`` is the argument that names them.

    Raises:
        Refused: there would be more than the limit.
    """
    limit = call.workspace.limits.processes
    if limit is not None and len(call.kernel.mms) + nr > limit:
        more = f"{nr:,} more processes" if nr > 1 else "one more process"
        raise _limited(call, name, "processes", more, f"{limit:,} processes")


def _limited(call: Call, name: str, limit: str, what: str, most: str) -> Refused:
    return call.refused_at(name, f"{what} would exceed the limit of {most}", hint=raised_by(limit))


def missing_entries(k: Kernel, mm: Mm, start: int, end: int) -> int:
    """How many page-table entries accesses to all of ``[start, end)`` may need besides those that it has.

    A block that may get a huge page needs one.
    """
    size = k.geometry.pmd_pages
    missing = end - start
    for block, _, entry in mm.tables.blocks_in(start, end):
        low, high = max(start, block) - block, min(end, block + size) - block
        missing -= sum(map(bool, entry.entries[low:high])) if isinstance(entry, PageTable) else high - low
    for vma in mm.vmas.overlapping(start, end):
        if vma.file is None and huge_fault_allowed(k, vma):
            blocks = range(align_up(max(vma.start, start), size), align_down(min(vma.end, end), size), size)
            missing -= sum(mm.tables.pmd_entry(block) == pte.NONE for block in blocks) * (size - 1)
    return missing
