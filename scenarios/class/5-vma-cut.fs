#!folioshell 1
| # 5: A VMA is cut
|
| Counting VMAs would have known. But a process may come to have more VMAs: one page gets another protection, and the VMA is
| cut inside the folio. Nobody has come, and both counters say so.

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

| What it costs: the program says that it does not need two of the pages soon. A kernel that goes by the number of VMAs
| leaves the folio alone.
set decide vmas
madvise cold win[0..1]
expect order f1 == 2
undo 2

| One that goes by MM-ID, as Linux does since 6.15, breaks it up.
set decide mm-id
madvise cold win[0..1]
expect free f1
