#!folioshell 1
| # MREMAP_DONTUNMAP to the pages after it: one VMA or two
|
| The copy adjoins the VMA that it leaves. In some kernels the two merge; 6.1 and 6.12 have the fix that 7.1 brought:
| the copy does not merge with its source.

mmap src 4
mremap src dontunmap at=0x7f0000004000 new=copy
expect[5.10,6.16,6.18,7.0] vmas A == 1
expect[6.1,6.12,7.3] vmas A == 2
