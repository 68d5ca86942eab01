#!folioshell 1
| # Example 8: two processes, and no page is mapped twice
|
| A maps the first half of the folio and B the second, each through a VMA that covers no more: a fault on 6.18 maps as
| much of a folio as fits. No page has two entries and there are no more entries than pages, so the estimate of v6.10
| to v6.14 (likely) says exclusive, and so does every rule that looks at a single page.

file lib 32 order=4
mmap low 8 file=lib
fork B
B: mmap high 8 file=lib offset=8
fault low[0]

| 8: B maps its half. A asks.
B: fault high[0]
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 low[0] == 1       ; expect shared? per-page-v5 low[0] == no        # wrong: false negative
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many low[0] == yes
expect mapcount per-page f1 == 16             ; expect shared? per-page low[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples low[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive low[0] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless low[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas low[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless low[0] == yes
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 low[0] == no      # wrong: false negative
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 low[0] == no      # wrong: false negative
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id low[0] == yes
expect mapcount owner f1 == 16                ; expect shared? owner low[0] == yes
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 low[0] == no        # wrong: false negative
expect mapcount likely f1 == 16               ; expect shared? likely low[0] == no             # wrong: false negative
expect mapcount mm-id f1 == 16                ; expect shared? mm-id low[0] == yes
expect mapcount average f1 == 16              ; expect shared? average low[0] == yes
expect mapcount total-pages f1 == 16          ; expect shared? total-pages low[0] == yes

| The consequence: A calls madvise(MADV_PAGEOUT) on its half. If likely decides, the folio is split, and splitting a
| file folio unmaps it everywhere: B loses entries that it was using. If mm-id decides, nothing happens.
set decide likely
madvise pageout low
expect present? B:high[0] == no         # wrong: B had it mapped
undo 2
set decide mm-id
madvise pageout low
expect present? B:high[0] == yes
set schemes all
query shared? low[0]
