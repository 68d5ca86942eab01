#!folioshell 1
| # 3: Several pages as one
|
| A folio of order 2 has 4 pages and is mapped by 4 entries. "Is its mapcount 1?" was the old test for "does anyone
| else map it?"; with 4 entries it gives the wrong answer. Three other ways to count are shown beside it.

set geometry classroom ; set schemes per-page,tuples,vmas,mm-id ; set after mapcounts
set thp.16K always
mmap buf 8
write buf[0]

| One process maps it.
query shared? f1
expect shared? truth f1 == no
expect shared? per-page f1 == yes      # wrong: false positive
expect shared? tuples f1 == no
expect shared? vmas f1 == no
expect shared? mm-id f1 == no

| Now two processes map it. The number of (VMA, page table) tuples is 2, which is not conclusive: the next script
| shows why.
fork B
query shared? f1
expect shared? truth f1 == yes
expect shared? tuples f1 == maybe      # undecided
expect shared? vmas f1 == yes
expect shared? mm-id f1 == yes
