#!folioshell 1
| # Copies of a private file's pages, moved beside their file's other half (7.1)
|
| `low` maps the first 8 pages of a file and `high` the other 8, elsewhere. Writes copy the pages of `high`; then it is moved
| to where `low` ends. The offsets in the file are in a row, so 6.16 and later make one VMA of the two, as older kernels
| would if `low` had been written to as well. Since 7.1 the copies are indexed by the address at which they were made, which
| is not in a row with that of `low`: the rmap could not find both in one VMA.

file lib 16
mmap low 8 file=lib prot=rw
mmap high 8 file=lib prot=rw offset=8 at=0x7f0000200000
write high
mremap high new=moved at=0x7f0000008000
expect[5.10,6.1,6.12,7.3] vmas A == 2
expect[6.16,6.18,7.0] vmas A == 1
rmap moved[0]
