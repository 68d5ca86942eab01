#!folioshell 1
| # Example 14: parent and child unmap the same half of a huge page
|
| The first of the two cases that the RFC of April 2026 misses. The kernel wants to know when part of an anonymous
| folio is no longer mapped, so that it can split the folio later and free that part. With per-page counts it sees
| that at once (14e). With an average it compares 512 entries with 512 pages: the folio looks fully mapped, and is
| found only after the child has exited (14f).
|
| The PMD mapping is split by changing the protection of one page and changing it back; a write would copy.

mmap buf 2M
madvise hugepage buf
write buf[0]

| 14a: two PMD entries.
fork B
expect truth entries f1 == 2 ; expect truth pages f1 == 512 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 buf[0] == 2       ; expect shared? per-page-v5 buf[0] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many buf[0] == yes
expect mapcount per-page f1 == 2              ; expect shared? per-page buf[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples buf[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive buf[0] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless buf[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas buf[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless buf[0] == yes
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 buf[0] == yes
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 buf[0] == yes
expect mapcount rmap-id f1 == 2               ; expect shared? rmap-id buf[0] == yes
expect mapcount owner f1 == 2                 ; expect shared? owner buf[0] == yes
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 buf[0] == yes
expect mapcount likely f1 == 2                ; expect shared? likely buf[0] == yes
expect mapcount mm-id f1 == 2                 ; expect shared? mm-id buf[0] == yes
expect mapcount average f1 == 2               ; expect shared? average buf[0] == yes
expect mapcount total-pages f1 == 2           ; expect shared? total-pages buf[0] == yes
expect mapcount average buf[0] == 2
expect mapcount total-pages buf[0] == 2
expect partial? f1 == no
expect partial? per-page-v5 f1 == no
expect partial? per-page f1 == no
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == no
expect partial? mm-id f1 == no
expect partial? average f1 == no
expect partial? total-pages f1 == no

| 14b: the parent splits its PMD entry.
mprotect buf[511] r
mprotect buf[511] rw
expect vmas A == 1
expect truth entries f1 == 513 ; expect truth pages f1 == 512 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 buf[0] == 2       ; expect shared? per-page-v5 buf[0] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many buf[0] == yes
expect mapcount per-page f1 == 513            ; expect shared? per-page buf[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples buf[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive buf[0] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless buf[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas buf[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless buf[0] == yes
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 buf[0] == yes
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 buf[0] == yes
expect mapcount rmap-id f1 == 513             ; expect shared? rmap-id buf[0] == yes
expect mapcount owner f1 == 513               ; expect shared? owner buf[0] == yes
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 buf[0] == yes
expect mapcount likely f1 == 513              ; expect shared? likely buf[0] == yes
expect mapcount mm-id f1 == 513               ; expect shared? mm-id buf[0] == yes
expect mapcount average f1 == 513             ; expect shared? average buf[0] == yes
expect mapcount total-pages f1 == 513         ; expect shared? total-pages buf[0] == yes
expect mapcount average buf[0] == 2
expect mapcount total-pages buf[0] == 2
expect partial? f1 == no
expect partial? per-page-v5 f1 == no
expect partial? per-page f1 == no
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == no
expect partial? mm-id f1 == no
expect partial? average f1 == no
expect partial? total-pages f1 == no

| 14c: the parent unmaps its first half. The child's PMD entry still maps every page.
madvise dontneed buf[0..255]
expect truth entries f1 == 257 ; expect truth pages f1 == 512 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 B:buf[0] == 1     ; expect shared? per-page-v5 B:buf[0] == no      # wrong: false negative
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many B:buf[0] == yes
expect mapcount per-page f1 == 257            ; expect shared? per-page B:buf[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples B:buf[0] == maybe        # undecided
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive B:buf[0] == no     # miscounted (2), false negative
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless B:buf[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas B:buf[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless B:buf[0] == yes
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 B:buf[0] == no    # wrong: false negative
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 B:buf[0] == no    # wrong: false negative
expect mapcount rmap-id f1 == 257             ; expect shared? rmap-id B:buf[0] == yes
expect mapcount owner f1 == 257               ; expect shared? owner B:buf[0] == yes
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 B:buf[0] == no      # wrong: false negative
expect mapcount likely f1 == 257              ; expect shared? likely B:buf[0] == yes
expect mapcount mm-id f1 == 257               ; expect shared? mm-id B:buf[0] == yes
expect mapcount average f1 == 257             ; expect shared? average B:buf[0] == yes
expect mapcount total-pages f1 == 257         ; expect shared? total-pages B:buf[0] == yes
expect mapcount average B:buf[0] == 2
expect mapcount total-pages B:buf[0] == 2
expect partial? f1 == no
expect partial? per-page-v5 f1 == no
expect partial? per-page f1 == no
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == no
expect partial? mm-id f1 == no
expect partial? average f1 == no
expect partial? total-pages f1 == no

| 14d: the child splits its PMD entry.
B: mprotect buf[511] r
B: mprotect buf[511] rw
expect truth entries f1 == 768 ; expect truth pages f1 == 512 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 B:buf[0] == 1     ; expect shared? per-page-v5 B:buf[0] == no      # wrong: false negative
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many B:buf[0] == yes
expect mapcount per-page f1 == 768            ; expect shared? per-page B:buf[0] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples B:buf[0] == maybe        # undecided
expect mapcount tuples-naive f1 == 1          ; expect shared? tuples-naive B:buf[0] == no     # miscounted (2), false negative
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless B:buf[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas B:buf[0] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless B:buf[0] == yes
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 B:buf[0] == no    # wrong: false negative
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 B:buf[0] == no    # wrong: false negative
expect mapcount rmap-id f1 == 768             ; expect shared? rmap-id B:buf[0] == yes
expect mapcount owner f1 == 768               ; expect shared? owner B:buf[0] == yes
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 B:buf[0] == no      # wrong: false negative
expect mapcount likely f1 == 768              ; expect shared? likely B:buf[0] == yes
expect mapcount mm-id f1 == 768               ; expect shared? mm-id B:buf[0] == yes
expect mapcount average f1 == 768             ; expect shared? average B:buf[0] == yes
expect mapcount total-pages f1 == 768         ; expect shared? total-pages B:buf[0] == yes
expect mapcount average B:buf[0] == 2
expect mapcount total-pages B:buf[0] == 2
expect partial? f1 == no
expect partial? per-page-v5 f1 == no
expect partial? per-page f1 == no
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == no
expect partial? mm-id f1 == no
expect partial? average f1 == no
expect partial? total-pages f1 == no

| 14e: the child unmaps the same half. No one maps that half of the folio now.
B: madvise dontneed buf[0..255]
expect truth entries f1 == 512 ; expect truth pages f1 == 256 ; expect truth mms f1 == 2
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 buf[256] == 2     ; expect shared? per-page-v5 buf[256] == yes
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many buf[256] == yes
expect mapcount per-page f1 == 512            ; expect shared? per-page buf[256] == yes
expect mapcount tuples f1 == 2                ; expect shared? tuples buf[256] == maybe        # undecided
expect mapcount tuples-naive f1 == 0          ; expect shared? tuples-naive buf[256] == no     # miscounted (2), false negative
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless buf[256] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas buf[256] == yes
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless buf[256] == yes
expect mapcount estimated-ne1 f1 == 0         ; expect shared? estimated-ne1 buf[256] == yes
expect mapcount estimated-gt1 f1 == 0         ; expect shared? estimated-gt1 buf[256] == no    # wrong: false negative
expect mapcount rmap-id f1 == 512             ; expect shared? rmap-id buf[256] == yes
expect mapcount owner f1 == 512               ; expect shared? owner buf[256] == yes
expect mapcount likely-v6.9 f1 == 0           ; expect shared? likely-v6.9 buf[256] == no      # wrong: false negative
expect mapcount likely f1 == 512              ; expect shared? likely buf[256] == no           # wrong: false negative
expect mapcount mm-id f1 == 512               ; expect shared? mm-id buf[256] == yes
expect mapcount average f1 == 512             ; expect shared? average buf[256] == yes
expect mapcount total-pages f1 == 512         ; expect shared? total-pages buf[256] == yes
expect mapcount average buf[256] == 1
expect mapcount total-pages buf[256] == 1
expect partial? f1 == yes
expect partial? per-page-v5 f1 == yes
expect partial? per-page f1 == yes
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == yes
expect partial? mm-id f1 == yes
expect partial? average f1 == no              # wrong: missed
expect partial? total-pages f1 == no          # wrong: missed

| 14f: the child exits.
exit B
expect truth entries f1 == 256 ; expect truth pages f1 == 256 ; expect truth mms f1 == 1
expect truth vmas f1 == 1 ; expect truth tuples f1 == 1
expect mapcount per-page-v5 buf[256] == 1     ; expect shared? per-page-v5 buf[256] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many buf[256] == no
expect mapcount per-page f1 == 256            ; expect shared? per-page buf[256] == yes        # wrong: false positive
expect mapcount tuples f1 == 1                ; expect shared? tuples buf[256] == no
expect mapcount tuples-naive f1 == -1         ; expect shared? tuples-naive buf[256] == no     # miscounted (1)
expect mapcount tuples-hookless f1 == 1       ; expect shared? tuples-hookless buf[256] == no
expect mapcount vmas f1 == 1                  ; expect shared? vmas buf[256] == no
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless buf[256] == no
expect mapcount estimated-ne1 f1 == 0         ; expect shared? estimated-ne1 buf[256] == yes   # wrong: false positive
expect mapcount estimated-gt1 f1 == 0         ; expect shared? estimated-gt1 buf[256] == no
expect mapcount rmap-id f1 == 256             ; expect shared? rmap-id buf[256] == no
expect mapcount owner f1 == 256               ; expect shared? owner buf[256] == no
expect mapcount likely-v6.9 f1 == 0           ; expect shared? likely-v6.9 buf[256] == no
expect mapcount likely f1 == 256              ; expect shared? likely buf[256] == no
expect mapcount mm-id f1 == 256               ; expect shared? mm-id buf[256] == no
expect mapcount average f1 == 256             ; expect shared? average buf[256] == no
expect mapcount total-pages f1 == 256         ; expect shared? total-pages buf[256] == no
expect mapcount average buf[256] == 1
expect mapcount total-pages buf[256] == 1
expect partial? f1 == yes
expect partial? per-page-v5 f1 == yes
expect partial? per-page f1 == yes
expect partial? tuples f1 == cannot
expect partial? vmas f1 == cannot
expect partial? likely f1 == yes
expect partial? mm-id f1 == yes
expect partial? average f1 == yes
expect partial? total-pages f1 == yes

| A kernel without per-page mapcounts (CONFIG_NO_PAGE_MAPCOUNT) behaves the same and misses the same: the counter of
| deferred splits stays 0 until the child exits.
undo 8
set page_mapcount off
fork B
munmap buf[0..255]
B: munmap buf[0..255]
show stats
exit B
show stats
