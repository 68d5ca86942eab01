#!folioshell 1
| # Guard regions: markers in the page tables in place of a VMA (6.13)
|
| `MADV_GUARD_INSTALL` makes every access to a range raise SIGSEGV. mprotect(2) would split the VMA for that; here each page
| gets a marker in the page table, which only fork can bring to a child. fork copies no table of a file that no one wrote
| to: faults bring its pages back. With a guard region it does: until 6.18 because the VMA gets an anon_vma, since 6.19 (and
| in 6.18.44) because it is flagged (`gu` in smaps).
|
| Before 6.13 the advice is unknown (EINVAL).

file lib 8
mmap code 8 file=lib prot=rw
read code
fails[5.10,6.1,6.12] EINVAL madvise guard_install code[4]
fork B
expect[5.10,6.1,6.12] present? B:code[0] == no
expect[6.16,6.18,7.0,7.3] present? B:code[0] == yes
B: show tables
