#!folioshell 1
| # A VMA with pages meets one without (6.16)
|
| The first half gets a page, and with it an anon_vma; then both halves have the same flags again. A range that has an
| anon_vma could not join a neighbor without one before 6.16, although the other way round it always could.

mmap buf 8
madvise nohugepage buf[4..7]
write buf[0]
madvise nohugepage buf[0..3]
expect[5.10,6.1,6.12] vmas A == 2
expect[6.16,6.18,7.0,7.3] vmas A == 1
