#!folioshell 1
| # Example 13: a process gets a slot late
|
| Three processes again. The third gets a slot when one becomes free, but only for the pages it maps from then on. Its
| slot holds less than the number of its entries, and the SHARED bit cannot be cleared although no one else is left.
|
| A fault on 6.18 maps all of the folio that the VMA covers; C unmaps the half that the example does not use.

file lib 32 order=4
mmap win 16 file=lib
fork B
fork C
fault win[0]
B: fault win[0]
C: fault win[0]

| 13a: A and B map 16 pages, C the first 8.
C: madvise dontneed win[8..15]
expect truth entries f1 == 40 ; expect truth pages f1 == 16 ; expect truth mms f1 == 3
expect truth vmas f1 == 3 ; expect truth tuples f1 == 3
expect mapcount per-page-v5 win[0] == 3       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes
expect mapcount per-page f1 == 40             ; expect shared? per-page win[0] == yes
expect mapcount tuples f1 == 3                ; expect shared? tuples win[0] == yes
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive win[0] == maybe    # miscounted (3), undecided
expect mapcount tuples-hookless f1 == 3       ; expect shared? tuples-hookless win[0] == yes
expect mapcount vmas f1 == 3                  ; expect shared? vmas win[0] == yes
expect mapcount vmas-hookless f1 == 3         ; expect shared? vmas-hookless win[0] == yes
expect mapcount estimated-ne1 f1 == 3         ; expect shared? estimated-ne1 win[0] == yes
expect mapcount estimated-gt1 f1 == 3         ; expect shared? estimated-gt1 win[0] == yes
expect mapcount rmap-id f1 == 40              ; expect shared? rmap-id win[0] == yes
expect mapcount owner f1 == 40                ; expect shared? owner win[0] == yes
expect mapcount likely-v6.9 f1 == 3           ; expect shared? likely-v6.9 win[0] == yes
expect mapcount likely f1 == 40               ; expect shared? likely win[0] == yes
expect mapcount mm-id f1 == 40                ; expect shared? mm-id win[0] == yes
expect mapcount average f1 == 40              ; expect shared? average win[0] == yes
expect mapcount total-pages f1 == 40          ; expect shared? total-pages win[0] == yes

