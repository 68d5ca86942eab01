#!folioshell 1
| # Example 1: every page mapped once, through one page table
|
| The first example of the mail of January 2023: an order-2 folio, one VMA, one PTE table. Tuples and VMAs are 1. A
| kernel that asks for folio_mapcount() == 1, as madvise() of v6.3 did, calls the folio shared.

file lib 8 order=2
mmap win 4 file=lib
fault win[0]

| 1: no one else maps it.
expect truth entries f1 == 4 ; expect truth pages f1 == 4 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 win[0] == 1       ; expect shared? per-page-v5 win[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many win[0] == no
expect mapcount per-page f1 == 4              ; expect shared? per-page win[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples win[0] == no
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive win[0] == no
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless win[0] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas win[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless win[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 win[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 win[0] == no
expect mapcount rmap-id f1 == 4               ; expect shared? rmap-id win[0] == no
expect mapcount owner f1 == 4                 ; expect shared? owner win[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 win[0] == no
expect mapcount likely f1 == 4                ; expect shared? likely win[0] == no
expect mapcount mm-id f1 == 4                 ; expect shared? mm-id win[0] == no
expect mapcount average f1 == 4               ; expect shared? average win[0] == no
expect mapcount total-pages f1 == 4           ; expect shared? total-pages win[0] == no
set schemes all
query shared? win[0]
