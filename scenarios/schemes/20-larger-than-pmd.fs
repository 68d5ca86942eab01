#!folioshell 1
| # Example 20: a folio larger than a PMD
|
| "If we support folios larger than PMD size, then the answer is more complex." Linux limits page-cache and anonymous
| folios to PMD order (larger ones exist in hugetlb); higher orders are an extension of this shell, and such a folio
| is PTE-mapped. Aligned, its 1024 pages fill two PTE tables. Starting in the middle of a table they touch three, and
| the number of tuples says "somebody else", although one process maps the folio through one VMA.

| 20a: aligned, two tables.
file big 1024 order=10
mmap low 1024 file=big
fault low
expect truth entries f1 == 1024 ; expect truth pages f1 == 1024 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 low[0] == 1       ; expect shared? per-page-v5 low[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many low[0] == no
expect mapcount per-page f1 == 1024           ; expect shared? per-page low[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 2                ; expect shared? tuples low[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 66         ; expect shared? tuples-naive low[0] == yes      # miscounted (2), false positive
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless low[0] == maybe # undecided
expect mapcount vmas f1 == 1                  ; expect shared? vmas low[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless low[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 low[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 low[0] == no
expect mapcount rmap-id f1 == 1024            ; expect shared? rmap-id low[0] == no
expect mapcount owner f1 == 1024              ; expect shared? owner low[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 low[0] == no
expect mapcount likely f1 == 1024             ; expect shared? likely low[0] == no
expect mapcount mm-id f1 == 1024              ; expect shared? mm-id low[0] == no
expect mapcount average f1 == 1024            ; expect shared? average low[0] == no
expect mapcount total-pages f1 == 1024        ; expect shared? total-pages low[0] == no

| 20b: 256 pages into a table, three tables.
munmap low
mmap mid 1024 file=big align=512 skew=256
fault mid
expect truth entries f1 == 1024 ; expect truth pages f1 == 1024 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 3
expect mapcount per-page-v5 mid[0] == 1       ; expect shared? per-page-v5 mid[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many mid[0] == no
expect mapcount per-page f1 == 1024           ; expect shared? per-page mid[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 3                ; expect shared? tuples mid[0] == yes            # wrong: false positive
expect mapcount tuples-naive f1 == 131        ; expect shared? tuples-naive mid[0] == yes      # miscounted (3), false positive
expect mapcount tuples-hookless f1 == 3       ; expect shared? tuples-hookless mid[0] == yes   # wrong: false positive
expect mapcount vmas f1 == 1                  ; expect shared? vmas mid[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless mid[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 mid[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 mid[0] == no
expect mapcount rmap-id f1 == 1024            ; expect shared? rmap-id mid[0] == no
expect mapcount owner f1 == 1024              ; expect shared? owner mid[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 mid[0] == no
expect mapcount likely f1 == 1024             ; expect shared? likely mid[0] == no
expect mapcount mm-id f1 == 1024              ; expect shared? mm-id mid[0] == no
expect mapcount average f1 == 1024            ; expect shared? average mid[0] == no
expect mapcount total-pages f1 == 1024        ; expect shared? total-pages mid[0] == no
set schemes all
query shared? mid[0]
