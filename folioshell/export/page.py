"""A script as a page: a section for each step, all of it static HTML; no request but the file.

Rules:
- It is made from the documents of ``--json=full`` and from what views say of each report.
- Style and script are inline and allowed by their hashes; without the script everything is visible, one step below the
  other, and in print each step is a page.
- A step's section holds the prose before it, the queries and assertions after it, and its figure. Settings belong to
  the step that follows.
- A question stands below the state before its command. For an exam (``none``) the file ends there: of what follows it
  has the commands and the questions alone, neither answers nor prose nor states.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from folioshell.export.figure import WIDTH, Figure, State
from folioshell.export.timeline import timeline
from folioshell.records import NamedTuple, dataclass, field

#: least width of figures: fewer units are drawn larger
_NARROWEST = 260
#: commands that lead to a state without being a step
_MOVING = ("undo", "redo", "goto", "reset", "load", "race")
#: those that stand with the step that follows
_SETTING = ("set", "as", "mark", "thread")
#: pattern of what a figure has -> what it means
_LEGEND = (
    (r'class="[^"]* d[ "]', "dashed: read-only"),
    (r'class="[^"]* new"', "thick: changed by this step"),
    (r"×\d", "×2: two entries map the page"),
    (r">! |×\d+!", "!: a scheme is wrong about who maps it"),
    (r">\? |×\d+!?\?", "?: a scheme says maybe"),
)
#: beginnings of the lines of the style that are about figures
_OF_FIGURES = (":root", "@media(prefers-color-scheme", "svg", ".c0", "@media(forced-colors")
_IDENT = re.compile(r' id="(s\d+)"')

ASK, SHOW, NONE = "ask", "show", "none"


class Shot(NamedTuple):
    """A line of a script, as a page shows it.

    Args:
        document: as ``--json=full`` has it: of a command, or of lines of prose; or of a question (``question``,
            ``next``, ``allowed``, ``choices``, ``answer``, ``hints``, ``wrong``, ``after``) or a task (``task``,
            ``goals``, ``hints``, ``solution``).
        html: what the report says, or the prose.
        words: what `show` says after it, for those who do not see the figure.
        unjudged: the same without what schemes answer, if a question about that follows.
    """

    document: dict[str, Any]
    html: str
    words: str = ""
    unjudged: str = ""

    def held_back(self) -> Shot:
        """Without what a question below it asks for: no scheme is named as wrong or undecided."""
        if not self.unjudged:
            return self
        state = self.document["state"] | {"schemes": []}
        return self._replace(document=self.document | {"state": state}, words=self.unjudged)


@dataclass
class Slide:
    """A section of a page.

    Args:
        ident: what ``#s5`` links lead to.
        step: number of the step after which it is.
        title: the beginning of its heading.
        command: HTML of the command that leads to it.
        shot: the command that leads to it; None at the start.
        before: the state before it.
        head, tail: HTML above the figure, and below it.
    """

    ident: str
    step: int
    title: str
    command: str = ""
    shot: Shot | None = None
    before: State | None = None
    head: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)


class HtmlPage(NamedTuple):
    """A page, and its figures by name.

    Args:
        title: of the script.
        html: the whole file.
        figures: name -> SVG that is part of the page.
        sections: the HTML of each section.
    """

    title: str
    html: str
    figures: dict[str, str]
    sections: list[str]


class Script(NamedTuple):
    """A script that is on a page: its name, its lines in order."""

    name: str
    shots: Sequence[Shot]

    @property
    def title(self) -> str:
        """Its first heading, or its name."""
        texts = (shot.document.get("prose", "") for shot in self.shots)
        return next((text.lstrip("# ") for text in texts if text.startswith("# ")), self.name)

    @property
    def about(self) -> str:
        """HTML of its first paragraph."""
        found = (re.search(r"<p>(.*?)</p>", shot.html) for shot in self.shots if "prose" in shot.document)
        return next((one[1] for one in found if one is not None), "")


def page(
    scripts: Sequence[Script], made_by: str, steps: tuple[int, int] | None = None, questions: str = ASK
) -> HtmlPage:
    """The page of a script, or of several one after another.

    Args:
        made_by: what the last line says.
        steps: the first and last step shown; all by default.
        questions: what becomes of them: ``ask``, ``show`` or ``none``.
    """
    slides = []
    for number, script in enumerate(scripts, 1):
        made = _shown(script, f"{number}-" if number > 1 else "", questions)
        slides += [one for one in made if steps is None or steps[0] <= one.step <= steps[1]]
    figures: dict[str, str] = {}
    drawn = {slide.ident: one for slide in slides if (one := _figure(slide)) is not None}
    width = max([_NARROWEST, *(one.right for one in drawn.values())])
    sections = [_section(slide, drawn.get(slide.ident), min(width, WIDTH), figures) for slide in slides]
    title = scripts[0].title if len(scripts) == 1 else f"{scripts[0].title}, and {len(scripts) - 1} more"
    made_by += " Arrow keys, Home and End move between the steps."
    return HtmlPage(title, _document(title, "\n".join(sections), made_by), figures, sections)


def _shown(script: Script, prefix: str, questions: str) -> list[Slide]:
    """The sections of a script."""
    shots, unseen = _until_question(script.shots) if questions == NONE else (script.shots, [])
    if questions != SHOW:
        shots = [shot.held_back() for shot in shots]
    slides = _slides(shots, script.title, questions)
    slides[-1].tail += [_blank(shot) for shot in unseen]
    seen = {slide.ident for slide in slides}
    for slide in slides:
        slide.ident = prefix + slide.ident
        # A setting has no section, but is a step: links to it lead here, to the first of its number.
        for parts in (slide.head, slide.tail):
            for at, text in enumerate(parts):
                if (found := _IDENT.search(text)) is not None:
                    ident = "" if found[1] in seen else f' id="{prefix}{found[1]}"'
                    parts[at] = _IDENT.sub(ident, text, count=1)
                    seen.add(found[1])
    if prefix:
        slides[0].title = script.title
    return slides


def index(title: str, pages: Sequence[tuple[str, str, str]], made_by: str) -> str:
    """A page with links to others: (file, title, what it is about) of each."""
    items = "\n".join(
        f'<li><a href="{escape(file, quote=True)}">{escape(name)}</a><br><span class=dim>{about}</span></li>'
        for file, name, about in pages
    )
    return _document(title, f"<ul>\n{items}\n</ul>", made_by)


# Sections.


def _slides(shots: Sequence[Shot], title: str, questions: str) -> list[Slide]:
    slides = [Slide("s0", 0, "Start")]
    idents = {"s0"}
    waiting: list[Shot] = []
    state: State | None = None
    for shot in shots:
        document = shot.document
        verb = document.get("command", "").partition(" ")[0]
        if "prose" in document or verb in _SETTING:
            waiting += [shot] if document.get("prose") != f"# {title}" else []
            state = document.get("state", state)
        elif "question" in document or "task" in document:
            slides[-1].tail += [*_told(waiting), _question(document, questions)]
            waiting.clear()
        elif "step" not in document and verb not in _MOVING:
            slides[-1].tail += [*_told(waiting), *_command(shot)]
            waiting.clear()
        else:
            first, then = _parted(waiting) if len(slides) == 1 and not slides[0].tail else ([], waiting)
            slides[0].head += _told(first)
            slides.append(_slide(shot, state, idents))
            slides[-1].head += [*_told(then), shot.html]
            waiting, state = [], document.get("state") or state
    slides[-1].tail += _told(waiting)
    return slides if slides[0].head or slides[0].tail else slides[1:]


def _slide(shot: Shot, before: State | None, idents: set[str]) -> Slide:
    """The section of a command; its id is that of its step, and another one where that was seen before."""
    document = shot.document
    state = document.get("state") or before
    step = state["step"] if state is not None else 0
    ident, at = f"s{step}", 1
    while ident in idents:
        at += 1
        ident = f"s{step}-{at}"
    idents.add(ident)
    word = (f"Step {step}" if "step" in document else f"At step {step}") + (f" ({at})" if at > 1 else "")
    return Slide(ident, step, word, _named(document, before["current"] if before is not None else "A"), shot, before)


def _parted(waiting: Sequence[Shot]) -> tuple[Sequence[Shot], Sequence[Shot]]:
    """What stands before the first step: the introduction and settings, and what belongs to the step."""
    settings = [at for at, shot in enumerate(waiting) if "prose" not in shot.document]
    lines = [shot.document.get("line", 0) for shot in waiting]
    gaps = [at for at in range(1, len(lines)) if lines[at] > lines[at - 1] + 1]
    end = settings[-1] + 1 if settings else gaps[0] if gaps else len(waiting)
    return waiting[:end], waiting[end:]


def _told(shots: Iterable[Shot]) -> list[str]:
    return [part for shot in shots for part in ([shot.html] if "prose" in shot.document else _command(shot))]


def _command(shot: Shot) -> list[str]:
    """A command that has no section of its own, and what it says."""
    document = shot.document
    ident = f' id="s{document["step"]}"' if "step" in document else ""
    comment = f" <span class=dim># {escape(document['comment'])}</span>" if "comment" in document else ""
    if "expect" in document:
        # A page is made of scripts that pass.
        return [f"<p class=y>✓ <code>{_named(document)}</code>{comment}"]
    return [f"<p class=c{ident}><code>{_named(document)}</code>{comment}", shot.html]


def _named(document: dict[str, Any], current: str = "") -> str:
    """A command, with its process if that is not the current one."""
    prefix = f"{document['process']}: " if current and document["process"] != current else ""
    return escape(prefix + document["command"], quote=False)


def _figure(slide: Slide) -> Figure | None:
    """The figure of a section; None where there is nothing yet."""
    state = slide.shot.document.get("state") if slide.shot is not None else None
    if state is None or not (state["folios"] or any(one["vmas"] for one in state["processes"].values())):
        return None
    return Figure(state, slide.before)


def _section(slide: Slide, drawing: Figure | None, width: float, figures: dict[str, str]) -> str:
    """The HTML of a section; its figures are added to ``figures``."""
    drawn = list(_figures(slide, drawing, width, figures))
    head, tail = "\n".join(filter(None, slide.head)), "\n".join(filter(None, slide.tail))
    link = f'<a href="#{slide.ident}">{slide.title}</a>{f" <code>{slide.command}</code>" if slide.command else ""}'
    parts = [
        f'<section id="{slide.ident}" aria-labelledby="{slide.ident}h">',
        f'<h2 id="{slide.ident}h" tabindex=-1>{link}</h2>',
        f"<div>{head}</div>" if head else "",
        *drawn,
        f"<div>{tail}</div>" if tail else "",
        "</section>",
    ]
    return "\n".join(filter(None, parts))


def _figures(slide: Slide, drawing: Figure | None, width: float, figures: dict[str, str]) -> Iterator[str]:
    if slide.shot is None:
        return
    document = slide.shot.document
    schedules = [document["schedule"]] if "schedule" in document else document.get("race", {}).get("schedules", [])
    for number, schedule in enumerate(schedules, 1):
        ident = f"{slide.ident}r{number}"
        kind = schedule.get("kind", "the threads take turns" if "race" in document else "schedule")
        title = f"{kind}: schedule {schedule['schedule']}" if "schedule" in schedule else "the schedule, step by step"
        svg = figures[ident] = timeline(schedule, ident, title)
        yield f"<figure class=race>{svg}<figcaption>{escape(title)}. Bars: locks held.</figcaption></figure>"
    if drawing is not None:
        title = f"Step {slide.step}: processes, page tables, folios"
        svg = figures[slide.ident] = drawing.svg(slide.ident, title, slide.shot.words, width)
        legend = "; ".join(text for sign, text in _LEGEND if re.search(sign, svg))
        yield f"<figure>{svg}<figcaption>{escape(legend)}</figcaption></figure>"


# Questions and tasks.


def _question(document: dict[str, Any], questions: str) -> str:
    """A question, or a task: a form, a question with its answer, or a question with a line to write on."""
    if "task" in document:
        goals = "".join(f"<li>{_text(goal)}</li>" for goal in document["goals"])
        solved = f"<p>One way: <code>{escape(document['solution'])}</code></p>" if questions == SHOW else ""
        told = f"<p><b>Task</b> {_text(document['task'])}</p><ul>{goals}</ul>"
        return f"<div class=q>{told}{_hints(document, questions)}{solved}</div>"
    asked = f"<p><b>Predict</b> {_text(document['question'])}</p><p>Next: <code>{escape(document['next'])}</code></p>"
    after = f" {_text(document['after'])}" if document["after"] else ""
    if questions == NONE:
        return f"<div class=q>{asked}<p class=a>Answer ({escape(document['allowed'])}):</p></div>"
    if questions == SHOW:
        return f"<div class=q>{asked}<p>Answer: <b>{escape(document['answer'])}</b>.{after}</p></div>"
    wrong = "".join(
        f'<p hidden data-w="{escape(value)}">{_text(text)}</p>' for value, text in document["wrong"].items()
    )
    choices = "".join(f"<option>{escape(word)}</option>" for word in ("", *document["choices"]))
    field = f"<select>{choices}</select>" if choices and document["choices"] else "<input autocomplete=off>"
    return (
        f'<form class=q data-v="{escape(document["answer"])}">{asked}<p><label>Answer ({escape(document["allowed"])}) '
        f"{field}</label> <button hidden>Check</button> <output></output></p>{wrong}{_hints(document, questions)}"
        f"<details><summary>Answer</summary><p><b>{escape(document['answer'])}</b>.{after}</p></details></form>"
    )


def _hints(document: dict[str, Any], questions: str) -> str:
    hints = document["hints"] if questions != NONE else ()
    return "".join(f"<details><summary>Hint</summary><p>{_text(hint)}</p></details>" for hint in hints)


def _text(text: str) -> str:
    """A text of the author's: escaped, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _until_question(shots: Sequence[Shot]) -> tuple[list[Shot], list[Shot]]:
    """What may be seen before the first question is answered, with it; and what may not."""
    end = next((at for at, shot in enumerate(shots, 1) if "question" in shot.document), len(shots))
    return list(shots[:end]), list(shots[end:])


