#!folioshell 1
| # 12: The question of the mail
|
| In 2023 Matthew Wilcox proposed to count the VMAs that map a folio. To
| keep that number, the kernel has to know: is another page of this folio
| mapped by this VMA, perhaps in another table? Looking there needs that
| table's lock, with one lock held already. 15 minutes.
set geometry classroom
set schemes vmas

| A folio of 16 pages in two tables. Page 3 of the first and page 12, in the
| second, were written, so they have copies. Half of each table is unmapped.
file lib 32 order=4
mmap w 16 file=lib prot=rw
write w[3] ; write w[12] ; read w[0] ; read w[8]
madvise dontneed w[4..7] ; madvise dontneed w[13..15]

| A protocol says which locks are taken for the count. This one looks into
| its own table first, and then takes the other table's lock.
set decide vmas
set protocol own-table-first

| Two threads unmap pages at the same time, one in each table. `race` tries
| every order of their steps.
? deadlocks == 4 | In how many states does each wait for the other?
?hint Each holds the lock of its own table, and waits for the other's.
?hint The threads differ in how far they had come before: a few states.
?hint 3, 4 or 5.
?wrong 0 Each can hold one lock and want the other.
?after Each holds what the other wants: an ABBA deadlock.
race { A.t1: madvise dontneed w[0..2] ; A.t2: madvise dontneed w[8..11] }

| Another protocol: always the lock with the lower address first. Who holds
| the higher one drops it, takes both, and checks again.
set protocol address-order
? deadlocks == 0 | The same race. In how many states does each wait for the other?
?hint Can each wait for the other, if all take the locks in one order?
?wrong 4 No thread holds the higher lock and waits for the lower one.
race { A.t1: madvise dontneed w[0..2] ; A.t2: madvise dontneed w[8..11] }

| One thread alone unmaps page 8, which is in the second table, pt2.
? locks == pt2 pt1 pt2 | Which locks does it take, in order?
?hint It begins with the lock of its own table.
?hint It drops that, and takes both, the lower one first.
?wrong "pt2 pt1" It had to drop pt2 before it took pt1.
?wrong "pt1 pt2" Page 8 is in the second table: that is where it begins.
?wrong pt2 The count needs a look into the other table, too.
madvise dontneed w[8]
trace locks

?task quiet steps<=1 allow=madvise | Change it: unmap pages of one table with one lock only.
?goal locks == pt2 | the last command took pt2 alone
?hint When does the VMA's number certainly not change?
?hint Look at pages of w that map no page of the file's folio.
?solution madvise dontneed w[12]

?task empty | Make it: w has no entry left, and the last command took one lock, that of pt1.
?goal present? w[0] == no | w[0] has no entry
?goal present? w[3] == no | w[3] has no entry
?goal present? w[9] == no | w[9] has no entry
?goal present? w[12] == no | w[12] has no entry
?goal locks == pt1 | the last command took pt1 alone
?hint The second table first.
?solution madvise dontneed w[8..15] ; madvise dontneed w[0..2] ; madvise dontneed w[3]
?after Whether Linux should pay for such a protocol is what is argued about.
