"""Shrinking of histories."""

from __future__ import annotations

from folioshell.contract.histories import MMS, History, Step, seeded_histories
from folioshell.contract.shrink import shrunk


def test_only_the_steps_that_matter_are_left() -> None:
    """Of many steps, the two that are wanted, in their order."""
    steps = (*(Step("map" if at % 7 else "fork", 1, 0, 0, 1) for at in range(30)), Step("exit", 1, 0, 0, 1))

    def breaks(history: History) -> bool:
        kinds = [step.kind for step in history.steps]
        return "fork" in kinds and "exit" in kinds[kinds.index("fork") :]

    assert [step.kind for step in shrunk(History(2, 0, steps), breaks).steps] == ["fork", "exit"]


def test_steps_that_matter_together_only_stay() -> None:
    """None of three can be spared."""
    steps = tuple(Step("map", 1, 0, at, 1) for at in range(8))

    def breaks(history: History) -> bool:
        return len(history.steps) >= 3

    assert len(shrunk(History(2, 0, steps), breaks).steps) == 3


def test_numbers_become_as_plain_as_they_can_be() -> None:
    """Each one is the smallest that still breaks the law."""

    def breaks(history: History) -> bool:
        return any(step.mm >= 2 and step.at >= 5 and step.nr >= 3 for step in history.steps) and history.order >= 3

    found = shrunk(History(5, 5, (Step("map", 4, 1, 31, 32),), anon=False), breaks)
    assert found == History(3, 0, (Step("map", 2, 0, 5, 3),), anon=True)


def test_what_comes_out_still_breaks_the_law() -> None:
    """Whatever history it was."""
    for history in seeded_histories(60):

        def breaks(shorter: History, kinds: int = len({step.kind for step in history.steps})) -> bool:
            return len({step.kind for step in shorter.steps}) >= kinds

        found = shrunk(history, breaks)
        assert breaks(found)
        assert len(found.steps) == len({step.kind for step in history.steps})


def test_address_spaces_are_renumbered_together() -> None:
    """A fork makes the mm with the next number: 3 and its child 4 become 1 and 2, not 1 and 4."""

    def breaks(history: History) -> bool:
        kinds = {step.kind: step.mm for step in history.steps}
        return set(kinds) == {"fork", "exit"} and kinds["exit"] == kinds["fork"] % MMS + 1

    found = shrunk(History(2, 0, (Step("fork", 3, 0, 0, 1), Step("exit", 4, 0, 0, 1))), breaks)
    assert [step.mm for step in found.steps] == [1, 2]
