#!folioshell 1
| # A false negative and copy on write
|
| Whether a process may write to a page in place depends on "does anyone else map it?". A false positive costs a copy.
| A false negative lets another process read what was written, and must never happen.
|
| 6.18 reuses a page of a large anonymous folio if the answer is "no" and the folio has as many references as entries.
| Here other schemes than mm-id answer, and the shell reports a finding where memory leaks.

set thp.64K always
mmap buf 16
write buf
fork B
madvise dontneed buf[0..7]

| Parent and child have both unmapped the first half and share the second. There are no more entries than pages, and
| page 0 is not mapped at all.
B: madvise dontneed buf[0..7]
expect truth entries f1 == 16 ; expect truth pages f1 == 8 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 buf[8] == 2       ; expect shared? per-page-v5 buf[8] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many buf[8] == yes
expect mapcount per-page f1 == 16             ; expect shared? per-page buf[8] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples buf[8] == maybe          # undecided
expect mapcount tuples-naive f1 == 0          ; expect shared? tuples-naive buf[8] == no       # miscounted (2), false negative
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless buf[8] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas buf[8] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless buf[8] == yes
expect mapcount estimated-ne1 f1 == 0         ; expect shared? estimated-ne1 buf[8] == yes
expect mapcount estimated-gt1 f1 == 0         ; expect shared? estimated-gt1 buf[8] == no      # wrong: false negative
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id buf[8] == yes
expect mapcount owner f1 == 16                ; expect shared? owner buf[8] == yes
expect mapcount likely-v6.9 f1 == 0           ; expect shared? likely-v6.9 buf[8] == no        # wrong: false negative
expect mapcount likely f1 == 16               ; expect shared? likely buf[8] == no             # wrong: false negative
expect mapcount mm-id f1 == 16                ; expect shared? mm-id buf[8] == yes
expect mapcount average f1 == 16              ; expect shared? average buf[8] == yes
expect mapcount total-pages f1 == 16          ; expect shared? total-pages buf[8] == yes

| likely, the estimate of v6.10 to v6.14, says that no one else maps it. (Those kernels never reused pages of large
| folios.)
set decide likely
write buf[8]
expect same buf[8] B:buf[8]             # wrong: B reads what A wrote
undo 2
set decide likely-v6.9
write buf[8]
expect same buf[8] B:buf[8]             # wrong, too
undo 2
set decide estimated-gt1
write buf[8]
expect same buf[8] B:buf[8]             # wrong, too
undo 2
set decide tuples-naive
write buf[8]
expect same buf[8] B:buf[8]             # wrong, too
undo 2

| tuples needs a walk, and finds B. The others know. Each of them gives A a copy.
set decide tuples
write buf[8]
expect order buf[8] == 0
expect order B:buf[8] == 4
undo 2
set decide vmas
write buf[8]
expect order buf[8] == 0
expect order B:buf[8] == 4
undo 2
set decide rmap-id
write buf[8]
expect order buf[8] == 0
expect order B:buf[8] == 4
undo 2
set decide owner
write buf[8]
expect order buf[8] == 0
expect order B:buf[8] == 4
undo 2
set decide mm-id
write buf[8]
expect order buf[8] == 0
expect order B:buf[8] == 4
undo 2
set decide total-pages
write buf[8]
expect order buf[8] == 0
expect order B:buf[8] == 4
undo 2

| A counter that is not notified of a VMA split leaks as well. The upper half gets a VMA of its own and is unmapped:
| the number drops to 0 with 8 pages mapped. The child brings it back to 1, and 1 is exclusive.
undo 3
mprotect buf[8..15] r
munmap buf[8..15]
fork B
expect mapcount vmas f1 == 2
expect mapcount vmas-hookless f1 == 1
set decide vmas-hookless
write buf[0]
expect same buf[0] B:buf[0]             # wrong: B reads what A wrote
undo 2
set decide zero-one-two-many
write buf[0]
expect same buf[0] B:buf[0]             # wrong, too
undo 2
set decide vmas
write buf[0]
expect order buf[0] == 0
set schemes all
query shared? B:buf[1]
