#!folioshell 1
| # 7: A VMA is split
|
| Counting VMAs got the straddling folio right: one VMA, one process. But
| lesson 2 has shown that VMAs split. Who pays for that? 10 minutes.
set geometry classroom
set schemes per-page,tuples,vmas
file lib 16 order=2
mmap win 4 file=lib align=8 skew=6
fault win[0]
fault win[2]

| Page 3 loses its rights. Nothing is unmapped.
? mapcount vmas f1 == 2 | How many VMAs map a page of f1 then?
?hint Pages 0 to 2 are one VMA. And page 3?
?wrong 1 Page 3 has other rules, so it is a VMA of its own.
?wrong 3 Pages 0 to 2 still have equal rules.
?after One process has two VMAs that map f1.
mprotect win[3] none

? shared? vmas f1 == yes | No other process exists. What does vmas answer: shared?
?hint It asks: is the number of VMAs 1?
?wrong no The number is 2, and it takes that for two processes.
?after A false positive, from an mprotect inside the folio.
query shared? f1

| What does a wrong answer cost? The program says that it will not need
| pages 0 and 1 soon. The kernel would like to split the folio, and to move
| just these two out; it does so only if no one else maps the folio.
| Let the kernel act on the number of VMAs:
set decide vmas
? order win[0] == 2 | madvise(cold): which order has the folio of win[0] after it?
?hint The kernel believes that someone else maps it.
?wrong 0 It would have to split the folio, which looks shared.
?after Left alone, and the two cold pages stay with the others.
madvise cold win[0..1]

| Linux since v6.15 acts on another scheme; the next lesson explains it.
undo
set decide mm-id
madvise cold win[0..1]
diff

?task back steps<=1 allow=mprotect,munmap | Change it: one command after which A has one VMA again.
?goal vmas A == 1 | A has one VMA
?hint Equal rules merge. A private file is mapped read-only here.
?solution mprotect win[3] r
?solution munmap win[3]

?task none | Make it: three VMAs of A, and the number of VMAs that map win[0]'s folio is still 1.
?goal vmas A == 3 | A has three VMAs
?goal mapcount vmas win[0] == 1 | one VMA maps the folio of win[0]
?hint Split where the folio is not.
?solution mprotect win[3] r ; fault win[0] ; mmap other 8 ; mprotect other[0] r
