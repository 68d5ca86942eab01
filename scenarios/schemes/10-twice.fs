#!folioshell 1
| # Example 10: one process maps a folio twice
|
| There is no second process. Every scheme that counts mappings of any kind says shared. The two that record which
| process maps the folio do not, up to the point where rmap-id is no longer exact: it treats more entries than pages
| as shared.

| 10a: all 16 pages through two VMAs.
file lib 32 order=4
mmap one 16 file=lib
mmap two 16 file=lib
fault one[0]
fault two[0]
expect truth entries f1 == 32 ; expect truth pages f1 == 16 ; expect truth mms f1 == 1
expect truth vmas f1 == 2 ; expect truth tuples f1 == 2
expect mapcount per-page-v5 one[0] == 2       ; expect shared? per-page-v5 one[0] == yes       # wrong: false positive
expect mapcount zero-one-two-many f1 == 2     ; expect shared? zero-one-two-many one[0] == yes # wrong: false positive
expect mapcount per-page f1 == 32             ; expect shared? per-page one[0] == yes          # wrong: false positive
expect mapcount tuples f1 == 2                ; expect shared? tuples one[0] == maybe          # undecided
expect mapcount tuples-naive f1 == 2          ; expect shared? tuples-naive one[0] == maybe    # undecided
expect mapcount tuples-hookless f1 == 2       ; expect shared? tuples-hookless one[0] == maybe # undecided
expect mapcount vmas f1 == 2                  ; expect shared? vmas one[0] == yes              # wrong: false positive
expect mapcount vmas-hookless f1 == 2         ; expect shared? vmas-hookless one[0] == yes     # wrong: false positive
expect mapcount estimated-ne1 f1 == 2         ; expect shared? estimated-ne1 one[0] == yes     # wrong: false positive
expect mapcount estimated-gt1 f1 == 2         ; expect shared? estimated-gt1 one[0] == yes     # wrong: false positive
expect mapcount rmap-id f1 == 32              ; expect shared? rmap-id one[0] == yes           # wrong: false positive
expect mapcount owner f1 == 32                ; expect shared? owner one[0] == no
expect mapcount likely-v6.9 f1 == 2           ; expect shared? likely-v6.9 one[0] == yes       # wrong: false positive
expect mapcount likely f1 == 32               ; expect shared? likely one[0] == yes            # wrong: false positive
expect mapcount mm-id f1 == 32                ; expect shared? mm-id one[0] == no
expect mapcount average f1 == 32              ; expect shared? average one[0] == no
expect mapcount total-pages f1 == 32          ; expect shared? total-pages one[0] == no

| 10b: the first 8 pages through two VMAs of 8 pages.
file half 32 order=4
mmap left 8 file=half
mmap right 8 file=half
fault left[0]
fault right[0]
expect truth entries f3 == 16 ; expect truth pages f3 == 8 ; expect truth mms f3 == 1
expect truth vmas f3 == 2 ; expect truth tuples f3 == 2
expect mapcount per-page-v5 left[0] == 2      ; expect shared? per-page-v5 left[0] == yes      # wrong: false positive
expect mapcount zero-one-two-many f3 == 2     ; expect shared? zero-one-two-many left[0] == yes # wrong: false positive
expect mapcount per-page f3 == 16             ; expect shared? per-page left[0] == yes         # wrong: false positive
expect mapcount tuples f3 == 2                ; expect shared? tuples left[0] == maybe         # undecided
expect mapcount tuples-naive f3 == 2          ; expect shared? tuples-naive left[0] == maybe   # undecided
expect mapcount tuples-hookless f3 == 2       ; expect shared? tuples-hookless left[0] == maybe # undecided
expect mapcount vmas f3 == 2                  ; expect shared? vmas left[0] == yes             # wrong: false positive
expect mapcount vmas-hookless f3 == 2         ; expect shared? vmas-hookless left[0] == yes    # wrong: false positive
expect mapcount estimated-ne1 f3 == 2         ; expect shared? estimated-ne1 left[0] == yes    # wrong: false positive
expect mapcount estimated-gt1 f3 == 2         ; expect shared? estimated-gt1 left[0] == yes    # wrong: false positive
expect mapcount rmap-id f3 == 16              ; expect shared? rmap-id left[0] == no
expect mapcount owner f3 == 16                ; expect shared? owner left[0] == no
expect mapcount likely-v6.9 f3 == 2           ; expect shared? likely-v6.9 left[0] == yes      # wrong: false positive
expect mapcount likely f3 == 16               ; expect shared? likely left[0] == yes           # wrong: false positive
expect mapcount mm-id f3 == 16                ; expect shared? mm-id left[0] == no
expect mapcount average f3 == 16              ; expect shared? average left[0] == no
expect mapcount total-pages f3 == 16          ; expect shared? total-pages left[0] == no

| 10c: an order-0 folio through two VMAs. A single page has one counter and nothing else, so mm-id, rmap-id, average
| and total-pages know no more than the others: all are wrong.
file page 1
mmap this 1 file=page
mmap that 1 file=page
fault this[0]
fault that[0]
expect truth entries f5 == 2 ; expect truth pages f5 == 1 ; expect truth mms f5 == 1
expect truth vmas f5 == 2 ; expect truth tuples f5 == 2
expect mapcount per-page-v5 this[0] == 2      ; expect shared? per-page-v5 this[0] == yes      # wrong: false positive
expect mapcount zero-one-two-many f5 == 2     ; expect shared? zero-one-two-many this[0] == yes # wrong: false positive
expect mapcount per-page f5 == 2              ; expect shared? per-page this[0] == yes         # wrong: false positive
expect mapcount tuples f5 == 2                ; expect shared? tuples this[0] == maybe         # undecided
expect mapcount tuples-naive f5 == 2          ; expect shared? tuples-naive this[0] == maybe   # undecided
expect mapcount tuples-hookless f5 == 2       ; expect shared? tuples-hookless this[0] == maybe # undecided
expect mapcount vmas f5 == 2                  ; expect shared? vmas this[0] == yes             # wrong: false positive
expect mapcount vmas-hookless f5 == 2         ; expect shared? vmas-hookless this[0] == yes    # wrong: false positive
expect mapcount estimated-ne1 f5 == 2         ; expect shared? estimated-ne1 this[0] == yes    # wrong: false positive
expect mapcount estimated-gt1 f5 == 2         ; expect shared? estimated-gt1 this[0] == yes    # wrong: false positive
expect mapcount rmap-id f5 == 2               ; expect shared? rmap-id this[0] == yes          # wrong: false positive
expect mapcount owner f5 == 2                 ; expect shared? owner this[0] == yes            # wrong: false positive
expect mapcount likely-v6.9 f5 == 2           ; expect shared? likely-v6.9 this[0] == yes      # wrong: false positive
expect mapcount likely f5 == 2                ; expect shared? likely this[0] == yes           # wrong: false positive
expect mapcount mm-id f5 == 2                 ; expect shared? mm-id this[0] == yes            # wrong: false positive
expect mapcount average f5 == 2               ; expect shared? average this[0] == yes          # wrong: false positive
expect mapcount total-pages f5 == 2           ; expect shared? total-pages this[0] == yes      # wrong: false positive
set schemes all
query shared? this[0]
