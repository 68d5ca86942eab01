#!folioshell 1
| # Example 3: a huge page, first PMD-mapped, then PTE-mapped
|
| Splitting the PMD entry changes which table maps the folio, not how many: 1 tuple before, 1 after. The number of
| entries goes from 1 to 512, and with it the answer of a rule that asks for one entry.

mmap buf 2M
madvise hugepage buf
write buf[0]

| 3a: PMD-mapped.
expect truth entries f1 == 1 ; expect truth pages f1 == 512 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many buf[0] == no
expect mapcount per-page f1 == 1              ; expect shared? per-page buf[0] == no
expect mapcount tuples f1 == 1                ; expect shared? tuples buf[0] == no
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive buf[0] == no
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless buf[0] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas buf[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless buf[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[0] == no
expect mapcount rmap-id f1 == 1               ; expect shared? rmap-id buf[0] == no
expect mapcount owner f1 == 1                 ; expect shared? owner buf[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no
expect mapcount likely f1 == 1                ; expect shared? likely buf[0] == no
expect mapcount mm-id f1 == 1                 ; expect shared? mm-id buf[0] == no
expect mapcount average f1 == 1               ; expect shared? average buf[0] == no
expect mapcount total-pages f1 == 1           ; expect shared? total-pages buf[0] == no

| 3b: mprotect one page, and change it back. The VMAs merge again; the PMD mapping stays split.
mprotect buf[511] r
mprotect buf[511] rw
expect vmas A == 1
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
expect mapcount owner f1 == 512               ; expect shared? owner buf[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no
expect mapcount likely f1 == 512              ; expect shared? likely buf[0] == no
expect mapcount mm-id f1 == 512               ; expect shared? mm-id buf[0] == no
expect mapcount average f1 == 512             ; expect shared? average buf[0] == no
expect mapcount total-pages f1 == 512         ; expect shared? total-pages buf[0] == no
set schemes all
query shared? buf[0]
