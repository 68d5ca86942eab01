#!folioshell 1
| # Example 18: half of a folio is moved
|
| mremap moves entries to another VMA and another page table without calling any rmap function. The numbers of both
| mails need a callback there as well.

set thp.64K always
mmap buf 16
write buf

| 18: the upper half moves to an address 8 pages after a page-table boundary.
mremap buf[8..15] new=up align=512 skew=8
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
set schemes all
query shared? buf[0]
