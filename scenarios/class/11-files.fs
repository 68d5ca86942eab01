#!folioshell 1
| # 11: Files
|
| The kernel keeps the pages of files in memory: the page cache. Programs
| map these pages. A shared mapping writes into them; a private one gets a
| copy of each page that it writes. 10 minutes.
set geometry classroom
set schemes per-page,vmas
file lib 8
mmap sh 8 shared file=lib prot=rw
mmap pr 8 private file=lib prot=rw
read sh[0]

? truth entries f1 == 2 | The private mapping is read. How many entries map f1?
?hint A copy is made for a write.
?wrong 1 Reading needs no copy: both map the page of the page cache.
?after Both mappings read the same page.
read pr[0]

? truth entries f1 == 1 | Now pr[0] is written. How many entries map f1?
?hint Others must not see this write.
?wrong 2 pr[0] has a copy of its own.
?after The copy is anonymous memory: it belongs to no file any more.
write pr[0]
show

| `truncate lib 0` cuts the file to no pages. Pages of the file are
| unmapped everywhere, or programs could read what is not there.
? present? pr[0] == no | The private copy at pr[0]: is it still there?
?hint Should an access beyond the end of the file succeed?
?wrong yes Copies go, too: nothing is left beyond the end of a file.
?after From now on an access fails, to the page of the copy as well.
truncate lib 0

diff

?task grow | Change it: a file `more` of 4 pages; map it as `m`, shared and writable, and write page 0 of it.
?goal present? m[0] == yes | m[0] has an entry
?goal shared? truth m[0] == no | no other process maps its page
?hint `file more 4`, then mmap with shared and file=more.
?solution file more 4 ; mmap m 4 shared file=more prot=rw ; write m[0]

?task copies | Make it: A and B map different copies of page 1 of a file `doc`, both by the region `d`.
?goal same d[1] B:d[1] == no | A and B map different pages at d[1]
?goal truth entries d[1] == 1 | A's page has one entry
?goal truth entries B:d[1] == 1 | B's page has one entry
?hint Private, and both write. When does the fork come?
?solution file doc 4 ; mmap d 4 private file=doc prot=rw ; fork B ; write d[1] ; B: write d[1]
