#!folioshell 1
| # A page of a huge page that no one shares is copied all the same (until 6.14)
|
| A huge page is mapped by PTEs, a child came and went. The pages are no longer PageAnonExclusive, and so a write asks
| whether the folio is mapped once: up to 6.14 a page of a large folio with other entries is copied, even if all of them
| belong to the process that writes.
| MM-IDs know that one mm holds all entries.

set thp.pmd always
mmap buf 2M align=512
write buf
mprotect buf[10] r
mprotect buf[10] rw
fork B
exit B
write buf[9]
expect truth mms buf[20] == 1
expect[5.10,6.1,6.12] order buf[9] == 0
expect[6.16,6.18,7.0,7.3] order buf[9] == 9
