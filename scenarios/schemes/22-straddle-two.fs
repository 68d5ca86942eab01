#!folioshell 1
| # Example 22: across two page tables, in two processes
|
| Two tables in each of two processes: four tuples, and here "more than 2" does mean another process.

file lib 32 order=4
mmap win 16 file=lib align=512 skew=504
fault win
fork B

| 22: B maps all of it, too.
B: fault win
expect truth entries f1 == 32 ; expect truth pages f1 == 16 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 4
expect mapcount per-page-v5 win[0] == 2       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many win[0] == yes
expect mapcount per-page f1 == 32             ; expect shared? per-page win[0] == yes
expect mapcount tuples f1 == 4                ; expect shared? tuples win[0] == yes
expect mapcount tuples-naive f1 == 4          ; expect shared? tuples-naive win[0] == yes
expect mapcount tuples-hookless f1 == 4       ; expect shared? tuples-hookless win[0] == yes
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
