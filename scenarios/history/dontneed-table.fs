#!folioshell 1
| # DONTNEED frees the page table, and a huge page fits again (6.14)
|
| Small pages were mapped before the range was advised hugepage. After MADV_DONTNEED their PTE table is empty; as long as
| it exists no huge page can be faulted in. Since 6.14 DONTNEED frees a table that it empties.

set thp.pmd madvise
mmap buf 2M align=512
write buf
madvise hugepage buf
madvise dontneed buf
write buf[0]
expect[5.10,6.1,6.12] order buf[0] == 0
expect[6.16,6.18,7.0,7.3] order buf[0] == 9
