#!folioshell 1
| # Example 3: a huge page, first PMD-mapped, then PTE-mapped
|
| Splitting the PMD entry changes which table maps the folio, not how many: 1 tuple before, 1 after. The folio is not
| split. The number of entries goes from 1 to 512, and with it the answer of a kernel that asks for folio_mapcount()
| == 1.

mmap buf 2M
madvise hugepage buf
write buf[0]

| 3a: PMD-mapped.
expect order f1 == 9
expect mapcount per-page f1 == 1
expect mapcount tuples f1 == 1
expect mapcount vmas f1 == 1
expect mapcount mm-id f1 == 1
expect shared? per-page f1 == no

| 3b: mprotect one page, and change it back. The VMAs merge again; the PMD mapping stays split.
mprotect buf[511] r
mprotect buf[511] rw
expect vmas A == 1
expect order f1 == 9
expect mapcount per-page f1 == 512
expect mapcount tuples f1 == 1
expect mapcount vmas f1 == 1
expect mapcount mm-id f1 == 512
expect shared? truth f1 == no
expect shared? per-page f1 == yes       # wrong: false positive
expect shared? tuples f1 == no
expect shared? vmas f1 == no
expect shared? mm-id f1 == no
query shared? f1
