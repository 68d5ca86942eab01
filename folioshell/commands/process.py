"""Processes: fork, exit, and which one is current."""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.commands.call import Call, admit_pages, admit_process, done
from folioshell.commands.grammar import MODEL, SESSION, Arg, Form, Option, command
from folioshell.commands.operands import NEW_NAME, Number
from folioshell.commands.places import PROCESS
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.paths import Path
from folioshell.paths.fork import do_fork
from folioshell.paths.mmap import do_exit
from folioshell.report import Report
from folioshell.session.history import Ending
from folioshell.session.workspace import Region
from folioshell.wording import counted

TOPIC = "processes"


def _pages_of(mm: Mm) -> list[tuple[int, int]]:
    """(first, number) of the pages of each VMA, ascending."""
    return [(vma.start, vma.nr_pages) for vma in mm.vmas]


def _who_ends(call: Call) -> Mm:
    return call.process_named("NAME") if "NAME" in call.arguments else call.mm


def _exiting_pages(call: Call) -> list[tuple[int, int]]:
    """What exit goes through; asked while it is under way, when the process can run no more commands."""
    mm = call.kernel.mms.get(call.word("NAME", call.process))
    return _pages_of(mm) if mm is not None else []


def _fork_subject(call: Call) -> str:
    names = call.statement.new_names
    copied = counted(len(call.kernel.mms[names[0]].vmas), "VMA")
    if len(names) == 1:
        return f"{call.syscall()} = {names[0]}, {copied} copied"
    return f"{call.syscall()} ×{len(names)} = {names[0]}..{names[-1]}, {copied} copied to each"


@command(
    "fork",
    Form(
        args=(Arg("NAME", NEW_NAME, "name of the child"),),
        options=(Option("count", Number(least=1), "fork so many children, NAME1 to NAMEn"),),
    ),
    kind=MODEL,
    topic=TOPIC,
    subject=_fork_subject,
    host=True,
    races=True,
    pages=lambda call: _pages_of(call.mm) * call.number("count", 1),
)
def fork(call: Call) -> Path[Ending]:
    """Fork a child process.

    Creates a child with a copy of the address space. Entries of VMAs with an anon_vma are copied; the child refaults
    the others. The current process does not change. With `count=` several children are forked, one after the other, in
    one step.

    Example:
        mmap buf 16 ; fault buf ; fork B
        mmap buf 16 ; fault buf ; fork B count=3 ; B2: exit

    Kernel: kernel/fork.c: dup_mm() (v6.18)
    """
    names = call.statement.new_names
    admit_process(call, "NAME", len(names))
    admit_pages(call, "NAME", call.mm.nr_entries * len(names))
    for name in names:
        call.check_new("NAME", name)
    workspace = call.workspace
    return _forked(workspace.kernel, call.mm, names, workspace.regions.claims, workspace.process_names)


def _forked(
    k: Kernel, parent: Mm, names: Sequence[str], claims: dict[str, Region | None], process_names: dict[int, str]
) -> Path[Ending]:
    """Fork children, one after the other; their names are taken from the start, and each can run once it is forked."""
    claims.update(dict.fromkeys(names))
    for name in names:
        child = yield from do_fork(k, parent, name)
        del claims[name]
        process_names[child.mm_id] = name
    return None


@command(
    "exit",
    Form(args=(Arg("NAME", PROCESS, "process to end (default: the current one)", optional=True),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: f"{call.word('NAME', call.process)} exited",
    host=True,
    races=True,
    pages=_exiting_pages,
)
def exit_process(call: Call) -> Path[Ending]:
    """End a process.

    Ends a process and frees its address space. If it was the current one, its parent becomes current, or else the first
    living process. In a race, other threads of the process finish the command that they are in; the last of them frees
    the address space, and none begins another.

    Example:
        fork B ; exit B
        fork B ; B: exit

    Kernel: mm/mmap.c: exit_mmap() (v6.18)
    """
    return do_exit(call.kernel, _who_ends(call))


@command("as", Form(args=(Arg("NAME", PROCESS, "process to run what follows"),)), kind=SESSION, topic=TOPIC)
def as_process(call: Call) -> Report:
    """Switch to another process.

    Makes a process the current one. This is no step: nothing changes in the kernel. To run one command as B, write `B:
    verb …`.

    Example:
        fork B ; as B
    """
    name = call.process_named("NAME").name
    call.workspace.current = name
    call.session.history.note_current(name)
    return done(call, f"{name} is the current process.")
