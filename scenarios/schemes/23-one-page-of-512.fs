#!folioshell 1
| # Example 23: a huge folio, and one page of it in another process
|
| A maps all of an order-9 file folio by PTEs, B maps one page. How much of it is A's? With per-page mapcounts: 511
| private pages and half of page 0. With an average (CONFIG_NO_PAGE_MAPCOUNT) every page counts once: both processes
| pay in full, and nothing is private to A.
|
| A fault would map an aligned order-9 folio with a PMD entry, unless a page table is already there. A write to the
| private mapping installs one; the copy is then unmapped again.

file lib 4M order=9
fork B
mmap win 512 file=lib prot=rw
write win[0]
madvise dontneed win[0]
read win[0]
B: mmap one 1 file=lib

| 23: B reads its page. A asks about page 1, which only A maps.
B: read one[0]
expect truth entries f1 == 513 ; expect truth pages f1 == 512 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 win[1] == 1       ; expect shared? per-page-v5 win[1] == no        # wrong: false negative
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many win[1] == yes
expect mapcount per-page f1 == 513            ; expect shared? per-page win[1] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples win[1] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive win[1] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless win[1] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas win[1] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless win[1] == yes
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 win[1] == yes
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 win[1] == yes
expect mapcount rmap-id f1 == 513             ; expect shared? rmap-id win[1] == yes
expect mapcount owner f1 == 513               ; expect shared? owner win[1] == yes
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 win[1] == yes
expect mapcount likely f1 == 513              ; expect shared? likely win[1] == yes
expect mapcount mm-id f1 == 513               ; expect shared? mm-id win[1] == yes
expect mapcount average f1 == 513             ; expect shared? average win[1] == yes
expect mapcount total-pages f1 == 513         ; expect shared? total-pages win[1] == yes

| What user space sees: Pss 2046 + 2 kB and 2044 kB private. Without per-page mapcounts 2048 + 4 kB, more than there
| is, and nothing private.
show smaps
show kpagecount
set page_mapcount off
show smaps
show kpagecount

| And the statistics: with A gone, one page of the file is mapped; a kernel that counts whole folios says 512.
munmap win
show stats
