#!folioshell 1
| # R1: unlocked update while mapping
|
| Other tables are read without their lock. Two faults that look at once would both find the other half empty, and both
| add 1. Between faults of one folio that cannot be: filemap_map_pages() and ->fault hold its lock.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
set decide vmas
set protocol lockless-look
race { A.t1: fault win[0] ; A.t2: fault win[8] }
expect deadlocks == 0
expect miscounts == 0

| A fault and an unmap have nothing in common that would keep them apart. The first half is mapped. One thread drops it,
| the other faults the second half in.
fault win[0]
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }
expect miscounts > 0

| The fault looks after the entries went and adds 1; the unmap looks after the new ones came and does not subtract.
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read } schedule=1,1,1,2,2,2,2,1,2,2,2,2,1,1,1,2,2,2
expect counted f1 == 2
expect mapcount vmas f1 == 1

| It does not heal: with nothing mapped 1 is left over.
madvise dontneed win
expect counted f1 == 1
expect mapped? f1 == no
undo 2

| The other way round the fault sees the old entries and does not add, the unmap does not see the new ones and subtracts.
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read } schedule=1,1,2,2,2,2,2,2,2,1,1,1,1,1,2,2,2,2
expect counted f1 == 0
expect mapcount vmas f1 == 1
undo

| A walk that skips entries that are none without a lock is such a look. The locks of the mailed walk and of its mends do
| not help here.
set protocol own-table-first
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }
expect miscounts > 0
set protocol as-mailed
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }
expect miscounts > 0
