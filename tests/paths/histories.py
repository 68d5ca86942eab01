"""Random lines about a region ``buf`` of 32 pages: steps that take runs of folios apart in every way that there is."""

from __future__ import annotations

from hypothesis import strategies as st

PLACE = st.builds(lambda first, nr: f"buf[{first}+{nr}]", st.integers(0, 19), st.integers(1, 12))
COMMAND = st.one_of(
    st.builds("fault {} {}".format, PLACE, st.sampled_from(("read", "write"))),
    st.builds("B: fault {} {}".format, PLACE, st.sampled_from(("read", "write"))),
    st.builds("munmap {}".format, PLACE),
    st.builds("madvise {} {}".format, st.sampled_from(("dontneed", "cold", "free", "pageout", "collapse")), PLACE),
    st.builds("mprotect {} {}".format, PLACE, st.sampled_from(("r", "rw", "none"))),
    st.builds("mlock {}".format, PLACE),
    st.builds("munlock {}".format, PLACE),
    st.builds("{} {}".format, st.sampled_from(("pin", "unpin")), PLACE),
    st.builds("mremap {} new=m{}".format, PLACE, st.integers(0, 9)),
    st.builds("{} f{}".format, st.sampled_from(("reclaim", "migrate")), st.integers(1, 20)),
    st.sampled_from(
        ("fork B", "exit B", "fork C", "exit C", "as B", "as A", "set thp.16K always", "set thp.16K never")
    ),
)
