#!folioshell 1
| # Example 17: a file folio mapped by two PMD entries and one PTE
|
| The example with which the RFC of April 2026 explains its total: three entries map 512, 512 and 1 pages, so the
| folio has 3 mappings and 1025 mapped pages. C maps one page of the file, through a VMA of one page.

file lib 4M order=9
mmap win 512 file=lib
fault win[0]
fork B
B: fault win[0]
fork C
C: mmap one 1 file=lib offset=5

| 17: C maps its page. Page 5 is mapped three times now, the others twice.
C: fault one[0]
expect truth entries f1 == 3 ; expect truth pages f1 == 512 ; expect truth mms f1 == 3
expect truth vmas f1 == 3 ; expect truth tuples f1 == 3
expect mapcount per-page-v5 win[0] == 2       ; expect shared? per-page-v5 win[0] == yes
expect mapcount zero-one-two-many f1 == 3     ; expect shared? zero-one-two-many win[0] == yes
expect mapcount per-page f1 == 3              ; expect shared? per-page win[0] == yes
expect mapcount tuples f1 == 3                ; expect shared? tuples win[0] == yes
expect mapcount tuples-naive f1 == 3          ; expect shared? tuples-naive win[0] == yes
expect mapcount tuples-hookless f1 == 3       ; expect shared? tuples-hookless win[0] == yes
expect mapcount vmas f1 == 3                  ; expect shared? vmas win[0] == yes
expect mapcount vmas-hookless f1 == 3         ; expect shared? vmas-hookless win[0] == yes
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 win[0] == yes
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 win[0] == yes
expect mapcount rmap-id f1 == 3               ; expect shared? rmap-id win[0] == yes
expect mapcount owner f1 == 3                 ; expect shared? owner win[0] == yes
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 win[0] == yes
expect mapcount likely f1 == 3                ; expect shared? likely win[0] == yes
expect mapcount mm-id f1 == 3                 ; expect shared? mm-id win[0] == yes
expect mapcount average f1 == 3               ; expect shared? average win[0] == yes
expect mapcount total-pages f1 == 3           ; expect shared? total-pages win[0] == yes
expect mapcount average win[0] == 2
expect mapcount total-pages win[0] == 2
expect partial? f1 == no
expect partial? per-page-v5 f1 == no
expect partial? per-page f1 == no
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == no
expect partial? mm-id f1 == no
expect partial? average f1 == no
expect partial? total-pages f1 == no
expect mapcount per-page-v5 win[5] == 3
expect mapcount average win[5] == 2          # the average of all pages
set schemes all
query shared? win[0]
