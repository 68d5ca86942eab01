"""A script in the command language as a scenario, which the recorder can run on a real kernel.

Rules:
- The script is run on the model meanwhile, which knows the address of each region and the current process.
- Commands that change no state (queries, expects, views) are left out; what a scenario cannot express is refused.
- A scenario places regions in slots. A region elsewhere is moved as a whole, together with everything that touches it
  or shares a page table with it, or refused.
- A script that goes back in its history is several scenarios: see ``answers.Branches``.
- After what no kernel can do, such as whose answer it acts on, nothing is added any more: ``ScenarioWriter.cut``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from folioshell.commands import Session
from folioshell.commands.access import accesses
from folioshell.commands.call import Call
from folioshell.commands.grammar import MODEL, PROGRAM, SESSION
from folioshell.commands.memory import start_of
from folioshell.commands.parse import ParsedStatement
from folioshell.errors import Refused
from folioshell.live.format import ADVICES, FILE_SYSTEMS, READ_AHEAD, SLOT, SLOT_MARGIN, Op, new_count
from folioshell.model.release import DEFAULT
from folioshell.model.vm import SHARED
from folioshell.paths.mremap import must_move
from folioshell.recording.scenario import ARENA
from folioshell.records import dataclass, replace
from folioshell.session.host import Host
from folioshell.session.language import Statement
from folioshell.units import align_down, align_up, parse_pages

_TABLE = 512
_PMD_ORDER = 9
_FS_NAMES = {word: name for name, word in FILE_SYSTEMS.items()}
#: session commands that do not affect operations
_HARMLESS = ("mark", "save", "set", "watch", "unwatch")


@dataclass(frozen=True, slots=True)
class _PlacedRegion:
    """A region of the scenario.

    Args:
        name: its name in the scenario.
        start, nr: its virtual pages in the script.
        moved: its offset in the scenario, in pages.
    """

    name: str
    start: int
    nr: int
    moved: int

    @property
    def end(self) -> int:
        """Its first virtual page beyond the end."""
        return self.start + self.nr

    def touches_tables_of(self, start: int, end: int) -> bool:
        """Does ``[start, end)`` touch it, or share a page table with it?"""
        shares = align_down(start, _TABLE) < align_up(self.end, _TABLE) and align_down(self.start, _TABLE) < align_up(
            end, _TABLE
        )
        return shares or self.end == start or end == self.start


class ScenarioWriter:
    """Collects the operations of a scenario while a script runs.

    Args:
        profile: the release that the script runs under; empty for the default one.

    Attributes:
        ops: the operations so far.
        session: where the script runs.
    """

    def __init__(self, profile: str = "") -> None:
        self.ops: list[Op] = []
        self.session = Session(counting=(), host=Host(profile=profile))
        #: why nothing is added any more
        self.cut: Refused | None = None
        self._files: dict[str, dict[str, Any]] = {}
        self._more: dict[str, Any] = {}
        self._mthp: dict[str, str] = {}
        self._spans: list[_PlacedRegion] = []
        self._mmap_line = ""
        self._handlers: dict[str, Callable[[Call], list[Op]]] = {
            "file": self._file,
            "set": self._set,
            "mmap": self._mmap,
            "mremap": self._mremap,
            "fault": self._touch,
            "read": self._touch,
            "write": self._touch,
            "fork": lambda call: [
                {"op": "fork", "proc": call.process, "child": name} for name in call.statement.new_names
            ],
            "exit": lambda call: [{"op": "exit", "proc": call.word("NAME", call.process)}],
            "munmap": self._range_op,
            "truncate": self._truncate,
            "pin": self._pin,
            "unpin": self._range_op,
            "mlock": self._range_op,
            "munlock": self._range_op,
            "mprotect": self._range_op,
            "madvise": self._madvise,
        }

    def setup(self) -> dict[str, Any]:
        """The setup of the scenario."""
        parts: dict[str, Any] = {"mthp": self._mthp, "files": self._files, **self._more}
        return {key: value for key, value in parts.items() if value}

    def place_of(self, vpn: int) -> tuple[str, int] | None:
        """(region, page) of a virtual page of the script in the scenario; None if it is in no region."""
        owner = self._owner(vpn)
        return None if owner is None else (owner.name, vpn - owner.start)

    def _owner(self, vpn: int) -> _PlacedRegion | None:
        return next((span for span in reversed(self._spans) if span.start <= vpn < span.end), None)

    def add(self, statement: Statement) -> None:
        """Run a statement, and add its operations.

        Raises:
            Refused: it cannot be run, or a scenario cannot express it.
        """
        assert isinstance(statement, ParsedStatement)
        verb = statement.command.verb
        session = self.session
        call = Call(statement, session.workspace, statement.process or session.process, session)
        if statement.kind == MODEL and self.cut is None:
            ops, cut = self._ops_of(call)
            session.run(statement)
            self._append(statement, ops)
            # What fails changes nothing, and what follows is the same without it.
            if cut is not None and not session.history.entries[session.step - 1].failure:
                self.cut = cut
        elif statement.kind == MODEL or verb == "as":
            session.run(statement)
        elif statement.kind in (SESSION, PROGRAM) and verb not in _HARMLESS:
            raise call.refused(None, f"a scenario cannot express `{verb}`")

    def _ops_of(self, call: Call) -> tuple[list[Op], Refused | None]:
        """The operations of a command; and why no kernel can follow it, if it changes what the model does."""
        verb = call.statement.command.verb
        handler = self._handlers.get(verb)
        if handler is None:
            return [], call.refused(None, f"`{verb}` is not a system call")
        # A missing process is refused when the command is run.
        if call.process not in call.kernel.mms:
            return [], None
        try:
            return handler(call), None
        except Refused as refused:
            if verb != "set":
                raise
            return [], refused

    def _append(self, statement: ParsedStatement, ops: list[Op]) -> None:
        """Add operations; a THP advice directly after an mmap on its line is part of it."""
        is_thp = len(ops) == 1 and ops[0].get("advice") in ("hugepage", "nohugepage")
        if is_thp and self._mmap_line == statement.line:
            made, op = self.ops[-1], ops[0]
            place = (op["proc"], op["region"], op["page"], op["count"])
            if place == (made["proc"], made["region"], made.get("page", 0), made.get("count", made.get("pages"))):
                made["thp"] = op["advice"]
                ops = []
        self.ops += ops
        self._mmap_line = statement.line if statement.command.verb == "mmap" else ""

    # The setup.

    def _file(self, call: Call) -> list[Op]:
        fs, order = _FS_NAMES[call.word("fs", "ext4")], call.number("order", 0)
        if order > (_PMD_ORDER if fs in ("ext4", "tmpfs_within") else 0) and fs != "tmpfs_huge":
            raise call.refused_at("order", f"Linux has no page-cache folios of order {order} on this file system")
        spec = {"pages": call.number("SIZE"), "fs": fs, "cached": call.word("cache", "cached") == "cached"}
        if order and fs != "tmpfs_huge":
            spec["chunk_pages"] = 1 << order
        self._files[call.word("NAME")] = spec
        return []

    def _set(self, call: Call) -> list[Op]:
        lead = call.word("lead")
        if lead in ("fault_around", "swap"):
            self._set_more(call, lead)
        elif not lead.startswith("thp."):
            value = call.number("SIZE") if lead == "read_ahead" else call.statement.text.split()[-1]
            usual = (
                ("profile", self.session.host.profile or DEFAULT.version),
                ("decide", DEFAULT.policy.decider),
                ("geometry", "x86-64"),
                ("read_ahead", READ_AHEAD),
            )
            if (lead, value) not in usual:
                if lead == "geometry":
                    raise call.refused_at("lead", "no kernel has page tables of another geometry")
                raise call.refused_at("lead", f"a scenario cannot express {lead}")
        elif self.ops:
            raise call.refused_at("lead", "must be set before the first operation of a scenario")
        else:
            size = lead.partition(".")[2]
            pages = _TABLE if size == "pmd" else parse_pages(size)
            self._mthp[str(4 * pages)] = call.word("MODE")
        return []

    def _set_more(self, call: Call, lead: str) -> None:
        """The fault-around window, and swap on zram, of the whole scenario."""
        config, mode = call.kernel.config, call.word("MODE")
        now: Any = config.fault_around if lead == "fault_around" else "sync" if config.sync_swap else "off"
        wanted: Any = call.number("SIZE") if lead == "fault_around" else mode
        if wanted == now:
            return
        if mode == "on":
            raise call.refused_at("MODE", "a recorder swaps to zram", hint="write `set swap sync`")
        if self.ops:
            raise call.refused_at("lead", "must be set before the first operation of a scenario")
        self._more[lead] = wanted if lead == "fault_around" else True

    # Operations.

    def _mmap(self, call: Call) -> list[Op]:
        if "populate" in call.arguments:
            raise call.refused_at("populate", "a scenario cannot express `populate`")
        file = call.word("file")
        kind = call.word("kind", "private" if file else "anon")
        nr = call.number("SIZE")
        op: Op = {"op": "mmap", "proc": call.process}
        if not file:
            op["kind"] = "anon_shared" if kind == "shared" else "anon"
        elif kind == "private":
            op["kind"] = "file_private"
        else:
            is_shmem = call.file("file").is_shmem
            op["kind"] = "shmem_file" if is_shmem else "file_shared"
        op["prot"] = call.word("prot", "r" if op["kind"] == "file_private" else "rw")
        if file:
            op |= {"file": file, "file_offset_pages": call.number("offset", 0)}
        if "fixed" in call.arguments:
            return [op | {"op": "mmap_over", **self._translated(call, "NAME", start_of(call, nr), nr)}]
        name = self._new_name(call.word("NAME"))
        return [op | {"region": name, "pages": nr, **self._place_region(call, "NAME", name, nr)}]

    def _mremap(self, call: Call) -> list[Op]:
        op = {"op": "mremap", "proc": call.process, **self._range(call)}
        if call.number("SIZE", op["count"]) != op["count"] or "new" not in call.arguments:
            op |= {"op": "mresize", "new_count": call.number("SIZE", op["count"])}
        if "new" not in call.arguments:
            place = call.own_range("PLACE")
            if must_move(place.mm, place.start, place.nr, op["new_count"]):
                raise call.refused_at("SIZE", "a scenario cannot express a move without new=NAME")
            self._give_room(call, op["region"], op["page"] + op["new_count"])
            return [op]
        op["new_region"] = self._new_name(call.word("new"))
        if "dontunmap" in call.arguments:
            op["dontunmap"] = True
        return [op | self._place_region(call, "new", op["new_region"], new_count(op))]

    @staticmethod
    def _truncate(call: Call) -> list[Op]:
        return [{"op": "truncate", "proc": call.process, "file": call.word("FILE"), "size": call.number("SIZE")}]

    def _touch(self, call: Call) -> list[Op]:
        verb = call.statement.command.verb
        pieces = accesses(call, call.own_range("PLACE"), call.word("access") if verb == "fault" else verb)
        return [
            {
                "op": "touch",
                "proc": call.process,
                **self._translated(call, "PLACE", start, nr),
                "access": "write" if write else "read",
            }
            for start, nr, write in pieces
        ]

    def _madvise(self, call: Call) -> list[Op]:
        advice = call.word("ADVICE")
        if advice not in ADVICES:
            raise call.refused_at("ADVICE", f"a scenario cannot express {advice}", allowed=ADVICES)
        return [{"op": "madvise", "proc": call.process, **self._range(call), "advice": advice}]

    def _pin(self, call: Call) -> list[Op]:
        place = call.own_range("PLACE")
        is_refused = any(
            vma.flags & SHARED and vma.file is not None and vma.file.needs_mkwrite
            for vma in place.mm.vmas
            if vma.start < place.start + place.nr and place.start < vma.end
        )
        # Elsewhere a long-term pin does the same.
        if is_refused and "longterm" not in call.arguments:
            raise call.refused(None, "a scenario pins long-term", hint="write `pin PLACE longterm`")
        return self._range_op(call)

    def _range_op(self, call: Call) -> list[Op]:
        op = {"op": call.statement.command.verb, "proc": call.process, **self._range(call)}
        return [{**op, "prot": call.word("PROT")} if "PROT" in call.arguments else op]

    # Places.

    def _new_name(self, name: str) -> str:
        """An unused region name: the label of a failed mmap may be reused in a script."""
        taken = {span.name for span in self._spans}
        while name in taken:
            name += "_"
        return name

    def _place_region(self, call: Call, argument: str, name: str, nr: int) -> dict[str, Any]:
        """Add a new region; returns the keys that place it."""
        start = start_of(call, nr)
        slot = len(self._spans) * SLOT
        offset = start - ARENA - slot
        before = next((span for span in self._spans if span.end == start), None)
        keys: dict[str, Any] = {}
        if 0 < offset <= SLOT - SLOT_MARGIN - nr:
            moved = 0
            align = _TABLE if offset >= _TABLE else 1 << (offset.bit_length() - 1)
            keys = {"align_pages": align, "skew_pages": offset - align}
        elif before is not None:
            moved, keys = before.moved, {"after": before.name}
        else:
            moved = ARENA + slot + _TABLE + start % _TABLE - start
            keys = {"align_pages": _TABLE, "skew_pages": start % _TABLE}
        for span in self._spans:
            if span.start < start + nr and start < span.end:
                raise call.refused_at(argument, f"cannot be placed in a scenario: overlaps {span.name}")
            if span.moved != moved and span.touches_tables_of(start, start + nr):
                raise call.refused_at(argument, f"cannot be placed so close to {span.name} in a scenario", hint=_NEAR)
        self._spans.append(_PlacedRegion(name, start, nr, moved))
        return keys

    def _give_room(self, call: Call, name: str, nr: int) -> None:
        """Let a region own ``nr`` pages of address space, for growth."""
        position = next(position for position, span in enumerate(self._spans) if span.name == name)
        span = self._spans[position]
        if nr <= span.nr:
            return
        made = next((op for op in self.ops if op["op"] == "mmap" and op["region"] == name), None)
        if made is None or any(other.start < span.start + nr and span.end <= other.start for other in self._spans):
            raise call.refused_at("SIZE", f"a scenario cannot express that {name} outgrows its place")
        made["room_pages"] = nr
        self._spans[position] = replace(span, nr=nr)

    def _range(self, call: Call) -> dict[str, Any]:
        found = call.own_range("PLACE")
        return self._translated(call, "PLACE", found.start, found.nr)

    def _translated(self, call: Call, argument: str, start: int, nr: int) -> dict[str, Any]:
        """The keys for pages ``[start, start + nr)`` of the script, which ``argument`` names."""
        end = start + nr
        owner = self._owner(start)
        if owner is None:
            raise call.refused_at(argument, "no region at this address, and scenarios have no addresses")
        low, high = start + owner.moved, end + owner.moved
        for span in self._spans:
            here = span.start < end and start < span.end
            there = span.start + span.moved < high and low < span.end + span.moved
            if here != there:
                raise call.refused_at(
                    argument, f"this range includes {span.name}, which has another place in a scenario"
                )
        return {"region": owner.name, "page": start - owner.start, "count": nr}


_NEAR = "only regions with `after=` are adjacent; others have their own page tables"
