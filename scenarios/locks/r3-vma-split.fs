#!folioshell 1
| # R3: the VMA is split during a fault
|
| mprotect splits the VMA at the table boundary, and two VMAs map the folio then. The mmap_lock and vma_start_write()
| exclude faults, and the rmap locks exclude rmap walkers: the callback that corrects the counter runs alone, whatever
| the protocol.

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

| An rmap walker is excluded as well: reclaim takes the file's i_mmap_rwsem for each walk.
race { A.t1: mprotect win[8..15] r ; A.t2: reclaim f1 }
expect deadlocks == 0
expect miscounts == 0
