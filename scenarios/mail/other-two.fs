#!folioshell 1
| # Example 4: the other "2"
|
| Two processes map the folio once each, through one page table each. The number of tuples is 2, the same as for the
| folio that one process maps through two tables (straddle.fs): "if it's 2, maybe".

file lib 32 order=4
mmap win 16 file=lib
fault win[0]
fork B
B: fault win[0]

expect mapcount per-page f1 == 32
expect mapcount tuples f1 == 2
expect mapcount vmas f1 == 2
expect mapcount mm-id f1 == 32

expect truth mms f1 == 2
expect shared? truth f1 == yes
expect shared? per-page f1 == yes
expect shared? tuples f1 == maybe       # undecided, as in straddle.fs
expect shared? vmas f1 == yes
expect shared? mm-id f1 == yes
query shared? win[0]
rmap f1
