"""The HTML renderer: tables that say what their cells are, and prose that is Markdown."""

from __future__ import annotations

from folioshell.views.blocks import Column, Drawing, Grid, Line, Span, Tone, line, preformatted
from folioshell.views.html_view import prose, render


def test_a_table() -> None:
    """The title is its caption, headers have a scope, keys are headers of rows, numbers are flush right."""
    columns = (Column("folio"), Column("order", True), Column("vmas", True))
    rows = ((Span("f1"), Span("2"), Span("1 → 2", Tone.CHANGED)),)
    made = render([Grid(columns, rows, "a < b", "`show folios`", keys=2)])

    assert "<caption>a &lt; b</caption>" in made
    assert "<th scope=col>folio<th scope=col class=n>order<th scope=col class=n>vmas" in made
    assert "<tr><th scope=row>f1<th scope=row class=n>2<td class=n><b>1 → 2</b>" in made
    assert "<p class=dim><code>show folios</code></p>" in made


def test_a_wide_table_scrolls() -> None:
    """The keyboard reaches it, and it has a name."""
    columns = tuple(Column(name) for name in "abcde")
    made = render([Grid(columns, (tuple(Span(name) for name in "12345"),), 'the "five"')])

    assert made.startswith('<div class=w role=group tabindex=0 aria-label="the &quot;five&quot;"><table>')


def test_lines() -> None:
    """Paragraphs have the tone of their beginning; what is laid out stays so; a drawing is drawn."""
    drawing = Drawing(lambda width: [line(f"{width} columns")], lambda: [line("words")])
    bad = Line((Span("FAIL ", Tone.BAD), Span("a&b")))

    assert render([bad]) == "<p class=bad><strong>FAIL </strong>a&amp;b</p>"
    assert render([preformatted("  a   b"), preformatted("c")]) == "<pre tabindex=0>  a   b\nc</pre>"
    assert render([drawing]) == "<p>100 columns</p>"


def test_prose() -> None:
    """Headings, paragraphs, lists, fences, code and emphasis; everything else is text."""
    made = prose(
        [
            "## Why",
            "Two lines",
            "of `a<b` and **so**, not 2*3*4.",
            "",
            "- one",
            "  more",
            "- two",
            "```",
            "x  <y",
            "```",
        ]
    )

    assert made.split("\n")[:2] == [
        "<h3>Why</h3>",
        "<p>Two lines of <code>a&lt;b</code> and <strong>so</strong>, not 2*3*4.</p>",
    ]
    assert "<ul><li>one more</li><li>two</li></ul>" in made
    assert "<pre tabindex=0>x  &lt;y</pre>" in made
    assert prose(["see [the mail](https://example.org), *really*"]) == "<p>see the mail, <em>really</em></p>"
