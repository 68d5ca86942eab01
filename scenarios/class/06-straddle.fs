#!folioshell 1
| # 6: A folio across two tables
|
| The folios of a file can be mapped at any page. So the pages of one folio
| can have their entries in two tables: it straddles. What does a count of
| (VMA, page table) pairs say then? 10 minutes.
set geometry classroom
set schemes per-page,tuples,vmas

| A file of 16 pages, in folios of 4. It is mapped so that the last two
| cells of one table, and the first two of the next, map its first folio.
file lib 16 order=2
mmap win 4 file=lib align=8 skew=6

| A fault on a file maps what it can at once, but only in its own table.
? truth entries f1 == 2 | Page 0 is touched. How many entries map f1?
?hint The table ends after two pages of the folio.
?wrong 4 Pages 2 and 3 belong to the next table.
?wrong 1 It maps the neighbors in the same table, too.
?after The first table ends after two of the four pages.
fault win[0]

? mapcount tuples f1 == 2 | Now page 2. How many (VMA, table) pairs map f1?
?hint One VMA; how many tables?
?wrong 1 The entries are in two tables.
?after One process, one VMA, two tables: two pairs.
fault win[2]

| In lesson 5 the same scheme counted 2 pairs for two processes.
? shared? tuples f1 == maybe | Only A maps f1. What does tuples say?
?hint Could two processes give the same number?
?wrong no From the number alone that is not known.
?wrong yes It would be wrong, and the scheme knows that it cannot tell.
?after 2 has two meanings: two processes, or one process with two tables.
query shared? f1

| Look at the ends of the rows:
show

?task fit | Change it: map the file once more, as `fit`, so that its first folio lies in one table.
?goal truth entries fit[0] == 8 | the folio has 4 more entries
?goal mapcount vmas fit[0] == 2 | two VMAs map it
?hint Tables begin at multiples of 8 pages: align=8.
?solution mmap fit 4 file=lib align=8 ; fault fit[0]

?task three | Make it: three pairs with two processes.
?goal mapcount tuples win[0] == 3 | three (VMA, table) pairs
?goal truth mms win[0] == 2 | two processes
?hint A child of a file mapping starts without entries: it must touch a page.
?solution fork B ; B: fault win[0]
?after tuples is 3, and the truth is 2.
