"""docs/tutorial.md: the twelve lessons as a text to read, with what each command prints; their part of teaching.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from folioshell.commands import Session
from folioshell.script import script
from folioshell.script.lesson import ClassTask, Prediction, goal_item
from folioshell.views.plain import render
from folioshell.views.report_view import report_blocks
from tests.docs.reader import TUTORIAL_WIDTH
from tests.docs.scenario_index import opening, scripts
from tests.repo.tree import ROOT

_INTRODUCTION = """\
# Tutorial: who shares this folio?

Twelve lessons of about ten minutes, for readers who have never heard of a mapcount. They begin with the question what
a page table is, and end with one that kernel developers have argued about since 2021. This page is their text; at the
prompt, `folioshell learn` asks the questions, waits for an answer, and checks the tasks.
[concepts.md](concepts.md) explains each term with a small example of its own, [glossary.md](glossary.md) lists them.

You need folioshell installed ([README](../README.md)) and a terminal of 80 columns. Type what follows the prompt; the
rest is the shell's answer. `undo` takes any step back, and a mistake changes nothing.

Before some commands stands a question. Answer it before you look at what is printed. At the end of each lesson there
are two tasks; their solutions are [at the end of the page](#solutions).
"""
_SOLUTIONS = """\
## Solutions

Each is one way of several. Type it where the lesson ends.
"""
#: what stands before and after the table of wrong answers
_WRONG, _END = "<!-- wrong answers -->", "<!-- end -->"


def tutorial() -> str:
    """The page: a section a lesson, then the solutions of all tasks."""
    paths = scripts("class")
    parts = [_INTRODUCTION]
    solutions = [_SOLUTIONS]
    for number, path in enumerate(paths, 1):
        title = opening(path).title.partition(": ")[2]
        lines = _lines(path)
        parts += [f"## {number}. {title}\n", *_lesson(lines), ""]
        tasks = [line.task for line in lines if line.task is not None]
        solutions.append(f"### {number}. {title}\n")
        solutions += [f"- **{task.name}**: `{task.solutions[0].line.text}`{_after(task)}" for task in tasks]
        solutions.append("")
    return "\n".join(parts + solutions).rstrip("\n") + "\n"


def teaching() -> str:
    """docs/teaching.md with the present wrong answers of all lessons between its two marks."""
    text = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    above, _, rest = text.partition(_WRONG)
    _, _, below = rest.partition(_END)
    rows = [
        f"| {number} | {asked.text} | {wrong.statement.arguments.tokens('VALUE')[0].text} | {wrong.text} |"
        for number, path in enumerate(scripts("class"), 1)
        for line in _lines(path)
        for asked in line.asked
        for wrong in asked.wrong
    ]
    table = ["| lesson | question | wrong answer | why |", "| ---: | --- | --- | --- |", *rows]
    return f"{above}{_WRONG}\n" + "\n".join(table) + f"\n{_END}{below}"


def _lines(path: Path) -> list[script.ScriptLine]:
    return script.parse(path.read_text(encoding="utf-8"), path.name, Session().language)


def _lesson(lines: list[script.ScriptLine]) -> Iterator[str]:
    """The text of one lesson, typed into a session of its own."""
    session = Session()
    prose: list[str] = []
    typed: list[str] = []

    def ended() -> Iterator[str]:
        if typed:
            yield "\n".join(["```folioshell", *typed]).rstrip("\n") + "\n```\n"
            typed.clear()
        text = "\n".join(prose).strip("\n")
        prose.clear()
        if text and not text.startswith("# "):
            yield text + "\n"
        elif "\n\n" in text:
            yield text.partition("\n\n")[2] + "\n"

    for line in lines:
        if line.prose is not None:
            if typed:
                yield from ended()
            prose.append(line.prose)
            continue
        if line.task is not None:
            yield from ended()
            yield from _task(line.task)
        if not line.statements:
            continue
        if line.asked or prose:
            yield from ended()
        yield from (f"**Guess:** {asked.text}\n" for asked in line.asked)
        typed.append(f"{session.prompt} {line.text}")
        typed += [render(report_blocks(one), TUTORIAL_WIDTH).rstrip("\n") for one in session.execute(line.text)]
        typed.append("")
        if line.asked:
            yield from ended()
            yield from map(_answer, line.asked)
    yield from ended()


def _answer(asked: Prediction) -> str:
    after = f" {asked.after[0].text}" if asked.after else ""
    return f"**{asked.value}.**{after}\n"


def _task(task: ClassTask) -> Iterator[str]:
    limits = [
        f"in at most {task.steps} steps" if task.steps and task.steps > 1 else "in one step" if task.steps else ""
    ]
    limits += [f"with {', '.join(f'`{verb}`' for verb in task.verbs)} alone" if task.verbs else ""]
    said = ", ".join(filter(None, limits))
    yield f"**Task `{task.name}`.** {task.text}{f' ({said})' if said else ''}\n"
    yield "\n".join(goal_item(goal) for goal in task.goals) + "\n"


def _after(task: ClassTask) -> str:
    return f". {task.after[0].text}" if task.after else ""
