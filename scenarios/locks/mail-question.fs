#!folioshell 1
| # The question at the end of the mail
|
| Counting VMAs needs to know, while one page-table lock is held, whether another page table maps the folio. The mail asks
| whether page-table locks of one level have an order.
|
| No document gives one:
locks order

| What takes two leaf-table locks in Linux has a reason of its own. fork: both mmap_locks, and the child is not visible yet.
mmap buf 16
fault buf
fork B
expect locks == pt2 pt1
locks order

| mremap: the mmap_lock for writing, alone. It holds both for the move, and takes the old one again to unmap what is left.
mremap buf new=moved align=512 skew=8
expect locks == pt1 pt3 pt1

| Faults and zaps have neither. The folio across two tables, one written page in each:
reset
file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
write win[3] ; write win[12] ; fault win[0] read ; fault win[8] read
madvise dontneed win[4..7] ; madvise dontneed win[13..15]
set decide vmas

| Without an order: a deadlock.
set protocol own-table-first
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks > 0

| With one, by address as UFFDIO_MOVE has had it since v6.8: none.
set protocol address-order
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks == 0
expect miscounts == 0

| The definition of the first mail, tuples of VMA and page table, never asks: the own table says everything.
set protocol none
set decide tuples
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks == 0

| All protocols in all races:
protocols
