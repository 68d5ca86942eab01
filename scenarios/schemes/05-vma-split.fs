#!folioshell 1
| # Example 5: a VMA is split inside a folio
|
| mprotect of half the folio splits the VMA in two. No rmap function is called and no entry is mapped or unmapped, but
| the numbers of both mails must change: they need a callback in the VMA code. Without one they miscount.

set thp.64K always
mmap buf 16
write buf[0]

| 5a: an order-4 folio, fully mapped by one VMA.
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many buf[0] == no
expect mapcount per-page f1 == 16             ; expect shared? per-page buf[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples buf[0] == no
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive buf[0] == no
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless buf[0] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas buf[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless buf[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[0] == no
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id buf[0] == no
expect mapcount owner f1 == 16                ; expect shared? owner buf[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no
expect mapcount likely f1 == 16               ; expect shared? likely buf[0] == no
expect mapcount mm-id f1 == 16                ; expect shared? mm-id buf[0] == no
expect mapcount average f1 == 16              ; expect shared? average buf[0] == no
expect mapcount total-pages f1 == 16          ; expect shared? total-pages buf[0] == no

| 5b: the upper half becomes read-only. Zero-One-Two-Many and the hookless schemes are not notified.
mprotect buf[8..15] r
expect vmas A == 2
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 1
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many buf[0] == no  # miscounted (2)
expect mapcount per-page f1 == 16             ; expect shared? per-page buf[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 2                ; expect shared? tuples buf[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive buf[0] == no       # miscounted (2)
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless buf[0] == no    # miscounted (2)
expect mapcount vmas f1 == 2                  ; expect shared? vmas buf[0] == yes              # wrong: false positive
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless buf[0] == no      # miscounted (2)
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[0] == no
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id buf[0] == no
expect mapcount owner f1 == 16                ; expect shared? owner buf[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no
expect mapcount likely f1 == 16               ; expect shared? likely buf[0] == no
expect mapcount mm-id f1 == 16                ; expect shared? mm-id buf[0] == no
expect mapcount average f1 == 16              ; expect shared? average buf[0] == no
expect mapcount total-pages f1 == 16          ; expect shared? total-pages buf[0] == no

| 5c: the upper half is unmapped. To the schemes without a callback, the VMA has lost its last entry of the folio:
| they decrement to 0, with 8 pages still mapped. A kernel that frees unmapped folios would free memory in use.
munmap buf[8..15]
expect truth entries f1 == 8 ; expect truth pages f1 == 8 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no
expect mapcount zero-one-two-many f1 == 0     ; expect shared? zero-one-two-many buf[0] == no  # miscounted (1)
expect mapcount per-page f1 == 8              ; expect shared? per-page buf[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples buf[0] == no
expect mapcount tuples-naive f1 == 0          ; expect shared? tuples-naive buf[0] == no       # miscounted (1)
expect mapcount tuples-hookless f1 == 0       ; expect shared? tuples-hookless buf[0] == no    # miscounted (1)
expect mapcount vmas f1 == 1                  ; expect shared? vmas buf[0] == no
expect mapcount vmas-hookless f1 == 0         ; expect shared? vmas-hookless buf[0] == no      # miscounted (1)
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[0] == no
expect mapcount rmap-id f1 == 8               ; expect shared? rmap-id buf[0] == no
expect mapcount owner f1 == 8                 ; expect shared? owner buf[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no
expect mapcount likely f1 == 8                ; expect shared? likely buf[0] == no
expect mapcount mm-id f1 == 8                 ; expect shared? mm-id buf[0] == no
expect mapcount average f1 == 8               ; expect shared? average buf[0] == no
expect mapcount total-pages f1 == 8           ; expect shared? total-pages buf[0] == no
expect mapped? zero-one-two-many f1 == no     # wrong: false negative
expect mapped? tuples f1 == yes
expect mapped? tuples-hookless f1 == no       # wrong: false negative
expect mapped? vmas f1 == yes
expect mapped? vmas-hookless f1 == no         # wrong: false negative
expect mapped? mm-id f1 == yes
set schemes all
query shared? buf[0]
