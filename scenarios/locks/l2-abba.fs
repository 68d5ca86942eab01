#!folioshell 1
| # L2: ABBA deadlock
|
| The fix that the mail suggests: skip the current table in the walk. Each thread then looks into the other's table.
| One page of each table was written before, so there is a present entry of another folio, at which the walk takes
| that table's lock.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
write win[3] ; write win[12]
set decide vmas
set protocol exclude-own

| Two read faults do not deadlock. filemap_map_pages() holds the folio lock together with the PTL; the second thread
| fails its trylock, drops its PTL and waits for the folio in ->fault. But the count is wrong: the written page splits
| the range into two calls, and the second call counts the VMA again.
race { A.t1: fault win[0] read ; A.t2: fault win[8] read }
expect deadlocks == 0
expect miscounts > 0

| A single thread is enough for that.
fault win[0] read
expect counted f1 == 2
expect mapcount vmas f1 == 1
fault win[8] read
set protocol exclude-own

| Zapping takes no folio lock. Two threads that drop some pages of each half do deadlock.
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }
expect deadlocks > 0

| Replayed step by step: each thread holds the PTL of its own table and wants the other's. The command is discarded,
| the state unchanged.
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] } schedule=1,1,1,1,1,1,2,2,2,1,2,2,2,2
expect deadlocks == 1
expect present? win[0] == yes
expect present? win[8] == yes

| Scanning its own table first avoids that case: page 4 is still mapped there, so no other table is needed.
set protocol own-table-first
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }
expect deadlocks == 0
expect miscounts == 0

| One case remains: its own table no longer maps any page of the folio, and the other table has an entry of another
| folio.
madvise dontneed win[4..7] ; madvise dontneed win[13..15]
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks > 0
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] } schedule=1,1,1,1,1,1,2,2,2,1,2,2,2,2
expect deadlocks == 1
