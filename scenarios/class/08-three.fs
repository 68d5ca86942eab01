#!folioshell 1
| # 8: Three processes
|
| Linux since v6.15 has a scheme with the name MM-ID: each folio has places
| for two processes, and counts the entries of each. The entries of a third
| one count only in the total. 10 minutes.
set geometry classroom
set schemes per-page,tuples,vmas,mm-id
file lib 16 order=2
mmap win 4 file=lib
fault win[0]

| The pages of a file can be found again, so fork does not copy their
| entries.
? truth mms f1 == 1 | After two forks: how many processes map f1?
?hint What would the child lose without entries?
?wrong 3 B and C have the VMA, but no entries yet.
fork B ; fork C

| Now B and C read, too.
B: fault win[0]
C: fault win[0]
query shared? f1

| B leaves, and then A. C is the only one that maps f1.
exit B
as C
? shared? mm-id f1 == yes | A exits. Only C maps f1. What does mm-id answer: shared?
?hint A and B had the two places. C was only in the total.
?wrong no It has no place for C: it knows that entries are left, not whose.
?after A false positive. Linux accepts it: it is rare, and it is safe.
exit A
query shared? f1

| C gives up all its entries, and faults again.
madvise dontneed win
? shared? mm-id f1 == no | C has faulted again. What does mm-id answer: shared?
?hint The folio had no entries in between: both places are free.
?wrong yes C has a place of its own this time.
?after All entries are counted in C's place, so no one else has any.
fault win[0]
why f1 mm-id

?task two | Change it: let a process D map the folio as well. Then end C; mm-id must say no.
?goal shared? mm-id D:win[0] == no | mm-id says that the folio is not shared
?goal truth mms D:win[0] == 1 | only D maps it
?hint Two processes have room. D must have faulted before C ends.
?solution fork D ; D: fault win[0] ; exit C

?task again | Make it: the mistake once more. mm-id says yes, and one process maps the folio, called `last`.
?goal shared? mm-id last:win[0] == yes | mm-id says that the folio is shared
?goal shared? truth last:win[0] == no | in truth only `last` maps it
?hint Three processes, and the third to fault is the one that stays.
?solution fork E ; E: fault win[0] ; fork last ; last: fault win[0] ; exit E ; exit C
