#!folioshell 1
| # 4: A folio across two page tables
|
| A file can be mapped at any page offset. Here the first two pages of a folio are the last entries of one PTE table,
| and its last two pages are the first entries of the next. One process maps the folio, yet the number of tuples is 2
| again.

set geometry classroom ; set schemes per-page,tuples,vmas,mm-id ; set after mapcounts
file lib 16 order=2
mmap win 4 file=lib align=8 skew=6

| A fault maps only pages within its own PTE table.
fault win[0]
expect mapcount tuples f1 == 1
fault win[2]
expect mapcount tuples f1 == 2
expect mapcount vmas f1 == 1
show

| Two processes, or one process with two tables? The number cannot tell. An rmap walk can; it takes two PTLs.
query shared? f1
expect shared? tuples f1 == maybe      # undecided
expect shared? vmas f1 == no
expect shared? truth f1 == no
rmap f1
