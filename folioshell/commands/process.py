"""Processes: fork, exit, and which one is current."""

from __future__ import annotations

from folioshell.commands.build import NEW_NAME, arg, command, done, process_operand
from folioshell.commands.call import Call
from folioshell.commands.grammar import MODEL, SESSION, Form
from folioshell.commands.limits_check import admit_pages, admit_process
from folioshell.model.vm import Mm
from folioshell.paths.fork import do_fork
from folioshell.paths.mmap import do_exit
from folioshell.report import Report
from folioshell.session.language import Ending
from folioshell.wording import counted

TOPIC = "processes"


def _pages_of(mm: Mm) -> list[tuple[int, int]]:
    """(first, number) of the pages of each VMA, ascending."""
    return [(vma.start, vma.nr_pages) for vma in mm.vmas]


def _who_ends(call: Call) -> Mm:
    return call.process_named("NAME") if "NAME" in call.arguments else call.mm


@command(
    "fork",
    Form(args=(arg("NAME", NEW_NAME, "name of the child"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="duplicate the process",
    explained="Makes a child with a copy of the address space. Entries of VMAs that have an anon_vma are copied, "
    "others are left to faults. The current process stays the same.",
    examples=("mmap buf 16 ; fault buf ; fork B",),
    subject=lambda call: (
        f"{call.process} forked {call.word('NAME')}, "
        f"{counted(len(call.kernel.mms[call.word('NAME')].vmas), 'VMA')} copied"
    ),
    host=True,
    kernel="kernel/fork.c: dup_mm()",
    pages=lambda call: _pages_of(call.mm),
)
def fork(call: Call) -> Ending:
    """Duplicate the process."""
    name = call.new_name("NAME")
    admit_process(call, "NAME")
    admit_pages(call, "NAME", call.mm.nr_entries)
    call.workspace.note_process(call.workspace.machine.run(do_fork(call.kernel, call.mm, name)))
    return None


@command(
    "exit",
    Form(args=(arg("NAME", process_operand(), "who ends; the one that runs this unless said", optional=True),)),
    kind=MODEL,
    topic=TOPIC,
    summary="end a process",
    explained="Ends a process and its address space. If it was the current one, its parent becomes current, else the "
    "first one that lives.",
    examples=("fork B ; exit B", "fork B ; B: exit"),
    subject=lambda call: f"{call.word('NAME', call.process)} ended",
    host=True,
    kernel="mm/mmap.c: exit_mmap()",
    pages=lambda call: _pages_of(_who_ends(call)),
)
def exit_process(call: Call) -> Ending:
    """End a process."""
    mm = _who_ends(call)
    name, parent = mm.name, mm.parent
    call.workspace.machine.run(do_exit(call.kernel, mm))
    if call.workspace.current == name:
        living = call.kernel.mms
        call.workspace.current = parent if parent in living else next(iter(living), "")
    return None


@command(
    "as",
    Form(args=(arg("NAME", process_operand(), "who runs what follows"),)),
    kind=SESSION,
    topic=TOPIC,
    summary="switch to another process",
    explained="Makes a process the current one. This is no step: nothing changes in the kernel. For one command `B: "
    "verb …` does.",
    examples=("fork B ; as B",),
)
def as_process(call: Call) -> Report:
    """Switch to another process."""
    name = call.process_named("NAME").name
    call.workspace.current = name
    call.session.history.note_current(name)
    return done(call, f"{name} is the current process.")
