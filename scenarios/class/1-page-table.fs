#!folioshell 1
| # 1: What is a page table?
|
| A process uses virtual addresses; a tree of tables translates them to physical pages. Here a table has 8 entries, so
| the octal digits of a page number are the path through the tree.

set geometry classroom ; set schemes per-page ; set after mapcounts

| mmap reserves 16 pages of address space, starting at page 16 (octal 0020). There is a VMA now, but no memory yet.
mmap buf 16
show vmas
expect present? buf[0] == no

| The first write allocates a page of memory, f1, and the page tables that lead to it.
write buf[0]
walk buf[0]
expect present? buf[0] == yes
expect mapcount per-page f1 == 1

| Page 24 (octal 0030) belongs to another PTE table. Reading it allocates no memory: all such reads share one zero
| page.
read buf[8]
expect locks == pt2
show
