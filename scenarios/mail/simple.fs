#!folioshell 1
| # Example 1: every page mapped once, through one page table
|
| An order-2 folio, one VMA, one PTE table. Both definitions of the two mails count 1: one (VMA, page table) tuple,
| and one VMA. The sum of the per-page mapcounts is 4, and a kernel that asks "is folio_mapcount() 1?" calls the folio
| shared although no one else maps it.

file lib 8 order=2
mmap win 4 file=lib
fault win[0]

expect mapcount per-page f1 == 4
expect mapcount tuples f1 == 1
expect mapcount vmas f1 == 1
expect mapcount mm-id f1 == 4

expect truth mms f1 == 1
expect truth entries f1 == 4
expect shared? truth f1 == no
expect shared? per-page f1 == yes       # wrong: false positive
expect shared? tuples f1 == no
expect shared? vmas f1 == no
expect shared? mm-id f1 == no
query shared? win[0]
