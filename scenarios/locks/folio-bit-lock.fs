#!folioshell 1
| # A bit lock in the folio
|
| One bit lock per folio, taken inside the PTL and held from the lookup until the entries are changed. Every change to
| an entry of the folio is made under it, so all tables can be read safely. No second PTL is taken, and no lock is
| dropped.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
write win[3] ; write win[12] ; fault win[0] read ; fault win[8] read
madvise dontneed win[4..7] ; madvise dontneed win[13..15]
set decide vmas
set protocol folio-bit-lock
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks == 0
expect miscounts == 0
madvise dontneed win[0]
expect locks == pt1
trace locks

| The race that miscounts without a lock does not miscount here.
fault win[0] ; madvise dontneed win[8..15]
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }
expect miscounts == 0
