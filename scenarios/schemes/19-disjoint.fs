#!folioshell 1
| # Example 19: parent and child end up with different pages
|
| After a fork the child keeps only the last page, then the parent unmaps that one. At 19b no page has two entries.

set thp.64K always
mmap buf 16
write buf
fork B

| 19a: the child keeps page 15. The parent asks about page 0, which only it maps.
B: madvise dontneed buf[0..14]
expect truth entries f1 == 17 ; expect truth pages f1 == 16 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no        # wrong: false negative
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many buf[0] == yes
expect mapcount per-page f1 == 17             ; expect shared? per-page buf[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples buf[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive buf[0] == no       # miscounted (2), false negative
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless buf[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas buf[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless buf[0] == yes
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[0] == no      # wrong: false negative
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[0] == no      # wrong: false negative
expect mapcount rmap-id f1 == 17              ; expect shared? rmap-id buf[0] == yes
expect mapcount owner f1 == 17                ; expect shared? owner buf[0] == yes
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no        # wrong: false negative
expect mapcount likely f1 == 17               ; expect shared? likely buf[0] == yes
expect mapcount mm-id f1 == 17                ; expect shared? mm-id buf[0] == yes
expect mapcount average f1 == 17              ; expect shared? average buf[0] == yes
expect mapcount total-pages f1 == 17          ; expect shared? total-pages buf[0] == yes

| 19b: the parent unmaps page 15.
madvise dontneed buf[15]
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no        # wrong: false negative
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many buf[0] == yes
expect mapcount per-page f1 == 16             ; expect shared? per-page buf[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples buf[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 0          ; expect shared? tuples-naive buf[0] == no       # miscounted (2), false negative
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless buf[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas buf[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless buf[0] == yes
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[0] == no      # wrong: false negative
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[0] == no      # wrong: false negative
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id buf[0] == yes
expect mapcount owner f1 == 16                ; expect shared? owner buf[0] == yes
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no        # wrong: false negative
expect mapcount likely f1 == 16               ; expect shared? likely buf[0] == no             # wrong: false negative
expect mapcount mm-id f1 == 16                ; expect shared? mm-id buf[0] == yes
expect mapcount average f1 == 16              ; expect shared? average buf[0] == yes
expect mapcount total-pages f1 == 16          ; expect shared? total-pages buf[0] == yes

| khugepaged counts shared PTEs against max_ptes_shared (256). v6.1 counts by page: one PTE in each folio as in 19a,
| 32 of 512, so it collapses. Since v6.12 it counts by folio: all 16 PTEs of each, 512 of 512, so it does not.
| MADV_COLLAPSE, which this shell has, ignores that limit; khugepaged is not modeled.
set schemes all
query shared? buf[0]
