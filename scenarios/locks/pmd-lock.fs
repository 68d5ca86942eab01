#!folioshell 1
| # The lock one level up
|
| Locks of one level have no order, but levels do: the lock of the PMD table is taken outside that of the PTE table. A
| thread that changes part of a folio whose window crosses a table boundary holds it, and may read all PTE tables
| below.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
fault win[0]
set decide vmas
set protocol pmd-lock

| The lock is needed even if there is no second table yet: the fault is about to install one. An earlier version of
| this protocol took it only if it saw a second table, and this race showed that it counted 2.
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }
expect deadlocks == 0
expect miscounts == 0

| The cost: for each part of a straddling folio its own PTL is dropped, and taken again inside the PMD lock.
madvise dontneed win[0]
expect locks all == pt1 pmd1 pt1
undo

| A folio within one table needs none of that.
file near 32 order=4
mmap one 16 file=near
fault one[0]
madvise dontneed one[0]
expect locks all == pt2
