#!folioshell 1
| # Example 27: entries that are not present
|
| Swap entries refer to a folio in the swap cache but do not map it. The child's 16 entries become swap entries, the
| parent's stay present. One process maps the folio; two depend on it.
|
| Reclaim visits the child first, because its VMA starts at a lower offset; in the parent it stops, because that VMA
| is locked. The VMA was locked after the fork, and made read-only before, so that mlock did not copy its pages; and
| in two steps, so that no single call covers the folio and sets PG_mlocked on it.

set swap on
set thp.64K always
mmap buf 32 align=32
write buf[16..31]
expect order buf[16] == 4
fork B
mprotect buf[16..31] r
mlock buf[16..23]
mlock buf[24..31]

| 27: reclaim replaces the child's entries. The parent asks.
reclaim f1
expect present? B:buf[16] == no
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 buf[16] == 1      ; expect shared? per-page-v5 buf[16] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many buf[16] == no
expect mapcount per-page f1 == 16             ; expect shared? per-page buf[16] == yes         # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples buf[16] == no
expect mapcount tuples-naive f1 == -14        ; expect shared? tuples-naive buf[16] == no      # miscounted (1)
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless buf[16] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas buf[16] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless buf[16] == no
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 buf[16] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 buf[16] == no
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id buf[16] == no
expect mapcount owner f1 == 16                ; expect shared? owner buf[16] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[16] == no
expect mapcount likely f1 == 16               ; expect shared? likely buf[16] == no
expect mapcount mm-id f1 == 16                ; expect shared? mm-id buf[16] == no
expect mapcount average f1 == 16              ; expect shared? average buf[16] == no
expect mapcount total-pages f1 == 16          ; expect shared? total-pages buf[16] == no
why f1 mm-id

| Copy on write asks something else. The parent writes: 16 mappings, but 32 references, because the swap cache holds
| one per page, and the folio cannot leave it while the child's swap entries refer to it. So the page is copied,
| although most schemes would let the parent write in place.
munlock buf[16..31] ; mprotect buf[16..31] rw
write buf[16]
expect order buf[16] == 0
expect mapcount mm-id f1 == 15
B: read buf[17]
expect same buf[17] B:buf[17]           # from the swap cache, and mapped twice now

| KSM, the other half of this example, is not modeled.
set schemes all
query shared? buf[17]
