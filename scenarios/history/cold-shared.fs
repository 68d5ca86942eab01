#!folioshell 1
| # COLD leaves the rest of a page table alone (until 6.9)
|
| Two huge pages lie in one page table, half of each. B still maps the first one. MADV_COLD over the table must not split
| what B maps. Kernels before 6.10 leave the loop at the first shared page, and with it all that follows in this table;
| later ones skip the folio and continue: the second huge page, of which the range covers a half, is split.

set thp.pmd always
mmap two 4M align=512
write two
fork B
B: munmap two[512..1023]
mremap two new=moved align=512 skew=256
madvise cold moved[256..767]
expect order moved[300] == 9
expect[5.10,6.1] order moved[600] == 9
expect[6.12,6.16,6.18,7.0,7.3] order moved[600] == 0
