"""The contract of a scheme: a world of entries that knows the truth, random histories, and the laws checked in them."""

from __future__ import annotations

from folioshell.contract.check import CheckResult, check_scheme

__all__ = ["CheckResult", "check_scheme"]
