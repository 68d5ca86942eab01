#!folioshell 1
| # L3: the two locks in order
|
| As double_pt_lock() does for UFFDIO_MOVE: the lower lock first. The thread that holds the higher one lets go, takes both,
| and looks whether its entries are still what they were. The race of L2, and all the others, come out right.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
write win[3] ; write win[12] ; fault win[0] read ; fault win[8] read
madvise dontneed win[4..7] ; madvise dontneed win[13..15]
set decide vmas

set protocol address-order
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks == 0
expect miscounts == 0
expect unlocked == 0

| The price: a second lock for each call that covers a part of the folio. Two are taken where Linux takes one.
madvise dontneed win[0]
expect locks == pt1 pt2
undo
| From the second table the own lock is let go and taken again: three.
madvise dontneed win[8]
expect locks == pt2 pt1 pt2
undo

| Trying instead of waiting cannot deadlock either. But the threads may let go and try again for ever, each disturbing the
| other: the number of schedules has no end.
set protocol trylock-retry
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks == 0
expect miscounts == 0
