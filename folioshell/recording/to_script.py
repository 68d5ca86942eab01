"""A scenario as a script in the command language, with the same addresses.

Rules:
- The scenario is run on the model meanwhile: an operation that fails there is written under ``fails``.
- ``mmap … ; madvise hugepage …`` on one line is one operation of the scenario, on two lines two.
- Names that are invalid in the language (``f1`` is a folio there) get an underscore.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from folioshell.commands.operands import ID_FORM, NAME
from folioshell.live.format import FILE_KINDS, FILE_SYSTEMS, READ_AHEAD, BadScenario, Op, Result, new_count, region_made
from folioshell.model.mapping import write_orders
from folioshell.recording.scenario import ScenarioRun
from folioshell.units import PAGE_SHIFT, format_pages

MAGIC = "#!folioshell 1"
_FIRST_PROCESS = "A"
_PMD_ORDER = 9


def script_of(scenario: dict[str, Any]) -> str:
    """The script of a checked scenario.

    Raises:
        BadScenario: the language cannot express a part of it.
    """
    return "\n".join(_Writer(scenario).lines()) + "\n"


class _Writer:
    """Writes one checked scenario."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self._scenario = scenario
        self._replay = ScenarioRun(scenario)
        self._taken: set[str] = {_FIRST_PROCESS}
        self._names: dict[tuple[str, str], str] = {("process", _FIRST_PROCESS): _FIRST_PROCESS}
        # Regions with a label in the script, and its pages: those whose mmap or mremap succeeded.
        self._labels: dict[str, int] = {}
        self._first_is_alive = True

    def lines(self) -> Iterator[str]:
        """The lines of the script."""
        yield MAGIC
        for line in str(self._scenario.get("doc", "")).splitlines():
            yield f"| {_printable(line)}"
        setup = self._scenario.get("setup", {})
        for size, mode in (setup.get("mthp") or {}).items():
            yield f"set thp.{format_pages(int(size) // 4)} {'madvise' if mode == 'inherit' else mode}"
        if "fault_around" in setup:
            yield f"set fault_around {format_pages(setup['fault_around'])}"
        if setup.get("swap"):
            yield "set swap sync"
        if any(spec["fs"] == "ext4" for spec in (setup.get("files") or {}).values()):
            yield f"set read_ahead {format_pages(READ_AHEAD)}"
        for op in self._scenario["ops"]:
            if op["op"] == "fork":
                self._name("process", op["child"])
        for name, spec in (setup.get("files") or {}).items():
            yield self._file(name, spec)
        for number, op in enumerate(self._scenario["ops"]):
            yield self._op(number, op)

    def _name(self, kind: str, name: str) -> str:
        """The name in the script, where regions, files and processes share one namespace."""
        known = self._names.get((kind, name))
        if known is not None:
            return known
        word = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:32]
        if not NAME.match(word) or ID_FORM.match(word):
            word = f"{word}_" if word[:1].isalpha() else f"_{word}"
        while word in self._taken:
            word += "_"
        self._taken.add(word)
        self._names[kind, name] = word
        return word

    def _file(self, name: str, spec: dict[str, Any]) -> str:
        words = ["file", self._name("file", name), str(spec["pages"])]
        if spec["fs"] in ("ext4", "tmpfs_within") and (order := _order(name, spec)):
            words.append(f"order={order}")
        if spec["fs"] != "ext4":
            words.append(f"fs={FILE_SYSTEMS[spec['fs']]}")
        if not spec.get("cached", True):
            words.append("uncached")
        return " ".join(words)

    def _op(self, number: int, op: Op) -> str:
        what = self._words(number, op)
        result = self._replay.run(op)
        # What cannot grow in place would move in a script: MREMAP_MAYMOVE.
        stays = op["op"] == "mresize" and "new_region" not in op and result.get("errno") == "ENOMEM"
        if "skipped" in result or not what or stays:
            reason = "it may not move" if stays else result.get("skipped", "no pages")
            return f"# operation {number}, {op['op']} by {_printable(op['proc'])}, left out: {reason}"
        if (made := region_made(op)) and "ok" in result:
            self._labels[made] = op["pages"] if op["op"] == "mmap" else new_count(op)
        line = self._command(op["proc"], what, result)
        if op.get("thp", "default") != "default" and "ok" in result:
            failed = {"errno": result["thp_errno"]} if "thp_errno" in result else {}
            advice = f"madvise {op['thp']} {what.split()[1]}"
            line += f" ; {self._command(op['proc'], advice, failed)}"
        if op["op"] == "exit" and op["proc"] == _FIRST_PROCESS:
            self._first_is_alive = False
        return line

    def _command(self, process: str, what: str, result: Result) -> str:
        """A command, with its process and failure where those are not the default."""
        failure = result.get("errno") or next((row[2] for row in result.get("signals", ())), "")
        # The first process is the current one while it lives.
        usual = self._first_is_alive and process == _FIRST_PROCESS
        who = "" if usual else f"{self._name('process', process)}: "
        return f"{who}{f'fails {failure} ' if failure else ''}{what}"

    def _words(self, number: int, op: Op) -> str:
        """The command without its process; empty if the language cannot express it."""
        verb = op["op"]
        if verb in ("mmap", "mmap_over"):
            return self._mmap(number, op)
        if verb == "fork":
            return f"fork {self._name('process', op['child'])}"
        if verb == "exit":
            return "exit"
        if verb == "truncate":
            return f"truncate {self._name('file', op['file'])} {op['size']}"
        if not op["count"]:
            return ""
        place = self._place(op["region"], op["page"], op["count"])
        if verb == "touch":
            return f"{op['access']} {place}"
        if verb == "mresize" and "new_region" not in op:
            # By address: a region that is named is relabeled.
            return f"mremap {self._at_address(op['region'], op['page'])}+{op['count']} {op['new_count']}"
        if verb in ("mremap", "mresize"):
            size = [str(op["new_count"])] if verb == "mresize" else []
            new = f"new={self._name('region', op['new_region'])}"
            words = ["mremap", place, *size, new, self._at(op, op["new_region"])]
            return " ".join([*words, "dontunmap"] if op.get("dontunmap") else words)
        if verb == "pin":
            return f"pin {place} longterm"
        if verb == "madvise":
            return f"madvise {op['advice']} {place}"
        return f"{verb} {place} {op['prot']}" if verb == "mprotect" else f"{verb} {place}"

    def _mmap(self, number: int, op: Op) -> str:
        over = op["op"] == "mmap_over"
        name = self._name("region", f"{op['region']}_{number}" if over else op["region"])
        words = ["mmap", name, str(op["count"] if over else op["pages"])]
        private_file = op["kind"] == "file_private"
        if not private_file and op["kind"] != "anon":
            words.append("shared")
        if op["kind"] in FILE_KINDS:
            words.append(f"file={self._name('file', op['file'])}")
            if op.get("file_offset_pages"):
                words.append(f"offset={op['file_offset_pages']}")
        if op["prot"] != ("r" if private_file else "rw"):
            words.append(f"prot={op['prot']}")
        if over:
            return " ".join([*words, f"at={self._at_address(op['region'], op['page'])}", "fixed"])
        return " ".join([*words, self._at(op, op["region"])])

    def _at(self, op: Op, region: str) -> str:
        after = op.get("after", "")
        # In a scenario it is the place that a region owns that ends there, not what it maps of that.
        if after in self._labels and self._labels[after] == self._replay.regions[after][1]:
            return f"after={self._name('region', after)}"
        return f"at={self._at_address(region, 0)}"

    def _place(self, region: str, page: int, count: int) -> str:
        """A range of a region; an address if the region has no label, or ends before the range."""
        nr = self._labels.get(region, 0)
        if page + count > nr:
            return f"{self._at_address(region, page)}+{count}"
        name = self._name("region", region)
        if (page, count) == (0, nr):
            return name
        return f"{name}[{page}]" if count == 1 else f"{name}[{page}+{count}]"

    def _at_address(self, region: str, page: int) -> str:
        return f"{self._replay.vpn(region, page) << PAGE_SHIFT:#x}"


def _order(name: str, spec: dict[str, Any]) -> int:
    """The order that results in the same folios as the chunks in which a file was written."""
    size, chunk = spec["pages"], spec.get("chunk_pages", 1)
    wanted = list(write_orders(size, chunk, _PMD_ORDER, False))
    for order in range(_PMD_ORDER + 1):
        if list(write_orders(size, 1 << order, _PMD_ORDER, False)) == wanted:
            return order
    raise BadScenario(f"file {name}: `file` cannot express the folios of a write in chunks of {chunk} pages")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
