#!folioshell 1
| # R2: unlocked update while unmapping
|
| Both halves are unmapped at once. Each thread clears its entries, then looks at the other table: both find nothing,
| both subtract.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
fault win[0] ; fault win[8]
set decide vmas
set protocol lockless-look
race { A.t1: madvise dontneed win[0..7] ; A.t2: madvise dontneed win[8..15] }
expect deadlocks == 0
expect miscounts > 0
race { A.t1: madvise dontneed win[0..7] ; A.t2: madvise dontneed win[8..15] } schedule=1,1,1,1,1,2,2,2,2,1,1,1,2,2,2,2
expect counted f1 == -1
expect mapped? f1 == no
undo

| The walk as mailed and its fixes do the same: none entries are skipped without a lock.
set protocol own-table-first
race { A.t1: madvise dontneed win[0..7] ; A.t2: madvise dontneed win[8..15] }
expect miscounts > 0
set protocol as-mailed
race { A.t1: madvise dontneed win[0..7] ; A.t2: madvise dontneed win[8..15] }
expect miscounts > 0
