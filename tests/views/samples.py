"""Reports as a session would give them, made by hand so that a view's tests do not depend on the model."""

from __future__ import annotations

from folioshell.report import (
    Change,
    Expect,
    FolioChange,
    LockRow,
    Query,
    QueryRow,
    Report,
    Table,
    Text,
    Truth,
    Visit,
    Walk,
)

SCHEMES = ("per-page", "tuples", "vmas", "likely", "mm-id", "average")

STRADDLE = Report(
    command="fault win[8]",
    process="A",
    step=3,
    result={"ok": True},
    sentence="A read win[8]: filemap_map_pages() mapped pages 8..15 of f1 in pt2.",
    folios=(
        FolioChange(
            "f1",
            4,
            {
                "per-page": Change(8, 16),
                "tuples": Change(1, 2),
                "vmas": Change(1, 1),
                "mm-id": Change(8, 16),
            },
        ),
    ),
    locks=(LockRow("A.mm", 0, "__pte_alloc"), LockRow("pt2", 0, "filemap_map_pages")),
)

FORK = Report(
    command="fork B",
    process="A",
    step=4,
    result={"ok": True},
    sentence="A forked B: 3 VMAs, 8 entries of f1 and 100000 small folios copied.",
    folios=(
        FolioChange("f1", 3, {"per-page": Change(8, 16), "tuples": Change(1, 2), "vmas": Change(1, 2)}),
        FolioChange("f2", 0, {"per-page": Change(1, 2), "tuples": Change(1, 2), "vmas": Change(1, 2)}, 100000),
        FolioChange("f100002", 4, {"per-page": Change(0, 16), "tuples": Change(0, 1)}, note="new"),
    ),
    locks=(
        LockRow("pmd2", 0, "copy_huge_pmd"),
        LockRow("pmd1", 1, "copy_huge_pmd"),
        *(LockRow(f"pt{n}", 0, "copy_present_ptes", 512) for n in range(7, 11)),
    ),
)

COLD = Report(
    command="madvise cold win",
    process="A",
    step=5,
    result={"ok": True},
    sentence="A advised win cold: f1 may be shared, so the PTL was dropped and the rmap walked.",
    walks=(
        Walk(
            "f1",
            "folio_maybe_mapped_shared",
            "i_mmap of lib",
            (
                Visit("A", "v1", (("pt1", 8), ("pt2", 8))),
                Visit("B", "v4", (), "its page table was never filled"),
                Visit("C", "v9", tuple((f"pt{n}", 512) for n in range(5, 9))),
            ),
        ),
    ),
    findings=("vmas said no, but B reads f1 too",),
)

QUERY = Report(
    command="query shared? win[0]",
    process="A",
    query=Query(
        "shared?",
        "win[0]",
        "f1",
        4,
        (
            QueryRow("per-page", 16, "yes", "", "false positive"),
            QueryRow("tuples", 2, "maybe", "a walk of 2 PTLs and 16 entries", "undecided"),
            QueryRow("vmas", 1, "no", "", "exact"),
            QueryRow("mm-id", 16, "no", "", "exact"),
        ),
        Truth("no", 1, 1, 2, 16, 16),
    ),
)

PRESENT = Report("query present? win[3]", "A", query=Query("present?", "win[3]", "", 0, answer="no"))

MAPCOUNT = Report(
    "query mapcount f1",
    "A",
    query=Query(
        "mapcount",
        "f1",
        "f1",
        4,
        (QueryRow("per-page", 16, "16"), QueryRow("vmas", 1, "1")),
        Truth("", 1, 1, 2, 16, 16),
    ),
)

PASSED = Report("expect mapcount vmas f1 == 1", "A", expect=Expect("mapcount vmas f1 == 1", True, "==", "1", "1"))

FAILED = Report(
    "expect mapcount tuples f1 == 1",
    "A",
    expect=Expect(
        "mapcount tuples f1 == 1",
        False,
        *("==", "2", "1"),
        ("pt1 of v1: 1, since step 2", "pt2 of v1: 1, since step 3"),
        *(27, 31),
    ),
)

ENOMEM = Report(
    command="mprotect win[0..20] r",
    process="A",
    step=4,
    result={"errno": "ENOMEM"},
    sentence="A made win[0..15] read-only and met a hole behind it.",
)

SIGBUS = Report(
    command="fault win[30..33]",
    process="A",
    step=4,
    result={"signals": [[2, 2, "SIGBUS"], [9, 1, "SIGSEGV"]]},
    sentence="A read win[30..31]; the file ends there.",
)

VMAS = Report(
    "show vmas",
    "A",
    sections=(
        Table(
            "VMAs of A",
            ("vma", "start", "pages", "perm", "file", "page"),
            (("v1", "0x7f0000000000", 16, "r--p", "lib", 0), ("v2", "0x7f0000400000", 4, "rw-p", None, None)),
            "2 VMAs",
        ),
        Text(("pt1 ........[f1 0-7]", "pt2 [f1 8-15]......."), "page tables"),
    ),
)

ALL = (STRADDLE, FORK, COLD, QUERY, PRESENT, MAPCOUNT, PASSED, FAILED, ENOMEM, SIGBUS, VMAS)
