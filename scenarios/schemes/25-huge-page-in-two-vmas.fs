#!folioshell 1
| # Example 25: a huge page in two VMAs
|
| mprotect of the second half of a huge page splits the PMD mapping and the VMA: two VMAs, one page table, one
| process.

mmap buf 2M
madvise hugepage buf
write buf[0]

| 25: the second half becomes read-only: 512 entries.
mprotect buf[256..511] r
expect vmas A == 2
expect truth entries f1 == 512 ; expect truth pages f1 == 512 ; expect truth mms f1 == 1
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many buf[0] == no  # miscounted (2)
expect mapcount per-page f1 == 512            ; expect shared? per-page buf[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 2                ; expect shared? tuples buf[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive buf[0] == no       # miscounted (2)
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless buf[0] == no    # miscounted (2)
expect mapcount vmas f1 == 2                  ; expect shared? vmas buf[0] == yes              # wrong: false positive
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless buf[0] == no      # miscounted (2)
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[0] == no
expect mapcount rmap-id f1 == 512             ; expect shared? rmap-id buf[0] == no
expect mapcount owner f1 == 512               ; expect shared? owner buf[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no
expect mapcount likely f1 == 512              ; expect shared? likely buf[0] == no
expect mapcount mm-id f1 == 512               ; expect shared? mm-id buf[0] == no
expect mapcount average f1 == 512             ; expect shared? average buf[0] == no
expect mapcount total-pages f1 == 512         ; expect shared? total-pages buf[0] == no
set schemes all
query shared? buf[0]
