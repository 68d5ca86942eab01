"""Hypothesis strategies on top of the histories of the contract."""

from __future__ import annotations

from hypothesis import strategies as st

from folioshell.contract.histories import KINDS, MMS, ORDERS, SKEWS, HistoryStep, RandomHistory


def histories(mms: int = MMS) -> st.SearchStrategy[RandomHistory]:
    """Strategy for histories that begin in ``mms`` address spaces."""
    steps = st.builds(
        HistoryStep,
        st.sampled_from(KINDS),
        st.integers(1, mms),
        st.integers(0, 1),
        st.integers(0, 31),
        st.integers(1, 32),
    )
    return st.builds(
        RandomHistory,
        st.sampled_from(ORDERS),
        st.sampled_from(SKEWS),
        st.lists(steps, max_size=20).map(tuple),
        st.booleans(),
    )
