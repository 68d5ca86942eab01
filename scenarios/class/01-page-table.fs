#!folioshell 1
| # 1: What is a page table?
|
| Memory comes in pages of 4096 bytes. A program uses virtual addresses;
| a table of entries says which page of memory each one means. Real tables
| have 512 entries. Ours have 8, so that one fits into a line. 10 minutes.
|
| Before some commands there is a question: guess. A wrong guess costs
| nothing, and `undo` takes any step back. The prompt `1 A 2>` means lesson 1,
| process A, step 2. `help write` explains a command.
set geometry classroom
set schemes none

| `mmap` asks the kernel for 16 pages of address space, at address 0x10000.
? present? buf[0] == no | After mmap: is there an entry for the first page, buf[0]?
?hint mmap is a promise. Who needs memory before it is touched?
?wrong yes mmap only notes which addresses may be used.
?after mmap makes a note of the range. Entries come when pages are touched.
mmap buf 16 at=0x10000

| The first access to a page finds no entry, and the CPU raises a fault. The
| kernel takes a free page, f1, and maps it: it sets the entry.
? present? buf[1] == no | This write faults on page 0. Is page 1 mapped, too?
?hint One access, one fault. How many pages did it ask for?
?wrong yes The fault was for page 0; page 1 has not been touched.
?after One fault, one entry. Page 1 waits for an access of its own.
write buf[0]

| `walk` goes the way that the CPU goes: down the levels of the page table,
| to the entry of the page. The last level has 8 pages a table.
walk buf[0]

| Each table has a lock, named like the table. Who changes an entry holds it.
| The first table of buf is pt1.
? locks == pt2 | Page 8 is touched for the first time. Whose lock is taken?
?hint pt1 maps 8 pages: which ones?
?wrong pt1 pt1 maps pages 0 to 7 of buf.
?after Page 8 is the first page of the next table, and that is made now.
read buf[8]

| Both tables, a row of 8 cells each. A page that was only read needs no
| memory yet: its entry maps one page of zeros, `@`, for all who read.
show

?task both steps<=1 allow=read,write | Change it: one command that takes the lock of pt1, then that of pt2.
?goal locks == pt1 pt2 | the last command took pt1, then pt2
?hint A command can touch several pages: buf[2..5].
?hint Pages with an entry do not fault again.
?solution read buf[7..9]
?after Pages 7 and 9 faulted, each under its own table's lock.

?task ends | Make it: a region `own` of 24 pages; only its first and its last page have entries.
?goal present? own[0] == yes | own[0] has an entry
?goal present? own[23] == yes | own[23] has an entry
?goal present? own[1] == no | own[1] has none
?goal present? own[22] == no | own[22] has none
?hint `mmap own 24` makes the region.
?solution mmap own 24 ; write own[0] ; write own[23]
?after Two pages of memory, though the region has 24 pages of addresses.
