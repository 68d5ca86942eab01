#!folioshell 1
| # Example 2: a folio across two page tables
|
| The VMA starts 8 pages before a page-table boundary, so half of the order-4 folio is mapped by one PTE table and
| half by the next. One process, one VMA, and yet the first definition counts 2 after the second fault. That looks the
| same as two processes that map the folio once each, and the kernel must walk the rmap to find out. The second
| definition counts 1.

file lib 32 order=4
mmap win 16 file=lib align=512 skew=504

| 2a: fault-around stops at the end of the first table.
fault win[0]
expect mapcount per-page f1 == 8
expect mapcount tuples f1 == 1
expect mapcount vmas f1 == 1
expect shared? tuples f1 == no

| 2b: a fault in the second table maps the other half.
fault win[8]
expect mapcount per-page f1 == 16
expect mapcount tuples f1 == 2
expect mapcount vmas f1 == 1
expect mapcount mm-id f1 == 16
expect locks == pt2

expect truth mms f1 == 1
expect truth vmas f1 == 1
expect truth tuples f1 == 2
expect truth pages f1 == 16
expect shared? truth win[0] == no
expect shared? per-page win[0] == yes   # wrong: false positive
expect shared? tuples win[0] == maybe   # undecided: a walk of 2 PTLs and 16 entries
expect shared? vmas win[0] == no
expect shared? mm-id win[0] == no
query shared? win[0]

| fork copies no page tables of a file mapping that has no private pages: B gets a VMA without entries, which an rmap
| walk visits in vain.
fork B
rmap f1
expect mapcount tuples f1 == 2
expect truth mms f1 == 1
