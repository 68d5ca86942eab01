#!folioshell 1
| # A mapcount of 1 proves nothing: references that are not mappings
|
| The objection of December 2021 to any mapcount: a page can be in use without being mapped. `pin` does what direct
| I/O does to its buffer: it faults the pages in for writing and takes a reference on them, and a device writes to
| them whatever happens to the page tables.

set thp.64K always
mmap buf 16
write buf

| fork must not share pinned pages: a later write by the parent would copy, and the device would keep writing to the
| page that only the child maps. All pages of the folio that are exclusive to the parent are copied during the fork,
| into order-0 folios; both PTLs are dropped for each copy.
pin buf[3]
fork B
expect order buf[0] == 4
expect order B:buf[0] == 0
expect truth mms buf[0] == 1
expect mapcount per-page B:buf[3] == 1
undo 2

| No one else maps the folio: a child was forked and exited, so its pages are no longer marked exclusive, but every
| scheme answers "no", except those that take entries for sharers. A write to page 0 finds as many references as
| entries and is done in place.
fork B
exit B
write buf[0]
expect order buf[0] == 4
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 buf[0] == 1       ; expect shared? per-page-v5 buf[0] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many buf[0] == no
expect mapcount per-page f1 == 16             ; expect shared? per-page buf[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples buf[0] == no
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive buf[0] == no
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless buf[0] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas buf[0] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless buf[0] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[0] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[0] == no
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id buf[0] == no
expect mapcount owner f1 == 16                ; expect shared? owner buf[0] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no
expect mapcount likely f1 == 16               ; expect shared? likely buf[0] == no
expect mapcount mm-id f1 == 16                ; expect shared? mm-id buf[0] == no
expect mapcount average f1 == 16              ; expect shared? average buf[0] == no
expect mapcount total-pages f1 == 16          ; expect shared? total-pages buf[0] == no

| With page 0 pinned the answers are the same. But there is one more reference than entries, and its holder is
| unknown: a write to page 1 copies.
pin buf[0]
expect shared? mm-id buf[1] == no
write buf[1]
expect order buf[0] == 4
expect order buf[1] == 0
expect mapcount mm-id buf[0] == 15

| Split and migration compare references with entries, too, and give up. Advice that needs a split is ignored; reclaim
| skips the folio.
fails EAGAIN split f1
fails EAGAIN migrate f1
madvise cold buf[0..7]
expect order buf[0] == 4
set swap on
reclaim f1
expect present? buf[0] == yes

| A mapcount of 0 does not mean that a folio is free. The pin is dropped, and with it the folio.
munmap buf
expect mapped? f1 == no
expect mapcount mm-id f1 == 0
unpin buf[0]
expect free f1

| Pinning for writing needs memory that is writable, all of it.
mmap ro 4 prot=r
fails EFAULT pin ro
fails EINVAL unpin ro[0]
