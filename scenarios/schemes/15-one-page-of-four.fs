#!folioshell 1
| # Example 15: every process keeps one page
|
| The second case that the RFC misses, scaled down to an order-2 folio and three children (in the RFC: 511 children
| and an order-9 folio). Four processes with one entry each make four entries for four pages.

set thp.16K always
mmap buf 4
write buf
fork B
fork C

| 15a: the third child: four processes, 16 entries.
fork D
expect truth entries f1 == 16 ; expect truth pages f1 == 4 ; expect truth mms f1 == 4
expect truth vmas f1 == 4 ; expect truth tuples f1 == 4
expect mapcount per-page-v5 buf[0] == 4       ; expect shared? per-page-v5 buf[0] == yes
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many buf[0] == yes
expect mapcount per-page f1 == 16             ; expect shared? per-page buf[0] == yes
expect mapcount tuples f1 == 4                ; expect shared? tuples buf[0] == yes
expect mapcount tuples-naive f1 == 4          ; expect shared? tuples-naive buf[0] == yes
expect mapcount tuples-hookless f1 == 4       ; expect shared? tuples-hookless buf[0] == yes
expect mapcount vmas f1 == 4                  ; expect shared? vmas buf[0] == yes
expect mapcount vmas-hookless f1 == 4         ; expect shared? vmas-hookless buf[0] == yes
expect mapcount estimated-ne1 f1 == 4         ; expect shared? estimated-ne1 buf[0] == yes
expect mapcount estimated-gt1 f1 == 4         ; expect shared? estimated-gt1 buf[0] == yes
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id buf[0] == yes
expect mapcount owner f1 == 16                ; expect shared? owner buf[0] == yes
expect mapcount likely-v6.9 f1 == 4           ; expect shared? likely-v6.9 buf[0] == yes
expect mapcount likely f1 == 16               ; expect shared? likely buf[0] == yes
expect mapcount mm-id f1 == 16                ; expect shared? mm-id buf[0] == yes
expect mapcount average f1 == 16              ; expect shared? average buf[0] == yes
expect mapcount total-pages f1 == 16          ; expect shared? total-pages buf[0] == yes
expect mapcount average buf[0] == 4
expect mapcount total-pages buf[0] == 4
expect partial? f1 == no
expect partial? per-page-v5 f1 == no
expect partial? per-page f1 == no
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == no
expect partial? mm-id f1 == no
expect partial? average f1 == no
expect partial? total-pages f1 == no

| 15b: all four unmap pages 1 to 3. No one maps three of the four pages now.
madvise dontneed buf[1..3]
B: madvise dontneed buf[1..3]
C: madvise dontneed buf[1..3]
D: madvise dontneed buf[1..3]
expect truth entries f1 == 4 ; expect truth pages f1 == 1 ; expect truth mms f1 == 4
expect truth vmas f1 == 4 ; expect truth tuples f1 == 4
expect mapcount per-page-v5 buf[0] == 4       ; expect shared? per-page-v5 buf[0] == yes
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many buf[0] == yes
expect mapcount per-page f1 == 4              ; expect shared? per-page buf[0] == yes
expect mapcount tuples f1 == 4                ; expect shared? tuples buf[0] == yes
expect mapcount tuples-naive f1 == 0          ; expect shared? tuples-naive buf[0] == no       # miscounted (4), false negative
expect mapcount tuples-hookless f1 == 4       ; expect shared? tuples-hookless buf[0] == yes
expect mapcount vmas f1 == 4                  ; expect shared? vmas buf[0] == yes
expect mapcount vmas-hookless f1 == 4         ; expect shared? vmas-hookless buf[0] == yes
expect mapcount estimated-ne1 f1 == 4         ; expect shared? estimated-ne1 buf[0] == yes
expect mapcount estimated-gt1 f1 == 4         ; expect shared? estimated-gt1 buf[0] == yes
expect mapcount rmap-id f1 == 4               ; expect shared? rmap-id buf[0] == yes
expect mapcount owner f1 == 4                 ; expect shared? owner buf[0] == yes
expect mapcount likely-v6.9 f1 == 4           ; expect shared? likely-v6.9 buf[0] == yes
expect mapcount likely f1 == 4                ; expect shared? likely buf[0] == yes
expect mapcount mm-id f1 == 4                 ; expect shared? mm-id buf[0] == yes
expect mapcount average f1 == 4               ; expect shared? average buf[0] == yes
expect mapcount total-pages f1 == 4           ; expect shared? total-pages buf[0] == yes
expect mapcount average buf[0] == 1
expect mapcount total-pages buf[0] == 1
expect partial? f1 == yes
expect partial? per-page-v5 f1 == yes
expect partial? per-page f1 == yes
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == yes
expect partial? mm-id f1 == yes
expect partial? average f1 == no              # wrong: missed
expect partial? total-pages f1 == no          # wrong: missed

| 15c: the children exit. One entry for four pages: every scheme that can answer sees it.
exit B
exit C
exit D
expect truth entries f1 == 1 ; expect truth pages f1 == 1 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many buf[0] == yes # miscounted (1), false positive
expect mapcount per-page f1 == 1              ; expect shared? per-page buf[0] == no
expect mapcount tuples f1 == 1                ; expect shared? tuples buf[0] == no
expect mapcount tuples-naive f1 == -3         ; expect shared? tuples-naive buf[0] == no       # miscounted (1)
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
expect mapcount average buf[0] == 1
expect mapcount total-pages buf[0] == 1
expect partial? f1 == yes
expect partial? per-page-v5 f1 == yes
expect partial? per-page f1 == yes
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == yes
expect partial? mm-id f1 == yes
expect partial? average f1 == yes
expect partial? total-pages f1 == yes
set schemes all
query shared? buf[0]
