#!folioshell 1
| # 4: A folio across two tables
|
| A file may be mapped at any page. Here the first two pages of a folio are the last of one leaf table, and its last two the first
| of the next. One process has it, and the number of pairs is 2 again.

set geometry classroom ; set schemes per-page,tuples,vmas,mm-id ; set after mapcounts
file lib 16 order=2
mmap win 4 file=lib align=8 skew=6

| A fault maps what is in its table.
fault win[0]
expect mapcount tuples f1 == 1
fault win[2]
expect mapcount tuples f1 == 2
expect mapcount vmas f1 == 1
show

| Two processes, or one with two tables? The number does not say. An rmap walk does, under two locks.
query shared? f1
expect shared? tuples f1 == maybe      # undecided
expect shared? vmas f1 == no
expect shared? truth f1 == no
rmap f1
