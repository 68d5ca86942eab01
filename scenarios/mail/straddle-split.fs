#!folioshell 1
| # Example 6: across two page tables, with a VMA split on top
|
| Three tuples for one process: "if it's more than 2, it's definitely mapped by somebody else" is already wrong for an
| order-4 folio, if "somebody else" means another process.

file lib 32 order=4
mmap win 16 file=lib align=512 skew=504
fault win[0]
fault win[8]
mprotect win[0..3] none

expect vmas A == 2
expect mapcount per-page f1 == 16
expect mapcount tuples f1 == 3
expect mapcount vmas f1 == 2
expect mapcount mm-id f1 == 16
expect truth tuples f1 == 3
expect truth mms f1 == 1
expect shared? truth f1 == no
expect shared? per-page f1 == yes       # wrong: false positive
expect shared? tuples f1 == yes         # wrong: false positive
expect shared? vmas f1 == yes           # wrong: false positive
expect shared? mm-id f1 == no
query shared? f1