def _blank(shot: Shot) -> str:
    """What an exam shows of a line whose outcome would be an answer."""
    document = shot.document
    if "question" in document or "task" in document:
        return _question(document, NONE)
    current = (document.get("state") or {}).get("current", "")
    told = "prose" in document or "expect" in document
    return "" if told else f"<p class=c><code>{_named(document, current)}</code></p>"


# The file.


def standalone(svg: str) -> str:
    """A figure as a file of its own: with the namespace, and the style for light and dark."""
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0]
    size = f'xmlns="http://www.w3.org/2000/svg" width="{2 * float(width):g}" height="{2 * float(height):g}" '
    style = "\n".join(line for line in _asset("page.css").splitlines() if line.startswith(_OF_FIGURES))
    base = "svg{color:var(--fg);background:var(--bg);font-family:ui-monospace,Menlo,Consolas,monospace}"
    made = svg.replace("<svg ", f"<svg {size}", 1)
    return made.replace("</desc>", f"</desc><style>{style}\n{base}</style>", 1) + "\n"


def _document(title: str, body: str, made_by: str) -> str:
    style, script = _asset("page.css"), _asset("page.js")
    # The icon of no bytes is there lest a server is asked for one.
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    policy += "; base-uri 'none'; form-action 'none'"
    parts = {"title": escape(title), "made_by": escape(made_by), "body": body, "style": style, "script": script}
    return _asset("page.html").format(policy=policy, **parts)


@cache
def _asset(name: str) -> str:
    """The frame, the style or the script, which lie beside this module."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