| 13b: A unmaps the folio, and its slot becomes free.
munmap win
as C
expect truth entries f1 == 24 ; expect truth pages f1 == 16 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 win[0] == 2       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes # miscounted (2)
expect mapcount per-page f1 == 24             ; expect shared? per-page win[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples win[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive win[0] == no       # miscounted (2), false negative
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless win[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas win[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless win[0] == yes
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 win[0] == yes
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 win[0] == yes
expect mapcount rmap-id f1 == 24              ; expect shared? rmap-id win[0] == yes
expect mapcount owner f1 == 24                ; expect shared? owner win[0] == yes
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 win[0] == yes
expect mapcount likely f1 == 24               ; expect shared? likely win[0] == yes
expect mapcount mm-id f1 == 24                ; expect shared? mm-id win[0] == yes
expect mapcount average f1 == 24              ; expect shared? average win[0] == yes
expect mapcount total-pages f1 == 24          ; expect shared? total-pages win[0] == yes

| 13c: C maps the other half and gets the free slot for these 8 of its 16 entries.
fault win[8]
expect truth entries f1 == 32 ; expect truth pages f1 == 16 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 win[0] == 2       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes # miscounted (2)
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

| 13d: B unmaps the folio. Only C maps it now, and its slot says 8 of 16.
B: munmap win
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 win[0] == 1       ; expect shared? per-page-v5 win[0] == no
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes # miscounted (1), false positive
expect mapcount per-page f1 == 16             ; expect shared? per-page win[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples win[0] == no
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive win[0] == no
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless win[0] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas win[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless win[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 win[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 win[0] == no
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id win[0] == no
expect mapcount owner f1 == 16                ; expect shared? owner win[0] == yes             # wrong: false positive
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 win[0] == no
expect mapcount likely f1 == 16               ; expect shared? likely win[0] == no
expect mapcount mm-id f1 == 16                ; expect shared? mm-id win[0] == yes             # wrong: false positive
expect mapcount average f1 == 16              ; expect shared? average win[0] == yes           # wrong: false positive
expect mapcount total-pages f1 == 16          ; expect shared? total-pages win[0] == yes       # wrong: false positive
why f1 mm-id

| 13e: C unmaps its first half. The slot is counted down to 0 and freed: 8 entries are left, and no slot is in use.
madvise dontneed win[0..7]
expect truth entries f1 == 8 ; expect truth pages f1 == 8 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 win[8] == 1       ; expect shared? per-page-v5 win[8] == no
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[8] == yes # miscounted (1), false positive
expect mapcount per-page f1 == 8              ; expect shared? per-page win[8] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples win[8] == no
expect mapcount tuples-naive f1 == 0          ; expect shared? tuples-naive win[8] == no       # miscounted (1)
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless win[8] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas win[8] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless win[8] == no
expect mapcount estimated-ne1 f1 == 0         ; expect shared? estimated-ne1 win[8] == yes     # wrong: false positive
expect mapcount estimated-gt1 f1 == 0         ; expect shared? estimated-gt1 win[8] == no
expect mapcount rmap-id f1 == 8               ; expect shared? rmap-id win[8] == no
expect mapcount owner f1 == 8                 ; expect shared? owner win[8] == yes             # wrong: false positive
expect mapcount likely-v6.9 f1 == 0           ; expect shared? likely-v6.9 win[8] == no
expect mapcount likely f1 == 8                ; expect shared? likely win[8] == no
expect mapcount mm-id f1 == 8                 ; expect shared? mm-id win[8] == yes             # wrong: false positive
expect mapcount average f1 == 8               ; expect shared? average win[8] == yes           # wrong: false positive
expect mapcount total-pages f1 == 8           ; expect shared? total-pages win[8] == yes       # wrong: false positive
why f1 mm-id

| 13f: nothing is mapped, and the bit is cleared with the last entry. Zero-One-Two-Many is still at Many: the folio
| counts as mapped, and only an rmap walk in reclaim would correct that.
madvise dontneed win[8..15]
expect truth entries f1 == 0 ; expect truth pages f1 == 0 ; expect truth mms f1 == 0
expect truth vmas f1 == 0 ; expect truth tuples f1 == 0
expect mapcount per-page-v5 f1 == 0
expect mapcount zero-one-two-many f1 == 3     # miscounted (0)
expect mapcount per-page f1 == 0
expect mapcount tuples f1 == 0
expect mapcount tuples-naive f1 == -1         # miscounted (0)
expect mapcount tuples-hookless f1 == 0
expect mapcount vmas f1 == 0
expect mapcount vmas-hookless f1 == 0
expect mapcount estimated-ne1 f1 == 0
expect mapcount estimated-gt1 f1 == 0
expect mapcount rmap-id f1 == 0
expect mapcount owner f1 == 0
expect mapcount likely-v6.9 f1 == 0
expect mapcount likely f1 == 0
expect mapcount mm-id f1 == 0
expect mapcount average f1 == 0
expect mapcount total-pages f1 == 0
expect mapped? zero-one-two-many f1 == yes    # wrong: false positive
expect mapped? tuples f1 == no
expect mapped? vmas f1 == no
expect mapped? likely f1 == no
expect mapped? mm-id f1 == no

| 13g: A maps the folio again, and mm-id starts afresh.
as A
mmap back 16 file=lib
fault back[0]
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 back[0] == 1      ; expect shared? per-page-v5 back[0] == no
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many back[0] == yes # miscounted (1), false positive
expect mapcount per-page f1 == 16             ; expect shared? per-page back[0] == yes         # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples back[0] == no
expect mapcount tuples-naive f1 == 0          ; expect shared? tuples-naive back[0] == no      # miscounted (1)
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless back[0] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas back[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless back[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 back[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 back[0] == no
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id back[0] == no
expect mapcount owner f1 == 16                ; expect shared? owner back[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 back[0] == no
expect mapcount likely f1 == 16               ; expect shared? likely back[0] == no
expect mapcount mm-id f1 == 16                ; expect shared? mm-id back[0] == no
expect mapcount average f1 == 16              ; expect shared? average back[0] == no
expect mapcount total-pages f1 == 16          ; expect shared? total-pages back[0] == no
set schemes all
query shared? back[0]
