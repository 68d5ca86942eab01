#!folioshell 1
| # Example 12: a third process finds no slot
|
| Example 2 of the same commit. The third process to map the folio is not tracked. While it is the last one left, no
| slot accounts for its entries, so the SHARED bit stays set: a false positive, until it has one entry left or none.
|
| Zero-One-Two-Many saturates at Many with the third VMA, and only an rmap walk could bring it back.

file lib 32 order=4
mmap win 4 file=lib
fork B
fork C
fault win[0]
B: fault win[0]

| 12a: the third process maps the folio.
C: fault win[0]
expect truth entries f1 == 12 ; expect truth pages f1 == 4 ; expect truth mms f1 == 3
expect truth vmas f1 == 3 ; expect truth tuples f1 == 3
expect mapcount per-page-v5 win[0] == 3       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes
expect mapcount per-page f1 == 12             ; expect shared? per-page win[0] == yes
expect mapcount tuples f1 == 3                ; expect shared? tuples win[0] == yes
expect mapcount tuples-naive f1 == 3          ; expect shared? tuples-naive win[0] == yes
expect mapcount tuples-hookless f1 == 3       ; expect shared? tuples-hookless win[0] == yes
expect mapcount vmas f1 == 3                  ; expect shared? vmas win[0] == yes
expect mapcount vmas-hookless f1 == 3         ; expect shared? vmas-hookless win[0] == yes
expect mapcount estimated-ne1 f1 == 3         ; expect shared? estimated-ne1 win[0] == yes
expect mapcount estimated-gt1 f1 == 3         ; expect shared? estimated-gt1 win[0] == yes
expect mapcount rmap-id f1 == 12              ; expect shared? rmap-id win[0] == yes
expect mapcount owner f1 == 12                ; expect shared? owner win[0] == yes
expect mapcount likely-v6.9 f1 == 3           ; expect shared? likely-v6.9 win[0] == yes
expect mapcount likely f1 == 12               ; expect shared? likely win[0] == yes
expect mapcount mm-id f1 == 12                ; expect shared? mm-id win[0] == yes
expect mapcount average f1 == 12              ; expect shared? average win[0] == yes
expect mapcount total-pages f1 == 12          ; expect shared? total-pages win[0] == yes
why f1 mm-id

| 12b: A and B unmap it.
munmap win
B: munmap win
as C
expect truth entries f1 == 4 ; expect truth pages f1 == 4 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 win[0] == 1       ; expect shared? per-page-v5 win[0] == no
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes # miscounted (1), false positive
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
expect mapcount mm-id f1 == 4                 ; expect shared? mm-id win[0] == yes             # wrong: false positive
expect mapcount average f1 == 4               ; expect shared? average win[0] == yes           # wrong: false positive
expect mapcount total-pages f1 == 4           ; expect shared? total-pages win[0] == yes       # wrong: false positive
why f1 mm-id

| 12c: C is down to one entry. One entry is exclusive, whatever the bit says.
madvise dontneed win[0..2]
expect truth entries f1 == 1 ; expect truth pages f1 == 1 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 win[3] == 1       ; expect shared? per-page-v5 win[3] == no
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[3] == yes # miscounted (1), false positive
expect mapcount per-page f1 == 1              ; expect shared? per-page win[3] == no
expect mapcount tuples f1 == 1                ; expect shared? tuples win[3] == no
expect mapcount tuples-naive f1 == 0          ; expect shared? tuples-naive win[3] == no       # miscounted (1)
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless win[3] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas win[3] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless win[3] == no
expect mapcount estimated-ne1 f1 == 0         ; expect shared? estimated-ne1 win[3] == yes     # wrong: false positive
expect mapcount estimated-gt1 f1 == 0         ; expect shared? estimated-gt1 win[3] == no
expect mapcount rmap-id f1 == 1               ; expect shared? rmap-id win[3] == no
expect mapcount owner f1 == 1                 ; expect shared? owner win[3] == yes             # wrong: false positive
expect mapcount likely-v6.9 f1 == 0           ; expect shared? likely-v6.9 win[3] == no
expect mapcount likely f1 == 1                ; expect shared? likely win[3] == no
expect mapcount mm-id f1 == 1                 ; expect shared? mm-id win[3] == no
expect mapcount average f1 == 1               ; expect shared? average win[3] == no
expect mapcount total-pages f1 == 1           ; expect shared? total-pages win[3] == no
why f1 mm-id

| 12d: C maps page 0 again, and nothing else: fault-around is off, and the folio does not fit into the VMA. It gets a
| slot now, for one of its two entries; the bit is still set, and counts again.
set fault_around 4K
fault win[0]
expect truth entries f1 == 2 ; expect truth pages f1 == 2 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 win[0] == 1       ; expect shared? per-page-v5 win[0] == no
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes # miscounted (1), false positive
expect mapcount per-page f1 == 2              ; expect shared? per-page win[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples win[0] == no
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive win[0] == no
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless win[0] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas win[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless win[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 win[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 win[0] == no
expect mapcount rmap-id f1 == 2               ; expect shared? rmap-id win[0] == no
expect mapcount owner f1 == 2                 ; expect shared? owner win[0] == yes             # wrong: false positive
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 win[0] == no
expect mapcount likely f1 == 2                ; expect shared? likely win[0] == no
expect mapcount mm-id f1 == 2                 ; expect shared? mm-id win[0] == yes             # wrong: false positive
expect mapcount average f1 == 2               ; expect shared? average win[0] == yes           # wrong: false positive
expect mapcount total-pages f1 == 2           ; expect shared? total-pages win[0] == yes       # wrong: false positive
why f1 mm-id

| 13x, the same start with another end: first the untracked C unmaps the folio, then A. All that is left is tracked,
| and the answer is right.
undo 5
expect truth mms f1 == 3
C: munmap win
expect truth entries f1 == 8 ; expect truth pages f1 == 4 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 win[0] == 2       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes # miscounted (2)
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

| 13y: A unmaps it, too.
munmap win
as B
expect truth entries f1 == 4 ; expect truth pages f1 == 4 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 win[0] == 1       ; expect shared? per-page-v5 win[0] == no
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes # miscounted (1), false positive
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
