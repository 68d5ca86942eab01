"""``run --junit``: what was asserted, as the XML that build servers read.

Rules:
- A suite a script, a case an assertion: an expect, a golden block. What stops a script is a case of its own: a failure
  if a command did not end as it should, an error if something was refused, or is a bug.
- The same runs give the same bytes: every time is 0, and no date or host is written.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from folioshell.errors import Refused, reason_of
from folioshell.script.script_event import ScriptEvent
from folioshell.shell.failures import failure_text

# What XML cannot hold, however it is written.
_NO_XML = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnit:
    """Collects the cases of runs, one after another."""

    def __init__(self) -> None:
        self._root = Element("testsuites")

    def begin(self, name: str) -> None:
        """A script is run from here on."""
        SubElement(self._root, "testsuite", name=_xml(name))

    def note(self, played: ScriptEvent) -> None:
        """Take in something that happened while the script ran."""
        report, failure = played.report, failure_text(played)
        if report is not None and report.expect is not None:
            self._case(played, report.expect.text, "failure", failure)
        elif played.golden is not None:
            self._case(played, f"output of {' '.join(played.text.split())}", "failure", failure)
        elif played.failure is not None:
            self._case(played, " ".join(played.text.split()), "failure", failure)
        elif played.refused is not None:
            self._case(played, played.refused.message, "error", failure)

    def crashed(self, error: Exception) -> None:
        """A bug ended the run of the script."""
        suite = self._root[-1]
        case = SubElement(suite, "testcase", classname=suite.get("name", ""), name="runs to its end")
        SubElement(case, "error", message=_xml(f"{type(error).__name__}: {error}"))

    def write(self, path: str) -> None:
        """Write the file.

        Raises:
            Refused: it cannot be written.
        """
        for suite in self._root:
            cases = list(suite)
            suite.set("tests", str(len(cases)))
            for kind in ("failure", "error"):
                suite.set(f"{kind}s", str(sum(case.find(kind) is not None for case in cases)))
            for timed in (suite, *cases):
                timed.set("time", "0")
        indent(self._root)
        try:
            with Path(path).open("wb") as stream:
                ElementTree(self._root).write(stream, encoding="utf-8", xml_declaration=True)
        except (OSError, ValueError) as error:
            raise Refused(f"cannot write {path}: {reason_of(error)}", file=path) from None

    def _case(self, played: ScriptEvent, name: str, kind: str, failure: str) -> None:
        title = f"{played.line}: {name}" if played.line else name
        place = {"file": _xml(played.file), "line": str(played.line)} if played.line else {}
        case = SubElement(self._root[-1], "testcase", {"classname": _xml(played.file), "name": _xml(title), **place})
        if failure:
            first = failure.split("\n", 1)[0].removeprefix("FAIL  ")
            SubElement(case, kind, message=_xml(first)).text = _xml(failure)


def _xml(text: str) -> str:
    return _NO_XML.sub("?", text)
