#!folioshell 1
| # Example 20: a folio larger than a PMD
|
| "If we support folios larger than PMD size, then the answer is more complex." Linux limits page-cache and anonymous
| folios to PMD order (larger ones exist in hugetlb); higher orders are an extension of this shell, and such a folio
| is PTE-mapped. Aligned, its 1024 pages fill two PTE tables. Starting in the middle of a table they touch three, and
| the number of tuples says "somebody else", although one process maps the folio through one VMA.

| 20a: aligned, two tables.
file big 1024 order=10
mmap low 1024 file=big
fault low
expect order f1 == 10
expect mapcount per-page f1 == 1024
expect mapcount tuples f1 == 2
expect mapcount vmas f1 == 1
expect mapcount mm-id f1 == 1024
expect shared? truth f1 == no
expect shared? per-page f1 == yes       # wrong: false positive
expect shared? tuples f1 == maybe       # undecided
expect shared? vmas f1 == no
expect shared? mm-id f1 == no

| 20b: 256 pages into a table, three tables.
munmap low
mmap mid 1024 file=big align=512 skew=256
fault mid
expect mapcount per-page f1 == 1024
expect mapcount tuples f1 == 3
expect mapcount vmas f1 == 1
expect mapcount mm-id f1 == 1024
expect shared? truth f1 == no
expect shared? tuples f1 == yes         # wrong: false positive
expect shared? vmas f1 == no
expect shared? mm-id f1 == no
query shared? mid[0]
rmap f1
