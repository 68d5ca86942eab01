#!folioshell 1
| # R3: the VMA is cut during a fault
|
| mprotect cuts the VMA at the table boundary, and one folio is in two VMAs then. mmap_lock and the mark of the VMA shut
| faults out, and the rmap locks shut out walkers: the hook that corrects the number is alone, whatever the protocol.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
fault win[0]
set decide vmas
set protocol lockless-look
race { A.t1: mprotect win[8..15] r ; A.t2: fault win[8] read }
expect deadlocks == 0
expect miscounts == 0
race { A.t1: mprotect win[8..15] r ; A.t2: { fault win[8] read ; madvise dontneed win[0..7] } }
expect miscounts == 0

fault win[8]
mprotect win[8..15] r
expect vmas A == 2
expect counted f1 == 2
expect mapcount vmas f1 == 2
mprotect win[8..15] rw
expect vmas A == 1
expect counted f1 == 1

| A walker is shut out as well: reclaim takes the file's i_mmap lock for each walk.
race { A.t1: mprotect win[8..15] r ; A.t2: reclaim f1 }
expect deadlocks == 0
expect miscounts == 0
