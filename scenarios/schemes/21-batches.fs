#!folioshell 1
| # Example 21: why the first definition needs one rmap call per tuple
|
| The first mail asks for "one rmap call per tuple", and counting calls (tuples-naive) relies on it. A VMA of 8 pages
| and a fault-around window of 4 make two calls for one tuple, and nothing guarantees that unmapping uses the same
| batches.

set fault_around 16K
file lib 32 order=4
mmap win 8 file=lib
fault win[0]
expect mapcount tuples f1 == 1
expect mapcount tuples-naive f1 == 1

| 21a: the second call. Two calls look like two processes: the kernel would have to walk.
fault win[4]
expect truth entries f1 == 8 ; expect truth pages f1 == 8 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 win[0] == 1       ; expect shared? per-page-v5 win[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many win[0] == no
expect mapcount per-page f1 == 8              ; expect shared? per-page win[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples win[0] == no
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive win[0] == maybe    # miscounted (1), undecided
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless win[0] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas win[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless win[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 win[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 win[0] == no
expect mapcount rmap-id f1 == 8               ; expect shared? rmap-id win[0] == no
expect mapcount owner f1 == 8                 ; expect shared? owner win[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 win[0] == no
expect mapcount likely f1 == 8                ; expect shared? likely win[0] == no
expect mapcount mm-id f1 == 8                 ; expect shared? mm-id win[0] == no
expect mapcount average f1 == 8               ; expect shared? average win[0] == no
expect mapcount total-pages f1 == 8           ; expect shared? total-pages win[0] == no

| 21b: unmapped in two different batches, the numbers agree again.
madvise dontneed win[0..1]
expect mapcount tuples f1 == 1
expect mapcount tuples-naive f1 == 1
madvise dontneed win[2..7]
expect mapcount tuples f1 == 0
expect mapcount tuples-naive f1 == 0
expect truth entries f1 == 0
undo 2

| 21c: unmapped page by page, the number of calls drops to 2 - 8.
for i in 0..7 { madvise dontneed win[$i] }
expect truth entries f1 == 0 ; expect truth pages f1 == 0 ; expect truth mms f1 == 0
expect truth vmas f1 == 0 ; expect truth tuples f1 == 0
expect mapcount per-page-v5 f1 == 0
expect mapcount zero-one-two-many f1 == 0
expect mapcount per-page f1 == 0
expect mapcount tuples f1 == 0
expect mapcount tuples-naive f1 == -6         # miscounted (0)
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
expect mapped? tuples f1 == no
expect mapped? tuples-naive f1 == no
