#!folioshell 1
| # 6: Three processes
|
| MM-ID counts the entries of two processes separately. A third process is counted in the total only. When it is the
| last one left, the kernel does not know that no one else maps the folio.

set geometry classroom ; set schemes per-page,tuples,vmas,mm-id ; set after mapcounts
file lib 16 order=2
mmap win 4 file=lib
fork B
fork C
fault win[0]
B: fault win[0]
C: fault win[0]

exit B
as C
exit A
query shared? f1
expect shared? truth f1 == no
expect shared? mm-id f1 == yes         # wrong: false positive
expect shared? tuples f1 == no
expect shared? vmas f1 == no

| The answer is right again once C has unmapped the whole folio and mapped it again, or has a single entry left.
madvise dontneed win
fault win[0]
expect shared? mm-id f1 == no
