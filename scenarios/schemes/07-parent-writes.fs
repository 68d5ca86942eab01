#!folioshell 1
| # Example 7: after a fork the parent writes one page
|
| An order-4 folio is shared by fork; the parent writes page 0 and gets a copy. Only the child maps page 0 now, but
| both map the other 15 pages. A rule that looks at the first page only, or at the page being asked about, calls the
| folio exclusive.

set thp.64K always
mmap buf 16
write buf
fork B

| 7a: the child asks about page 0.
expect truth entries f1 == 32 ; expect truth pages f1 == 16 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 B:buf[0] == 2     ; expect shared? per-page-v5 B:buf[0] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many B:buf[0] == yes
expect mapcount per-page f1 == 32             ; expect shared? per-page B:buf[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples B:buf[0] == maybe        # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive B:buf[0] == maybe  # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless B:buf[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas B:buf[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless B:buf[0] == yes
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 B:buf[0] == yes
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 B:buf[0] == yes
expect mapcount rmap-id f1 == 32              ; expect shared? rmap-id B:buf[0] == yes
expect mapcount owner f1 == 32                ; expect shared? owner B:buf[0] == yes
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 B:buf[0] == yes
expect mapcount likely f1 == 32               ; expect shared? likely B:buf[0] == yes
expect mapcount mm-id f1 == 32                ; expect shared? mm-id B:buf[0] == yes
expect mapcount average f1 == 32              ; expect shared? average B:buf[0] == yes
expect mapcount total-pages f1 == 32          ; expect shared? total-pages B:buf[0] == yes

| 7b: the parent writes page 0.
write buf[0]
expect truth entries f1 == 31 ; expect truth pages f1 == 16 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 B:buf[0] == 1     ; expect shared? per-page-v5 B:buf[0] == no      # wrong: false negative
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many B:buf[0] == yes
expect mapcount per-page f1 == 31             ; expect shared? per-page B:buf[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples B:buf[0] == maybe        # undecided
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive B:buf[0] == no     # miscounted (2), false negative
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless B:buf[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas B:buf[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless B:buf[0] == yes
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 B:buf[0] == no    # wrong: false negative
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 B:buf[0] == no    # wrong: false negative
expect mapcount rmap-id f1 == 31              ; expect shared? rmap-id B:buf[0] == yes
expect mapcount owner f1 == 31                ; expect shared? owner B:buf[0] == yes
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 B:buf[0] == no      # wrong: false negative
expect mapcount likely f1 == 31               ; expect shared? likely B:buf[0] == yes
expect mapcount mm-id f1 == 31                ; expect shared? mm-id B:buf[0] == yes
expect mapcount average f1 == 31              ; expect shared? average B:buf[0] == yes
expect mapcount total-pages f1 == 31          ; expect shared? total-pages B:buf[0] == yes

| The consequence: the child calls madvise(MADV_COLD) on its first eight pages. If page 0 decides, the folio is split,
| although the parent still maps 15 of its pages.
set decide estimated-gt1
B: madvise cold buf[0..7]
expect order buf[8] == 0                # wrong: A still maps 15 of its pages
undo 2
set decide per-page-v5
B: madvise cold buf[0..7]
expect order buf[8] == 0                # wrong, too
undo 2
set decide mm-id
B: madvise cold buf[0..7]
expect order buf[8] == 4
set schemes all
query shared? B:buf[0]
