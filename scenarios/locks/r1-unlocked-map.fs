#!folioshell 1
| # R1: unlocked update while mapping
|
| Other tables are read without their lock. Two faults that look at the same time would both find the other half
| unmapped, and both add 1. Between page-cache faults on one folio that cannot happen: filemap_map_pages() and ->fault
| hold the folio lock.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
set decide vmas
set protocol lockless-look
race { A.t1: fault win[0] ; A.t2: fault win[8] }
expect deadlocks == 0
expect miscounts == 0

| A fault and an unmap have no lock in common. The first half is mapped. One thread unmaps it while the other faults
| in the second half.
fault win[0]
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }
expect miscounts > 0

| The fault looks after the entries were cleared and adds 1; the unmap looks after the new entries were set and does
| not subtract.
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read } schedule=1,1,1,1,2,2,2,2,1,2,2,2,2,2,1,1,1,2,2,2
expect counted f1 == 2
expect mapcount vmas f1 == 1

| The miscount stays: with nothing mapped the counter is still 1.
madvise dontneed win
expect counted f1 == 1
expect mapped? f1 == no
undo 2

| The other way round the fault sees the old entries and does not add; the unmap does not see the new ones and
| subtracts.
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read } schedule=1,1,1,2,2,2,2,2,2,2,1,1,1,1,1,2,2,2,2,2
expect counted f1 == 0
expect mapcount vmas f1 == 1
undo

| A walk that skips none entries without a lock has the same problem. The locks of the walk as mailed, and of its
| fixes, do not help here.
set protocol own-table-first
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }
expect miscounts > 0
set protocol as-mailed
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }
expect miscounts > 0
