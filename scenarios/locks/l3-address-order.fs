#!folioshell 1
| # L3: the two locks in address order
|
| As double_pt_lock() does for UFFDIO_MOVE: the lower lock first. A thread that holds the higher one drops it, takes
| both, and re-checks that its entries have not changed. The race of L2, and all the others, give the right count.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
write win[3] ; write win[12] ; fault win[0] read ; fault win[8] read
madvise dontneed win[4..7] ; madvise dontneed win[13..15]
set decide vmas

set protocol address-order
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks == 0
expect miscounts == 0
expect unlocked == 0

| The cost: a second lock for each call that covers only part of the folio. Two are taken where Linux takes one.
madvise dontneed win[0]
expect locks == pt1 pt2
undo
| From the second table, its own lock is dropped and taken again: three.
madvise dontneed win[8]
expect locks == pt2 pt1 pt2
undo

| A trylock instead of waiting cannot deadlock either. But two threads may drop their locks and retry forever, each
| disturbing the other (a livelock), even under a scheduler that lets no thread wait forever: the number of schedules is
| unbounded.
set protocol trylock-retry
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks == 0
expect miscounts == 0
expect livelocks > 0
