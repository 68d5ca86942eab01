#!folioshell 1
| # 2: Two processes, one page
|
| fork copies page tables, not pages. The first process to write gets a copy of the page; the process left alone with
| the original needs no copy.

set geometry classroom ; set schemes per-page ; set after mapcounts
mmap buf 8
write buf[0..3]

| After the fork every page is mapped by two entries, all of them read-only.
fork B
show
expect mapcount per-page f1 == 2
expect same buf[0] B:buf[0]

| B writes: it gets a copy, f5. Only A maps f1 now.
B: write buf[0]
expect mapcount per-page f1 == 1
expect mapcount per-page f5 == 1

| A writes: no one else maps f1, so its entry is made writable. No copy.
write buf[0]
expect mapcount per-page f1 == 1
show
