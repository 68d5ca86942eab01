#!folioshell 1
| # L2: two threads embrace
|
| The mend that the mail names: leave the current table out of the walk. Each thread then looks at the other's table.
| One page in each table was written before: a present entry, but of another folio, so the walk takes that table's lock.

file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
write win[3] ; write win[12]
set decide vmas
set protocol exclude-own

| Two read faults do not embrace. filemap_map_pages() holds the lock of the folio while it holds that of the table; the
| second thread cannot have it, drops its table's lock and waits for the folio in ->fault. What is wrong is another thing:
| a written page splits the range into two calls, and the second counts the VMA again.
race { A.t1: fault win[0] read ; A.t2: fault win[8] read }
expect deadlocks == 0
expect miscounts > 0

| One thread is enough for that.
fault win[0] read
expect counted f1 == 2
expect mapcount vmas f1 == 1
fault win[8] read
set protocol exclude-own

| Zapping holds no lock of the folio. Two threads that drop some pages of each half do embrace.
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }
expect deadlocks > 0

| Followed step by step: each holds its own table and wants the other's. The state stays as it was.
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] } schedule=1,1,1,1,2,2,2,1,2,2
expect present? win[0] == yes
expect present? win[8] == yes

| Scanning the own table first removes that case: page 4 is still there, no other table is asked.
set protocol own-table-first
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }
expect deadlocks == 0
expect miscounts == 0

| It leaves one: the own table holds nothing of the folio any more, and the other holds a page that is not the folio's.
madvise dontneed win[4..7] ; madvise dontneed win[13..15]
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }
expect deadlocks > 0
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] } schedule=1,1,1,1,2,2,2,1,2,2
