#!folioshell 1
| # The policy matters: MADV_COLD on a folio across two page tables
|
| madvise(MADV_COLD) works one page table at a time, so it never sees all 16 pages of this folio at once. It therefore
| asks "I have it mapped, does anybody else?", and splits the folio if no one does. Splitting a file folio unmaps it.
| `set decide` picks the scheme whose answer the simulated kernel acts on.

file lib 32 order=4
mmap win 16 file=lib align=512 skew=504
fault win[0]
fault win[8]

| per-page applies the v6.3 madvise() rule, folio_mapcount() == 1: 16 is not 1, so the hint is ignored.
set decide per-page
madvise cold win
expect order f1 == 4
expect mapcount per-page f1 == 16
undo 2

| vmas counts 1: the folio is split, and all its entries are gone.
set decide vmas
madvise cold win
expect free f1
expect present? win[3] == no
expect present? win[12] == no
undo 2

| tuples counts 2: the kernel drops the PTL, walks the rmap (2 PTLs, 16 entries), finds one mm, and splits as well.
set decide tuples
madvise cold win
expect free f1
expect present? win[3] == no
undo 2

| mm-id, which Linux uses since v6.15, knows without a walk.
set decide mm-id
madvise cold win
expect free f1
expect present? win[3] == no
