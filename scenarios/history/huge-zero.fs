#!folioshell 1
| # A write to the huge zero page (6.13)
|
| A read maps the huge zero page by one PMD entry. The first write used to split that entry and copy one small page; since
| 6.13 it allocates a huge page in its place, as a write without a read before it does.

set thp.pmd always
mmap buf 2M align=512
read buf[0]
write buf[0]
expect present? buf[511] == yes
expect[5.10,6.1,6.12] order buf[0] == 0
expect[6.16,6.18,7.0,7.3] order buf[0] == 9
