"""set, and mode: switches of the simulated kernel, which are steps, and of what is shown, which are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from folioshell.commands.call import Call, done
from folioshell.commands.grammar import MODEL, OUTPUT, SESSION, VIEW, Arg, Form, command
from folioshell.commands.operands import Choice, Choices, Number, Size
from folioshell.commands.schemes import ProtocolName, SchemeList, SchemeName, protocol_of, scheme_of, schemes_of
from folioshell.errors import Refused
from folioshell.model.kernel import Kernel
from folioshell.model.release import DEFAULT, DIFFERENCES, RELEASES
from folioshell.report import Report, Table
from folioshell.session.history import Ending
from folioshell.session.host import MODES
from folioshell.session.step_report import AFTER, AUDIENCES
from folioshell.units import GEOMETRIES, format_pages, parse_pages

TOPIC = "settings"
THP_MODES = {"always": "for all anonymous memory", "madvise": "for memory advised hugepage", "never": "for none"}
ON_OFF = {"on": "yes", "off": "no"}
_SWAP = {"on": "a disk", "sync": "a device that is read synchronously: zram", "off": "no"}
#: file of /sys/kernel/mm/transparent_hugepage/khugepaged/ -> what it limits
_MAX_PTES = {
    "max_ptes_none": "pages of a block that khugepaged may add (default: all but one)",
    "max_ptes_shared": "pages that other processes may map too (default: half)",
    "max_ptes_swap": "pages that it may read from swap (default: an eighth)",
}
#: bounds of read_ahead, in pages
_LEAST_READ_AHEAD, _MOST_READ_AHEAD = 4, 4096


#: how commands begin that say which machine there is; they come before all others
_BOOT_COMMANDS = ("set geometry ", "set profile ")


def _check_booting(call: Call) -> None:
    """Refuse a setting of the machine itself once anything else was done.

    Raises:
        Refused: a step was made that is no such setting.
    """
    if not all(record.command.startswith(_BOOT_COMMANDS) for record in call.workspace.journal):
        what = call.word("lead")
        hint = "`reset` starts over"
        raise call.refused_at("lead", f"{what} can be set at step 0 only", hint=hint)


def _geometry(call: Call) -> Ending:
    _check_booting(call)
    release = call.kernel.release
    call.workspace.boot(GEOMETRIES[call.word("GEOMETRY")])
    call.workspace.machine.follow(release)
    return None


def _profile(call: Call) -> Ending:
    _check_booting(call)
    call.workspace.machine.set_profile(call.word("PROFILE"))
    return None


def _swap(call: Call) -> Ending:
    if call.word("MODE") == "off" and any(call.kernel.slots.counts):
        raise call.refused_at("MODE", "pages are in swap", hint="touch or unmap them first")
    call.kernel.config.swap = call.word("MODE") != "off"
    call.kernel.config.sync_swap = call.word("MODE") == "sync"
    return None


def _page_mapcount(call: Call) -> Ending:
    if not call.kernel.release.page_mapcount_is_optional:
        raise _lacks(call, "page_mapcount_is_optional")
    call.kernel.config.page_mapcount = call.word("MODE") == "on"
    return None


def _lacks(call: Call, difference: str) -> Refused:
    """The refusal of a setting that the release does not have."""
    change = DIFFERENCES[difference]
    return call.refused_at(
        "lead", f"Linux {call.kernel.release.version} lacks {change.where}", hint=f"v{change.since} added it"
    )


def _decide(call: Call) -> Ending:
    call.workspace.machine.decide(scheme_of(call, "SCHEME").name)
    return None


def _protocol(call: Call) -> Ending:
    call.workspace.machine.set_protocol(protocol_of(call, "PROTOCOL"))
    return None


def _thp(call: Call) -> Ending:
    size = call.word("lead").partition(".")[2]
    geometry = call.kernel.geometry
    sizes = {format_pages(1 << order): order for order in geometry.thp_orders}
    order = geometry.pmd_order if size == "pmd" else _order_of(size)
    if order not in geometry.thp_orders:
        allowed = [f"thp.{name}" for name in (*sizes, "pmd")]
        raise call.refused_at("lead", "no such size of an anonymous folio", allowed=allowed)
    if order != geometry.pmd_order and not call.kernel.release.has_mthp:
        raise _lacks(call, "has_mthp")
    call.kernel.config.thp[order] = call.word("MODE")
    return None


def _order_of(size: str) -> int:
    """The order of a folio of this size; -1 if there is none."""
    try:
        pages = parse_pages(size)
    except ValueError:
        return -1
    return pages.bit_length() - 1 if pages and not pages & (pages - 1) else -1


def _fault_around(call: Call) -> Ending:
    pages, most = call.number("SIZE"), call.kernel.geometry.table_entries
    if pages & (pages - 1) or pages > most:
        raise call.refused_at("SIZE", "not a power of two within a page table", hint=f"allowed: 1 to {most} pages")
    call.kernel.config.fault_around = pages
    return None


def _read_ahead(call: Call) -> Ending:
    pages = call.number("SIZE")
    if pages & (pages - 1) or not _LEAST_READ_AHEAD <= pages <= _MOST_READ_AHEAD:
        hint = f"allowed: {_LEAST_READ_AHEAD} to {_MOST_READ_AHEAD} pages"
        raise call.refused_at("SIZE", "not a power of two, or out of range", hint=hint)
    call.kernel.config.read_ahead = pages
    return None


def _max_ptes(call: Call) -> Ending:
    name, most = call.word("lead").partition(".")[2], call.kernel.geometry.pmd_pages - 1
    if call.number("N") > most:
        raise call.refused_at("N", "more entries than a block may be without", hint=f"allowed: 0 to {most}")
    setattr(call.kernel.config, name, call.number("N"))
    return None


def _viewing(change: Callable[[Call], None]) -> Callable[[Call], Report]:
    """The handler of a setting that is no step."""

    def handler(call: Call) -> Report:
        change(call)
        return done(call, f"Set {call.statement.text.partition(' ')[2]}.")

    return handler


def _after(call: Call) -> None:
    call.session.settings.after = call.arguments.get("WHAT", tuple)


def _walks(call: Call) -> None:
    call.session.settings.walks = call.word("WHEN") == "always"


def _audience(call: Call) -> None:
    call.session.settings.audience = call.word("AUDIENCE")


def _schemes(call: Call) -> None:
    call.session.settings.schemes = schemes_of(call, "NAME")


def _check(call: Call) -> None:
    call.session.settings.check = call.word("MODE") == "on"


def _pager(call: Call) -> None:
    call.session.host.output.pager = call.word("MODE") == "on"


def _sizes(session: Any) -> list[tuple[str, str]]:
    geometry = session.workspace.kernel.geometry
    pairs = [(f"thp.{format_pages(1 << order)}", f"order {order}") for order in geometry.thp_orders]
    return [*pairs, ("thp.pmd", "the size that a PMD maps")]


def _form(lead: str, name: str, operand: Any, summary: str, handler: Callable[[Call], Any], kind: str) -> Form:
    return Form(lead, (Arg(name, operand, summary),), summary=summary, handler=handler, kind=kind)


_PROFILE_WORDS = {
    row.version: f"Linux {row.point}; most sharing tests use {row.policy.decider}"
    for row in sorted(RELEASES.values(), key=lambda row: row is not DEFAULT)
}

_GEOMETRY_WORDS = {"x86-64": "512 entries a table, order-9 PMDs", "classroom": "8 entries a table, order-3 PMDs"}


@command(
    "set",
    Form(summary="show all settings"),
    _form(
        "geometry",
        "GEOMETRY",
        Choice(_GEOMETRY_WORDS, "geometry"),
        "shape of the page tables; at step 0 only",
        _geometry,
        MODEL,
    ),
    _form(
        "profile",
        "PROFILE",
        Choice(_PROFILE_WORDS, "profile"),
        "kernel release to behave like; at step 0 only",
        _profile,
        MODEL,
    ),
    Form(
        "thp.SIZE",
        (Arg("MODE", Choice(THP_MODES, "mode"), "which memory gets folios of that size"),),
        summary="anonymous folios of a size: thp.pmd (= thp.2M), thp.64K, …",
        handler=_thp,
        kind=MODEL,
        prefix="thp.",
        expand=_sizes,
    ),
    _form("decide", "SCHEME", SchemeName(), "whose answer the simulated kernel acts on", _decide, MODEL),
    _form(
        "protocol",
        "PROTOCOL",
        ProtocolName(),
        "how the kernel counts under its locks what the deciding scheme defines; those of the mail count vmas",
        _protocol,
        MODEL,
    ),
    _form(
        "fault_around", "SIZE", Size(), "pages that a file fault maps around it; 4K turns it off", _fault_around, MODEL
    ),
    _form("read_ahead", "SIZE", Size(), "pages that a page-cache miss reads", _read_ahead, MODEL),
    _form("swap", "MODE", Choice(_SWAP, "word"), "whether there is a swap device, and of which kind", _swap, MODEL),
    _form(
        "page_mapcount",
        "MODE",
        Choice(ON_OFF, "word"),
        "whether the kernel reads per-page mapcounts; off: averages (CONFIG_NO_PAGE_MAPCOUNT)",
        _page_mapcount,
        MODEL,
    ),
    *(_form(f"khugepaged.{name}", "N", Number(), summary, _max_ptes, MODEL) for name, summary in _MAX_PTES.items()),
    _form(
        "audience",
        "AUDIENCE",
        Choice(AUDIENCES, "audience"),
        "whom the output is for (default: class in classroom geometry, else expert)",
        _viewing(_audience),
        SESSION,
    ),
    _form("after", "WHAT", Choices(AFTER, "part"), "what is shown after a step", _viewing(_after), SESSION),
    _form(
        "walks",
        "WHEN",
        Choice(
            {"always": "walk touched folios even where the kernel would not", "made": "only walks that were made"},
            "word",
        ),
        "which rmap walks are shown",
        _viewing(_walks),
        SESSION,
    ),
    _form("schemes", "NAME", SchemeList(), "which schemes are shown", _viewing(_schemes), SESSION),
    _form("check", "MODE", Choice(ON_OFF, "word"), "verify every invariant after each step", _viewing(_check), SESSION),
    _form(
        "pager",
        "MODE",
        Choice(ON_OFF, "word"),
        "show what does not fit on the screen in a pager",
        _viewing(_pager),
        OUTPUT,
    ),
    kind=VIEW,
    topic=TOPIC,
    lead_name="setting",
    subject=lambda call: " set to ".join(call.statement.text.split()[-2:]),
)
def set_(call: Call) -> Report:
    """Change or show settings.

    Settings of the simulated kernel (geometry, profile, thp, decide, protocol, fault_around, read_ahead, swap,
    page_mapcount, khugepaged) change what later commands do: each is a step, and undo reverts it. Settings of what is
    shown (audience, after, walks, schemes, check, pager) are no steps, and undo does not affect them. `set` alone shows
    all.

    Example:
        set
        set geometry classroom
        set thp.64K always ; mmap buf 16 ; fault buf[0]
        set decide vmas ; set protocol own-table-first
        set audience class
        set schemes tuples,vmas ; set after mapcounts ; set walks made ; set check on ; set pager off
        set fault_around 4K ; set read_ahead 64K
        set khugepaged.max_ptes_none 0 ; khugepaged
    """
    settings = call.session.settings
    rows = [
        *kernel_settings(call.kernel),
        ("audience", settings.audience_of(call.kernel)),
        ("after", ",".join(settings.parts(call.kernel)) or "none"),
        ("walks", "always" if settings.walks else "made"),
        ("schemes", ",".join(call.session.shown_schemes) or "none"),
        ("check", "on" if settings.check else "off"),
        ("pager", "on" if call.session.host.output.pager else "off"),
    ]
    return done(call, sections=(Table("settings", ("setting", "value"), tuple(rows)),))


def kernel_settings(kernel: Kernel) -> list[tuple[str, str]]:
    """The settings of the simulated kernel and their values, as ``set`` shows them."""
    config = kernel.config
    return [
        ("geometry", kernel.geometry.name),
        ("profile", kernel.release.version),
        *((f"thp.{format_pages(1 << order)}", config.thp.get(order, "never")) for order in kernel.geometry.thp_orders),
        ("decide", kernel.decider.name),
        ("protocol", kernel.protocol.name if kernel.protocol else "none"),
        ("fault_around", format_pages(config.fault_around)),
        ("read_ahead", format_pages(config.read_ahead)),
        ("swap", "sync" if config.sync_swap else "on" if config.swap else "off"),
        ("page_mapcount", "on" if config.page_mapcount else "off"),
        *((f"khugepaged.{name}", str(getattr(config, name))) for name in _MAX_PTES),
    ]


MODE = Choice(MODES, "mode")


@command(
    "mode",
    Form(args=(Arg("MODE", MODE, "the format; without it, show the present one", optional=True),)),
    kind=OUTPUT,
    topic=TOPIC,
)
def mode(call: Call) -> Report:
    """Choose the output format.

    json writes one document per command. csv writes only tables, separated by blank lines; sentences go to standard
    error, and so do errors in json, csv and markdown. mail puts the script that leads there, and the question itself,
    below each answer. spoken says in words what the others show in columns and signs. `--mode` on the command line
    overrides a script's own; FOLIOSHELL_MODE in the environment names the mode to begin with.

    Example:
        mode
        mmap buf 16 ; fault buf ; mode csv ; query shared? buf[0]
    """
    output = call.session.host.output
    if "MODE" not in call.arguments:
        return done(call, f"The mode is {output.mode}: {MODES[output.mode]}.")
    # No answer: it would end up in output that is meant for another program.
    if not output.fixed:
        output.mode = call.word("MODE")
        if call.session.note is not None:
            call.session.note(call.statement.text)
    return done(call)
