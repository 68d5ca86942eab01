#!folioshell 1
| # Example 5: a VMA is split inside a folio
|
| mprotect of half the folio splits the VMA in two. No rmap function is called and no entry is mapped or unmapped, so
| both definitions need a callback for the split, or they miscount. The number of VMAs is 2 now, and the second
| definition calls the folio shared although only one process maps it.

set thp.64K always
mmap buf 16
write buf[0]

| 5a: an order-4 folio, fully mapped by one VMA.
expect order f1 == 4
expect mapcount per-page f1 == 16
expect mapcount tuples f1 == 1
expect mapcount vmas f1 == 1
expect mapcount mm-id f1 == 16

| 5b: the upper half becomes read-only.
mprotect buf[8..15] r
expect vmas A == 2
expect mapcount per-page f1 == 16
expect mapcount tuples f1 == 2
expect mapcount vmas f1 == 2
expect mapcount mm-id f1 == 16
expect truth vmas f1 == 2
expect truth tuples f1 == 2
expect shared? truth f1 == no
expect shared? per-page f1 == yes       # wrong: false positive
expect shared? tuples f1 == maybe       # undecided
expect shared? vmas f1 == yes           # wrong: false positive
expect shared? mm-id f1 == no
query shared? buf[0]

| And back again: the halves share one anon_vma, so the VMAs merge, and the numbers are those of 5a.
mprotect buf[8..15] rw
expect vmas A == 1
expect mapcount tuples f1 == 1
expect mapcount vmas f1 == 1
