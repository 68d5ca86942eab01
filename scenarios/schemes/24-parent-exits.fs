#!folioshell 1
| # Example 24: the parent exits
|
| The case that Torvalds described in November 2023: fork, and one of the two exits. An owner and a counter of all
| others are enough if the child exits first. If the parent exits first, the owner is gone, and the child is one of
| the others forever.

set thp.64K always
mmap buf 16
write buf
fork B
as B

| 24: the parent exits, and only the child maps the folio.
exit A
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
expect mapcount owner f1 == 16                ; expect shared? owner buf[0] == yes             # wrong: false positive
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 buf[0] == no
expect mapcount likely f1 == 16               ; expect shared? likely buf[0] == no
expect mapcount mm-id f1 == 16                ; expect shared? mm-id buf[0] == no
expect mapcount average f1 == 16              ; expect shared? average buf[0] == no
expect mapcount total-pages f1 == 16          ; expect shared? total-pages buf[0] == no

| The other way round, every scheme but those that count entries is right.
undo
as A
exit B
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
set schemes all
query shared? buf[0]
