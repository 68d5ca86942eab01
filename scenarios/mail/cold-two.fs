#!folioshell 1
| # Who decides matters, the other "2": nobody may touch a folio that two processes map
|
| The same advice on the folio of other-two.fs. Every scheme leaves it alone: tuples by a walk that finds two address spaces,
| the others by their number. The range leaves out the last page, so that the kernel must ask at all.

file lib 32 order=4
mmap win 16 file=lib
fault win[0]
fork B
B: fault win[0]

set decide per-page
madvise cold win[0..14]
expect order f1 == 4
expect mapcount per-page f1 == 32
undo 2

set decide vmas
madvise cold win[0..14]
expect mapcount per-page f1 == 32
undo 2

set decide tuples
madvise cold win[0..14]
expect mapcount per-page f1 == 32
undo 2

set decide mm-id
madvise cold win[0..14]
expect mapcount per-page f1 == 32
expect truth mms f1 == 2
