#!folioshell 1
| # The split of a huge page drops pages of zeros (6.12)
|
| Of a huge page only the first page was written. MADV_COLD over a part of it splits the folio. The pages of zeros used to
| stay, each a folio of its own; since 6.12 the zero page is mapped in their place, and they are freed.

set thp.pmd always
mmap buf 2M align=512
write buf[0]
madvise cold buf[10..13]
expect order buf[0] == 0
expect present? buf[100] == yes
expect[5.10,6.1] truth entries buf[100] == 1
expect[6.12,6.16,6.18,7.0,7.3] free f3 == yes
