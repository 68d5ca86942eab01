#!folioshell 1
| # 2: VMAs split and merge
|
| The kernel keeps a list of the ranges that a process may use. A range
| with one set of rules is a VMA (virtual memory area). VMAs are split and
| merged, and the program does not notice. 10 minutes.
set geometry classroom
set schemes none

| Process A asks for 8 pages.
mmap buf 8 at=0x10000

| Now it asks for 4 more, right after them, with the same rules: anonymous
| memory (of no file) that can be read and written.
? vmas A == 1 | Two calls of mmap. How many VMAs does A have then?
?hint Do the two ranges differ in anything but the address?
?wrong 2 The kernel merges neighbors with equal rules.
?after One VMA covers both: equal rules, no gap.
mmap two 4 after=buf

| `mprotect` changes what is allowed: here page 5 becomes read-only.
? vmas A == 3 | One page in the middle changes. How many VMAs now?
?hint A VMA has one set of rules. Draw the range: before, page 5, after.
?wrong 2 There is a part before page 5, too.
?wrong 1 A VMA has one set of rules; page 5 has others now.
?after Split twice: before page 5, page 5, after page 5.
mprotect buf[5] r

| The three, with their rules:
show vmas

| And back again.
? vmas A == 1 | Page 5 becomes writable again. How many VMAs?
?hint The neighbors have equal rules again.
?wrong 3 Neighbors with equal rules do not stay apart.
?after All 12 pages have equal rules again.
mprotect buf[5] rw

| `diff` compares the state with the one before the last command.
diff

?task half steps<=1 allow=mprotect | Change it: one command after which A has exactly 2 VMAs.
?goal vmas A == 2 | A has 2 VMAs
?hint Change a part that begins or ends where the VMA does.
?solution mprotect two r
?solution mprotect buf[0] r

?task five steps<=2 allow=mprotect | Make it: 5 VMAs with two commands.
?goal vmas A == 5 | A has 5 VMAs
?hint Each page in the middle adds two. The two must not touch.
?solution mprotect buf[1] r ; mprotect buf[5] r
?after The program asked for memory twice and has 5 VMAs.
