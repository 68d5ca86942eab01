"""The contract of a definition: a world of entries that knows the truth, histories, and laws held against them."""

from __future__ import annotations

from folioshell.contract.check import Verdict, check_scheme

__all__ = ["Verdict", "check_scheme"]
