#!folioshell 1
| # 3: Two processes, one page
|
| How a fork shares pages, and who gets the copy. 10 minutes.
|
| A page of memory, or several that are kept as one, is a folio. In this
| lesson each page has a folio of its own: f1, f2, f3, f4.
set geometry classroom
set schemes none

mmap buf 8
write buf[0..3]

| `fork` makes a child, B. The child gets the same contents; copying all of
| them would take long, and most would be copied in vain.
? truth entries f1 == 2 | After the fork: how many entries map f1?
?hint fork copies page tables, not pages.
?wrong 4 f1 is page 0 alone; the other pages have folios of their own.
?wrong 1 The child must find the contents, too.
?after Each process has a table of its own; the entries name the same page.
fork B

| All these entries are read-only now, whatever the VMA allows. So the next
| write faults, and the kernel can decide. That is copy-on-write.
show

? truth entries f1 == 1 | B writes to page 0. How many entries map f1 then?
?hint A must not see what B writes.
?wrong 2 B may not write into the page that A reads.
?wrong 0 A still maps it.
?after B got a copy, f5. f1 is A's alone.
B: write buf[0]

| Now A writes to page 0. Its entry is still read-only, so this faults, too.
? mapped? f1 == yes | After A's write: is the old page, f1, still mapped?
?hint Who else maps f1 by now?
?wrong no No one else maps f1: a copy would be wasted.
?after A was alone with f1, so the kernel only made the entry writable.
write buf[0]

| `why` lists who maps a folio, and which command made it so.
why f2

?task parent steps<=1 allow=write | Change it: this time A gets the copy, of page 1, and B keeps the old page.
?goal same buf[1] B:buf[1] == no | A and B map different pages at buf[1]
?goal truth entries B:buf[1] == 1 | B's page has one entry
?hint Who writes first gets the copy.
?solution write buf[1]

?task three | Make it: three processes map page 2; A has page 3 for itself.
?goal truth mms buf[2] == 3 | three processes map A's page 2
?goal truth mms buf[3] == 1 | only A maps its page 3
?hint `fork C` makes a third process.
?solution fork C ; write buf[3]
?after Sharing is decided page by page, by who wrote since the fork.
