#!folioshell 1
| # 1: What is a page table?
|
| A process sees addresses; a tree of tables says what is behind them. Tables have 8 entries here, so the octal digits of a
| page's number are the way through the tree.

set geometry classroom ; set schemes per-page ; set after mapcounts

| mmap promises 16 pages from page 16 (octal 0020) on. There is a VMA now, and no memory.
mmap buf 16 at=0x10000
show vmas
expect present? buf[0] == no

| The first write brings a page of memory, f1, and the tables on the way to it.
write buf[0]
walk buf[0]
expect present? buf[0] == yes
expect mapcount per-page f1 == 1

| Page 24, octal 0030, is in another leaf table. Reading it needs no memory: all share one page of zeros.
read buf[8]
expect locks == pt2
show
