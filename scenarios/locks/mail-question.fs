#!folioshell 1
| # The question at the end of the mail
|
| Counting VMAs needs to know, while one PTL is held, whether another page table maps the folio. The mail asks whether
| there is a locking order for page-table locks of one level.
|
| No document defines one:
locks order

| Each place in Linux that takes the PTLs of two PTE tables has its own reason why that is safe. fork takes the
| child's, then the parent's. The child can already be found: dup_mmap() links its VMA into the anon_vma and i_mmap
| before copy_page_range(). But an rmap walk holds one PTL at a time and never waits for a second, and the parent's
| mmap_lock, held for writing, excludes anyone else who takes two PTLs of one level.
mmap buf 16
fault buf
fork B
expect locks == pt2 pt1
locks order

| mremap holds the mmap_lock for writing, so no one else takes two PTLs of this mm. It holds both for the move, and
| takes the old one again to unmap what is left.
mremap buf new=moved align=512 skew=8
expect locks == pt1 pt3 pt1

| Faults and zaps have neither. A folio across two tables, with one written page in each:
reset
file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
write win[3] ; write win[12] ; fault win[0] read ; fault win[8] read
madvise dontneed win[4..7] ; madvise dontneed win[13..15]
set decide vmas

| Without an order: a deadlock.
set protocol own-table-first
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks > 0

| With an order by address, as UFFDIO_MOVE has had since v6.8: none.
set protocol address-order
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks == 0
expect miscounts == 0

| The definition of the first mail, tuples of VMA and page table, never has to look elsewhere: the thread's own table
| is enough.
set protocol none
set decide tuples
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks == 0

| All protocols in all races:
protocols
