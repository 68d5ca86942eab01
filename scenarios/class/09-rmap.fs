#!folioshell 1
| # 9: The long way round
|
| If a count cannot tell, the kernel can look: from the folio back to all
| entries that map it. That is a walk of the reverse map, or rmap. It is
| exact, and expensive. 10 minutes.
set geometry classroom
set schemes tuples,vmas
set after mapcounts,walks
file lib 16 order=2
mmap win 4 file=lib align=8 skew=6
fault win[0]
fault win[2]
fork B

| A file knows the VMAs that map it. The walk visits each, and looks into
| the tables at the places where the folio would be.
? truth vmas f1 == 1 | It will visit 2 VMAs. In how many does it find entries?
?hint B has not touched the file yet.
?wrong 2 B's VMA is visited, and its tables have no entries for f1.
?after A miss costs as much as a hit.
rmap f1

| Let the kernel act on tuples. It answers maybe here, so the kernel walks;
| it must drop the lock of the page table for that, and check again.
set decide tuples
? order win[0] == 0 | After cold, win[0] is touched again. The order of its folio?
?hint The walk found no one else. What may the kernel do then?
?wrong 2 The walk was conclusive: the folio was split.
?after Split, because the walk found no other process.
madvise cold win[0..1] ; fault win[0]

? present? win[2] == no | The split unmapped the folio. Is page 2 mapped now?
?hint Which pages did the last fault ask for?
?wrong yes Only what was touched since came back, in its own table.
?after The fault of win[0] mapped the pages in its table: 0 and 1.
query present? win[2]

| What the schemes have cost so far:
cost

?task more | Change it: the same walk must find entries in two VMAs. Use the folio of win[3].
?goal truth vmas win[3] == 2 | two VMAs map the folio of win[3]
?hint Both processes have to touch page 3.
?solution fault win[3] ; B: fault win[3]

?task cheap | Make it: a file `own` that only A maps, its folio of order 2 in one table, so that tuples says no.
?goal shared? tuples own[0] == no | tuples says that the folio is not shared
?goal order own[0] == 2 | it has order 2
?hint One VMA and one table make one pair.
?solution file data 8 order=2 ; mmap own 4 file=data align=8 ; fault own[0]
?after No walk is needed where the count is conclusive.
