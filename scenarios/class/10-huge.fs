#!folioshell 1
| # 10: Huge pages
|
| A folio as large as a whole table needs no table: one entry a level
| higher, in the PMD table, maps all of it. 10 minutes.
set geometry classroom
set schemes per-page,vmas
set thp.pmd always
mmap buf 8

? truth entries f1 == 1 | One write, a folio of 8 pages. How many entries map it?
?hint Which table has room for one entry that maps 8 pages?
?wrong 8 A table of 8 entries is not needed here.
?after One entry of the PMD table maps all 8 pages.
write buf[0]
walk buf[0]

? mapcount per-page f1 == 2 | fork B. How many entries does per-page count then?
?hint It counts entries of any level.
?wrong 16 One entry in each PMD table maps all 8 pages.
?after One entry in each process's PMD table.
fork B

| B does not need its last page any more. One entry cannot map 7 of 8 pages.
? mapcount per-page f1 == 8 | How many entries map f1 after it, A's included?
?hint B's entry is replaced by a table with 8 entries, then one is cleared.
?wrong 7 A's PMD entry counts, too.
?wrong 9 B gave up page 7.
?after A: one PMD entry. B: seven entries in a table.
B: madvise dontneed buf[7]

show
why f1

?task write steps<=1 allow=write | Change it: let A's entry be replaced by a table, too.
?goal truth entries buf[0] == 14 | 14 entries map the old folio
?hint A writes to a page that B maps as well.
?solution write buf[7]

?task whole | Make it: a region `huge` of 16 pages, mapped by two PMD entries in all.
?goal truth entries huge[0] == 1 | one entry maps huge[0]
?goal truth entries huge[8] == 1 | one entry maps huge[8]
?goal order huge[15] == 3 | the folio of huge[15] has 8 pages
?hint One write for each block of 8 pages.
?solution mmap huge 16 ; write huge[0] ; write huge[8]
