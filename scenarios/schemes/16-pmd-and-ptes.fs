#!folioshell 1
| # Example 16: one process PMD-mapped, the other PTE-mapped
|
| After a fork the child's PMD entry is split. 513 entries map 512 pages; one of them maps all.

mmap buf 2M
madvise hugepage buf
write buf[0]
fork B
B: mprotect buf[511] r

| 16a: the VMA is whole again, the PMD mapping stays split. The parent still maps the folio.
B: mprotect buf[511] rw
expect truth entries f1 == 513 ; expect truth pages f1 == 512 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 buf[0] == 2       ; expect shared? per-page-v5 buf[0] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many buf[0] == yes
expect mapcount per-page f1 == 513            ; expect shared? per-page buf[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples buf[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive buf[0] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless buf[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas buf[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless buf[0] == yes
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 buf[0] == yes
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 buf[0] == yes
expect mapcount rmap-id f1 == 513             ; expect shared? rmap-id buf[0] == yes
expect mapcount owner f1 == 513               ; expect shared? owner buf[0] == yes
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 buf[0] == yes
expect mapcount likely f1 == 513              ; expect shared? likely buf[0] == yes
expect mapcount mm-id f1 == 513               ; expect shared? mm-id buf[0] == yes
expect mapcount average f1 == 513             ; expect shared? average buf[0] == yes
expect mapcount total-pages f1 == 513         ; expect shared? total-pages buf[0] == yes
expect mapcount average buf[0] == 2
expect mapcount total-pages buf[0] == 2
expect partial? f1 == no
expect partial? per-page-v5 f1 == no
expect partial? per-page f1 == no
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == no
expect partial? mm-id f1 == no
expect partial? average f1 == no
expect partial? total-pages f1 == no

| 16b: the parent exits. The first owner that mm-id recorded is gone, and the other slot accounts for all that is
| left.
as B
exit A
expect truth entries f1 == 512 ; expect truth pages f1 == 512 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many buf[0] == no
expect mapcount per-page f1 == 512            ; expect shared? per-page buf[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples buf[0] == no
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive buf[0] == no
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless buf[0] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas buf[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless buf[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[0] == no
expect mapcount rmap-id f1 == 512             ; expect shared? rmap-id buf[0] == no
expect mapcount owner f1 == 512               ; expect shared? owner buf[0] == yes             # wrong: false positive
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no
expect mapcount likely f1 == 512              ; expect shared? likely buf[0] == no
expect mapcount mm-id f1 == 512               ; expect shared? mm-id buf[0] == no
expect mapcount average f1 == 512             ; expect shared? average buf[0] == no
expect mapcount total-pages f1 == 512         ; expect shared? total-pages buf[0] == no
expect mapcount average buf[0] == 1
expect mapcount total-pages buf[0] == 1
expect partial? f1 == no
expect partial? per-page-v5 f1 == no
expect partial? per-page f1 == no
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == no
expect partial? mm-id f1 == no
expect partial? average f1 == no
expect partial? total-pages f1 == no
why f1 mm-id
set schemes all
query shared? buf[0]
