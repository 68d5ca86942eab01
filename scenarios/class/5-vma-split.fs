#!folioshell 1
| # 5: A VMA is split
|
| Counting VMAs got the straddling folio right. But one process can have several VMAs: when one page gets a different
| protection, its VMA is split inside the folio. No one else maps the folio, yet both counters say that someone does.

set geometry classroom ; set schemes per-page,tuples,vmas,mm-id ; set after mapcounts
file lib 16 order=2
mmap win 4 file=lib align=8 skew=6
fault win[0]
fault win[2]
mprotect win[3] none

show
query shared? f1
expect vmas A == 2
expect shared? truth f1 == no
expect shared? tuples f1 == yes        # wrong: false positive
expect shared? vmas f1 == yes          # wrong: false positive
expect shared? mm-id f1 == no

| What a wrong answer costs: the program advises that it will not need two of the pages soon. A kernel that acts on
| the number of VMAs leaves the folio alone.
set decide vmas
madvise cold win[0..1]
expect order f1 == 2
undo 2

| A kernel that uses MM-ID, as Linux has since v6.15, splits the folio.
set decide mm-id
madvise cold win[0..1]
expect free f1
