"""How the kernel ended a step, as reports and recordings write it: ok, an errno, signals; and what was expected."""

from __future__ import annotations

from typing import Any

from folioshell.session.language import Ending


def result_of(ending: Ending) -> dict[str, Any]:
    """The result of a kernel path that ended so."""
    if not ending:
        return {"ok": True}
    return {"errno": ending} if isinstance(ending, str) else {"signals": ending}


def failure_of(result: dict[str, Any]) -> str:
    """The errno or the first signal of a result; empty if it is ok."""
    return result.get("errno") or next((signal for _, _, signal in result.get("signals", ())), "")


def is_failure(result: dict[str, Any], expected: str) -> bool:
    """Is this result the failure that was expected (an errno or a signal)?"""
    if result.get("errno") == expected:
        return True
    return any(signal == expected for _, _, signal in result.get("signals", ()))


def expected_failure(text: str) -> tuple[str, str]:
    """(errno or signal that ``fails`` announces, or empty; the command itself) of a command in its normal form."""
    if not text.startswith("fails "):
        return "", text
    _, expected, command = text.split(" ", 2)
    return expected, command
