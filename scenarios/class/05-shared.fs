#!folioshell 1
| # 5: Does anyone else map it?
|
| After a fork both processes map a folio of 4 pages. Step by step the
| child leaves. When may the kernel say "no one else"? 10 minutes.
set geometry classroom
set schemes per-page,tuples,vmas
set thp.16K always
mmap buf 8
write buf[0]
fork B

| Each process has 4 entries for f1. B writes to one page.
? truth entries f1 == 7 | How many entries map f1 after B's write?
?hint Copy-on-write copies a page, not a folio.
?wrong 4 B still maps three pages of f1.
?wrong 8 B's entry for page 0 names the copy now.
?after B copied one page, and reads the other three from f1.
B: write buf[0]

? shared? truth f1 == yes | Does anyone but A map a page of f1?
?hint Count B's entries.
?wrong no Three of B's entries map f1.
query shared? f1

| "Shared" is a question about processes; more exactly about address spaces,
| which the kernel calls mm. The truth: does more than one mm map a page?
| B now unmaps its other three pages.
? shared? truth f1 == no | Does anyone but A map a page of f1 now?
?hint Which entries for f1 does B have left?
?wrong yes None of B's entries is left.
?after Only now may the kernel treat f1 as A's own.
B: munmap buf[1..3]

| Three schemes, and what each says:
query shared? f1
why f1

?task five steps<=2 allow=fork,write | Change it: a new child, C. After two commands the folio has 5 entries.
?goal truth entries buf[0] == 5 | 5 entries map the folio
?goal truth mms buf[0] == 2 | two processes map it
?hint After fork there are 8. How do three of C's go?
?solution fork C ; C: write buf[1..3]

?task half | Make it: A maps pages 0 and 1 of its folio, B maps none of them, and the folio has 2 entries.
?goal truth entries buf[0] == 2 | 2 entries map the folio
?goal present? buf[2] == no | A's page 2 has no entry
?goal present? buf[3] == no | A's page 3 has no entry
?hint Unmapping part of a folio leaves the rest.
?solution munmap buf[2..3]
?solution madvise dontneed buf[2..3]
