#!folioshell 1
| # Who decides matters: MADV_COLD on a folio across two page tables
|
| madvise(MADV_COLD) works page table by page table, so it never sees all 16 pages of this folio at once. It then asks "I
| have it mapped, does anybody else?", and splits the folio if nobody does. Splitting a folio of a file unmaps it.
| The scheme named by `set decide` answers for the kernel.

file lib 32 order=4
mmap win 16 file=lib align=512 skew=504
fault win[0]
fault win[8]

| per-page asks for folio_mapcount == 1, as v6.3 did: 16 is not 1, the hint is ignored.
set decide per-page
madvise cold win
expect order f1 == 4
expect mapcount per-page f1 == 16
undo 2

| vmas counts 1: split, and all entries of the folio are gone.
set decide vmas
madvise cold win
expect free f1
expect present? win[3] == no
expect present? win[12] == no
undo 2

| tuples counts 2: the kernel lets go of the page-table lock, walks the reverse map (2 locks, 16 entries), finds one mm, and
| splits too.
set decide tuples
madvise cold win
expect free f1
expect present? win[3] == no
undo 2

| mm-id, which the kernel uses since v6.15, knows without a walk.
set decide mm-id
madvise cold win
expect free f1
expect present? win[3] == no
