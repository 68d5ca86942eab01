#!folioshell 1
| # L1: recursive locking (AA deadlock)
|
| The sketch of February 2023 asks "is the folio already mapped by this VMA?" with a walk over the folio's window,
| while it holds the PTL of its own table. The walk skips none entries without a lock, and takes the table's PTL at
| the first entry that is not none. Pages 3 to 7 of the folio are mapped; a fault maps pages 0 to 2.

file lib 32 order=4
mmap win 16 file=lib align=512 skew=504
fault win[0]
madvise dontneed win[0..2]
set decide vmas
set protocol as-mailed

| On its own, the fault deadlocks: the command is discarded, and nothing is mapped.
fault win[0]
expect deadlocks == 1
expect present? win[0] == no
expect mapcount vmas f1 == 1

| One thread has exactly one schedule, and it ends in the deadlock.
race { A.t1: fault win[0] }
expect deadlocks == 1

| If its own table is empty, the sketch works: nothing makes the walk take the lock.
madvise dontneed win
race { A.t1: fault win[0] }
expect deadlocks == 0
expect miscounts == 0

| With PVMW_SYNC the walk takes the lock at once, and always deadlocks.
set protocol as-mailed-sync
race { A.t1: fault win[0] }
expect deadlocks == 1

| Only a call that covers all pages of the folio works: it needs no lookup.
file whole 32 order=3
mmap one 16 file=whole
fault one[0]
expect present? one[0] == yes
