#!folioshell 1
| # The lock one level up
|
| Locks of one level have no order, locks of two levels have: the PMD table's is taken outside that of the leaf table.
| Whoever changes a part of a folio whose window crosses a table boundary holds it, and may read all tables below.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
fault win[0]
set decide vmas
set protocol pmd-lock

| The lock is needed although there is no second table yet: the fault is about to put one there. An earlier version of
| this protocol took it only for tables that it saw, and this race found it counting 2.
race { A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }
expect deadlocks == 0
expect miscounts == 0

| The price: the own lock is let go, and taken again under the other, for each part of a straddling folio.
madvise dontneed win[0]
expect locks all == pt1 pmd1 pt1
undo

| A folio that lies within one table needs nothing of that.
file near 32 order=4
mmap one 16 file=near
fault one[0]
madvise dontneed one[0]
expect locks all == pt2
