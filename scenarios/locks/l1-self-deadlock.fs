#!folioshell 1
| # L1: a task waits for itself
|
| The sketch of February 2023 asks "is the folio already in this VMA?" by walking the window of the folio, while the lock
| of the own page table is held. A walk skips entries that are none without any lock, and takes the table's lock at the
| first one that is not. Pages 3 to 7 of the folio are mapped; a fault maps pages 0 to 2.

file lib 32 order=4
mmap win 16 file=lib align=512 skew=504
fault win[0]
madvise dontneed win[0..2]
set decide vmas
set protocol as-mailed

| Typed alone, the fault hangs: no step, and nothing is mapped.
fault win[0]
expect present? win[0] == no
expect mapcount vmas f1 == 1

| Every schedule of one thread, and there is one only, ends there.
race { A.t1: fault win[0] }
expect deadlocks == 1

| With an empty own table the sketch gets through: nothing makes it take the lock.
madvise dontneed win
race { A.t1: fault win[0] }
expect deadlocks == 0
expect miscounts == 0

| With PVMW_SYNC the walk locks at once, and hangs always.
set protocol as-mailed-sync
race { A.t1: fault win[0] }
expect deadlocks == 1

| Only a call that maps all pages of the folio gets by: it needs no look.
file whole 32 order=3
mmap one 16 file=whole
fault one[0]
expect present? one[0] == yes
