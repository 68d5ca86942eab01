#!folioshell 1
| # The order of a folio at a fault in a hole of huge tmpfs (6.12)
|
| The file has 64 pages, on a tmpfs mounted with huge=always. A fault in its hole used to allocate a folio of PMD order,
| whatever the VMA; since 6.12 it does only where the VMA could map that by a PMD entry.

file data 64 fs=tmpfs-huge uncached
mmap shm 64 shared file=data
write shm[0]
expect[5.10,6.1] order shm[0] == 9
expect[6.12,6.16,6.18,7.0,7.3] order shm[0] == 0
