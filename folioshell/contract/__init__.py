"""The contract of a scheme: a world of entries that knows the truth, random histories, and the laws checked in them."""

from __future__ import annotations

from folioshell.contract.check import Verdict, check_scheme

__all__ = ["Verdict", "check_scheme"]
