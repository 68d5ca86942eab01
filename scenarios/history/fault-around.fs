#!folioshell 1
| # Fault-around maps the whole folio (6.18)
|
| A private copy of page 200 makes the PTE table; a read beside it faults the file's large folio in. The window of
| fault-around, 16 pages that are aligned, used to bound what is mapped; since 6.18 it is all of the folio that fits.

file lib 600 order=9
mmap win 512 file=lib private prot=rw align=512
write win[200]
read win[201]
expect present? win[207] == yes
expect[5.10,6.1,6.12,6.16] present? win[0] == no
expect[6.18,7.0,7.3] present? win[0] == yes
