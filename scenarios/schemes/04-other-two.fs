#!folioshell 1
| # Example 4: the other "2"
|
| Two processes map the whole folio, through one page table each. The number of tuples is 2, as in 02-straddle.fs,
| where one process maps it: the second mail calls "exactly 2" undecided.

file lib 32 order=4
mmap win 16 file=lib
fault win[0]
fork B

| 4: fork copies no entries of a file mapping that has no private pages; B faults them in itself.
B: fault win[0]
expect truth entries f1 == 32 ; expect truth pages f1 == 16 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 win[0] == 2       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many win[0] == yes
expect mapcount per-page f1 == 32             ; expect shared? per-page win[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples win[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive win[0] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless win[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas win[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless win[0] == yes
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 win[0] == yes
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 win[0] == yes
expect mapcount rmap-id f1 == 32              ; expect shared? rmap-id win[0] == yes
expect mapcount owner f1 == 32                ; expect shared? owner win[0] == yes
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 win[0] == yes
expect mapcount likely f1 == 32               ; expect shared? likely win[0] == yes
expect mapcount mm-id f1 == 32                ; expect shared? mm-id win[0] == yes
expect mapcount average f1 == 32              ; expect shared? average win[0] == yes
expect mapcount total-pages f1 == 32          ; expect shared? total-pages win[0] == yes
set schemes all
query shared? win[0]
