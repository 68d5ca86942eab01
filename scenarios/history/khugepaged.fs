#!folioshell 1
| # What khugepaged collapses: holes, pages of a fork, lazyfree pages (6.18, 7.1)
|
| Small pages were mapped before the range was advised hugepage. khugepaged copies a block into a huge page if enough of it
| is there. After a fork whose child has gone no entry is writable, which was a reason against it until 6.18. Since 7.1 it
| leaves clean lazyfree pages to reclaim, and with them the block.

set check on
mmap none 512 align=512
write none[0..99]
madvise hugepage none
set khugepaged.max_ptes_none 411
khugepaged
| 412 of 512 pages are missing: one too many.
expect order none[0] == 0
set khugepaged.max_ptes_none 412
khugepaged
expect order none[0] == 9

mmap forked 512 align=512
write forked
madvise hugepage forked
fork B
exit B
madvise free forked[0..15]
khugepaged
expect[5.10,6.1,6.12,6.16] order forked[100] == 0
expect[6.18,7.0] order forked[100] == 9
expect[7.3] order forked[100] == 0
