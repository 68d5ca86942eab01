#!folioshell 1
| # Example 2: a folio across two page tables, and what MADV_PAGEOUT does to it
|
| The VMA starts 8 pages before a page-table boundary: half of the order-4 folio is mapped by one PTE table, half by
| the next. One process maps it, and the number of tuples is 2, the same as for two processes (04-other-two.fs).

file lib 32 order=4
mmap win 16 file=lib align=512 skew=504

| 2a: fault-around stops at the end of the first table.
fault win[0]
expect truth entries f1 == 8 ; expect truth pages f1 == 8 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 win[0] == 1       ; expect shared? per-page-v5 win[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many win[0] == no
expect mapcount per-page f1 == 8              ; expect shared? per-page win[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples win[0] == no
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive win[0] == no
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

| 2b: a fault in the second table maps the other half.
fault win[8]
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 win[0] == 1       ; expect shared? per-page-v5 win[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many win[0] == no
expect mapcount per-page f1 == 16             ; expect shared? per-page win[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 2                ; expect shared? tuples win[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive win[0] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless win[0] == maybe # undecided
expect mapcount vmas f1 == 1                  ; expect shared? vmas win[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless win[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 win[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 win[0] == no
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id win[0] == no
expect mapcount owner f1 == 16                ; expect shared? owner win[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 win[0] == no
expect mapcount likely f1 == 16               ; expect shared? likely win[0] == no
expect mapcount mm-id f1 == 16                ; expect shared? mm-id win[0] == no
expect mapcount average f1 == 16              ; expect shared? average win[0] == no
expect mapcount total-pages f1 == 16          ; expect shared? total-pages win[0] == no

| MADV_PAGEOUT of the whole VMA works one page table at a time, so it never sees the whole folio, and the kernel must
| ask. per-page-v5 (v6.1) finds page_mapcount() 1 and splits; per-page (the v6.3 rule) finds 16 and skips; tuples
| needs a walk; the others know. Splitting a file folio unmaps it, and the pieces are then reclaimed.
set decide per-page-v5
madvise pageout win
expect free f1
expect present? win[3] == no
expect present? win[12] == no
undo 2
set decide tuples
madvise pageout win
expect free f1
expect present? win[3] == no
expect present? win[12] == no
undo 2
set decide vmas
madvise pageout win
expect free f1
expect present? win[3] == no
expect present? win[12] == no
undo 2
set decide likely
madvise pageout win
expect free f1
expect present? win[3] == no
expect present? win[12] == no
undo 2
set decide mm-id
madvise pageout win
expect free f1
expect present? win[3] == no
expect present? win[12] == no
undo 2
set decide per-page
madvise pageout win
expect order f1 == 4
expect mapcount per-page f1 == 16      # the hint was ignored
undo 2

| At an aligned address the same folio is one batch of 16 entries, and folio_mapcount() is 16 too: there is nothing to
| ask, and the folio is reclaimed without a split.
munmap win
mmap low 16 file=lib
fault low[0]
expect mapcount per-page f1 == 16
madvise pageout low
expect free f1
