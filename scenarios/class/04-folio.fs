#!folioshell 1
| # 4: Several pages as one
|
| The kernel saves work by keeping several pages as one folio. A folio of
| order 2 has 4 pages, order 3 has 8: two to the power of the order.
| What does "mapped once" mean then? 10 minutes.
set geometry classroom
set schemes per-page,tuples

| From now on a write may get a folio of 16K: 4 pages.
set thp.16K always
mmap buf 8

? truth entries f1 == 4 | One write to one page. How many entries map f1?
?hint The kernel got 4 pages for this fault. Why not map all of them?
?wrong 1 One fault, but the kernel mapped the whole folio.
?after One fault saved three others.
write buf[0]

| The kernel often asks: does anyone else map this folio? With single pages
| it looked at the mapcount, the number of entries: is it 1? A way to count,
| and to answer from the number, is a scheme. This one is called per-page.
? shared? per-page f1 == yes | Only A maps f1. What does "is it 1?" say: shared?
?hint The mapcount is 4, and 4 is not 1.
?wrong no It compares 4 with 1.
?after A false positive: it says shared, and no one else maps the folio.
query shared? f1

| Another scheme counts pairs of (VMA, page table): for A that is one pair.
| Its name is tuples.
? mapcount tuples f1 == 2 | fork B. How many such pairs map f1 now?
?hint The child has a VMA and a table of its own.
?wrong 1 B's entries are in another table.
?wrong 8 That is the number of entries.
fork B
query shared? f1

| Where does the number come from?
why f1 tuples

?task less steps<=1 allow=munmap,madvise | Change it: A keeps its four entries of f1, and B has only three.
?goal mapcount per-page buf[0] == 1 | page 0 has one entry less
?goal truth entries buf[1] == 7 | 7 entries map the folio
?hint Page 0 has to go in one process: `munmap` unmaps it.
?hint `B:` before a command runs it in B.
?solution B: munmap buf[0]

?task full | Make it: a region `big` with two folios of order 2, all of their pages mapped.
?goal truth entries big[0] == 4 | 4 entries map the folio of big[0]
?goal truth entries big[4] == 4 | 4 entries map the folio of big[4]
?goal same big[0] big[4] == no | these are two folios
?hint A write gets one folio.
?solution mmap big 8 ; write big[0] ; write big[4]
