#!folioshell 1
| # Example 11: the two slots of MM-ID
|
| Example 1 of the commit that introduced MM owner tracking. Two processes map 4 pages of an order-4 folio each; each
| gets a slot, and the second one sets the SHARED bit. When the first process unmaps its pages, the slot of the second
| accounts for all entries, and the bit is cleared.

file lib 32 order=4
mmap win 4 file=lib
fork B
fault win[0]

| 11a: B maps them, too.
B: fault win[0]
expect truth entries f1 == 8 ; expect truth pages f1 == 4 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 win[0] == 2       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many win[0] == yes
expect mapcount per-page f1 == 8              ; expect shared? per-page win[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples win[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive win[0] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless win[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas win[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless win[0] == yes
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 win[0] == yes
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 win[0] == yes
expect mapcount rmap-id f1 == 8               ; expect shared? rmap-id win[0] == yes
expect mapcount owner f1 == 8                 ; expect shared? owner win[0] == yes
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 win[0] == yes
expect mapcount likely f1 == 8                ; expect shared? likely win[0] == yes
expect mapcount mm-id f1 == 8                 ; expect shared? mm-id win[0] == yes
expect mapcount average f1 == 8               ; expect shared? average win[0] == yes
expect mapcount total-pages f1 == 8           ; expect shared? total-pages win[0] == yes
why f1 mm-id

| 11b: A unmaps its pages.
munmap win
as B
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
expect mapcount owner f1 == 4                 ; expect shared? owner win[0] == yes             # wrong: false positive
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 win[0] == no
expect mapcount likely f1 == 4                ; expect shared? likely win[0] == no
expect mapcount mm-id f1 == 4                 ; expect shared? mm-id win[0] == no
expect mapcount average f1 == 4               ; expect shared? average win[0] == no
expect mapcount total-pages f1 == 4           ; expect shared? total-pages win[0] == no
why f1 mm-id
set schemes all
query shared? win[0]
