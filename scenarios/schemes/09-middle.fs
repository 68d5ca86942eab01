#!folioshell 1
| # Example 9: two processes map the same pages, but not the first
|
| Both map pages 1 to 8, through a VMA that starts at offset 1 of the file. Page 0 is not mapped at all, so the value
| of folio_estimated_sharers() is 0, and the two tests that were applied to it disagree: 0 != 1 is shared (madvise()
| since August 2023, MADV_COLD and MADV_FREE alike), 0 > 1 is not (NUMA hinting faults since v6.7; MADV_COLD with a
| patch of February 2024, which folio_likely_mapped_shared() soon replaced).

file lib 32 order=4
mmap win 8 file=lib offset=1
fork B
fault win[0]

| 9: B maps them, too. A asks about page 1 of the folio, the first of its VMA.
B: fault win[0]
expect truth entries f1 == 16 ; expect truth pages f1 == 8 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 win[0] == 2       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many win[0] == yes
expect mapcount per-page f1 == 16             ; expect shared? per-page win[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples win[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive win[0] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless win[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas win[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless win[0] == yes
expect mapcount estimated-ne1 f1 == 0         ; expect shared? estimated-ne1 win[0] == yes
expect mapcount estimated-gt1 f1 == 0         ; expect shared? estimated-gt1 win[0] == no      # wrong: false negative
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id win[0] == yes
expect mapcount owner f1 == 16                ; expect shared? owner win[0] == yes
expect mapcount likely-v6.9 f1 == 0           ; expect shared? likely-v6.9 win[0] == no        # wrong: false negative
expect mapcount likely f1 == 16               ; expect shared? likely win[0] == no             # wrong: false negative
expect mapcount mm-id f1 == 16                ; expect shared? mm-id win[0] == yes
expect mapcount average f1 == 16              ; expect shared? average win[0] == yes
expect mapcount total-pages f1 == 16          ; expect shared? total-pages win[0] == yes
set schemes all
query shared? win[0]
