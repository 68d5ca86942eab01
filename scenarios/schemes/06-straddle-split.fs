#!folioshell 1
| # Example 6: across two page tables, with a VMA split on top
|
| Three tuples for one process: "more than 2 is definitely somebody else" is already wrong for an order-4 folio, if
| "somebody else" means another process.

file lib 32 order=4
mmap win 16 file=lib align=512 skew=504
fault win[0]
fault win[8]

| 6: the first four pages get a VMA of their own.
mprotect win[0..3] none
expect vmas A == 2
expect truth entries f1 == 16 ; expect truth pages f1 == 16 ; expect truth mms f1 == 1
expect truth vmas f1 == 2 ; expect truth tuples f1 == 3
expect mapcount per-page-v5 win[4] == 1       ; expect shared? per-page-v5 win[4] == no
expect mapcount zero-one-two-many f1 == 1     ; expect shared? zero-one-two-many win[4] == no  # miscounted (2)
expect mapcount per-page f1 == 16             ; expect shared? per-page win[4] == yes          # wrong: false positive
expect mapcount tuples f1 == 3                ; expect shared? tuples win[4] == yes            # wrong: false positive
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive win[4] == maybe    # miscounted (3), undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless win[4] == maybe # miscounted (3), undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas win[4] == yes              # wrong: false positive
expect mapcount vmas-hookless f1 == 1         ; expect shared? vmas-hookless win[4] == no      # miscounted (2)
expect mapcount estimated-ne1 f1 == 1         ; expect shared? estimated-ne1 win[4] == no
expect mapcount estimated-gt1 f1 == 1         ; expect shared? estimated-gt1 win[4] == no
expect mapcount rmap-id f1 == 16              ; expect shared? rmap-id win[4] == no
expect mapcount owner f1 == 16                ; expect shared? owner win[4] == no
expect mapcount likely-v6.9 f1 == 1           ; expect shared? likely-v6.9 win[4] == no
expect mapcount likely f1 == 16               ; expect shared? likely win[4] == no
expect mapcount mm-id f1 == 16                ; expect shared? mm-id win[4] == no
expect mapcount average f1 == 16              ; expect shared? average win[4] == no
expect mapcount total-pages f1 == 16          ; expect shared? total-pages win[4] == no
set schemes all
query shared? win[4]
