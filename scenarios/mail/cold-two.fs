#!folioshell 1
| # The policy matters, the other "2": a folio that two processes map must not be split
|
| The same advice on the folio of other-two.fs. No scheme allows the split: tuples needs a walk, which finds two
| address spaces; the others decide by their number alone. The range leaves out the last page, so that the kernel has
| to ask at all.

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
