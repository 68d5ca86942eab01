#!folioshell 1
| # 2: Two processes, one page
|
| A fork copies tables, not pages. Whoever writes first gets a copy of the page, and the one who is left alone with it needs
| none.

set geometry classroom ; set schemes per-page ; set after mapcounts
mmap buf 8 at=0x10000
write buf[0..3]

| After the fork every page has two entries, and all of them are read-only.
fork B
show
expect mapcount per-page f1 == 2
expect same buf[0] B:buf[0]

| B writes: it gets f5, and f1 is A's alone.
B: write buf[0]
expect mapcount per-page f1 == 1
expect mapcount per-page f5 == 1

| A writes: nobody else has f1, so it is made writable again. No new page.
write buf[0]
expect mapcount per-page f1 == 1
show
