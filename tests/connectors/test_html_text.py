"""HTML mail as text: what is quoted is marked, what is hidden is left out, nothing takes long."""

from __future__ import annotations

import pytest

from connectors.html_text import CUT, html_to_text

TEXTS = {
    "paragraphs": ("<p>One</p><p>Two</p>", "One\n\nTwo"),
    "lines": ("One<br>Two<div>Three</div>", "One\nTwo\nThree"),
    "blank space is one blank": ("<p>One \n\t two&nbsp;three</p>", "One two three"),
    "entities": ("<p>5 &lt; 6 &amp; &euro;7 &#8364;</p>", "5 < 6 & €7 €"),
    "inline marks": ("<p>A <b>bold</b> <i>word</i>.</p>", "A bold word."),
    "a list": ("<ul><li>One</li><li>Two</li></ul>", "- One\n- Two"),
    "preformatted": ("<pre>a\n  b</pre>", "a\n  b"),
    "script and style": ("<style>p{}</style><script>x()</script><p>Seen</p>", "Seen"),
    "a head": ("<html><head><title>No</title></head><body>Yes</body></html>", "Yes"),
    "a comment": ("<!-- no --><p>Yes</p>", "Yes"),
    "what is hidden": ('<div style="display: none">preheader</div><p>Yes</p>', "Yes"),
    "hidden for Outlook": ('<div style="mso-hide:all">preheader</div><p>Yes</p>', "Yes"),
    "a blockquote": ("<p>New</p><blockquote>Old</blockquote>", "New\n\n> Old"),
    "a blockquote within": ("<blockquote>Old<blockquote>Older</blockquote></blockquote>", "> Old\n\n> > Older"),
    "broken tags": ("<p>One<p>Two</div></p", "One\n\nTwo"),
    "no tags": ("just text", "just text"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("html", "text"), TEXTS.values(), ids=TEXTS)
def test_html_becomes_text(html: str, text: str) -> None:
    assert html_to_text(html)[0] == text


@pytest.mark.parametrize(
    "opening",
    [
        '<div id="divRplyFwdMsg">',
        '<div id="appendonsend">',
        '<div id="mail-editor-reference-message-container">',
        '<div class="ms-outlook-mobile-reference-message">',
        '<div class="yahoo_quoted">',
        '<div id="OLK_SRC_BODY_SECTION">',
    ],
)
def test_where_a_mail_program_begins_to_quote_there_is_a_cut(opening: str) -> None:
    text, _ = html_to_text(f"<div>New</div>{opening}Old</div>")
    new, cut, old = text.partition(CUT)
    assert (new.strip(), cut, old.strip()) == ("New", CUT, "Old")


INTRODUCED = '<div class="{0}">Il 2 nov 2026 Rae diceva</div><br><blockquote>Old</blockquote>'


@pytest.mark.parametrize("kind", ["gmail_attr", "moz-cite-prefix"])
def test_who_wrote_the_quotation_is_quoted_too_in_any_language(kind: str) -> None:
    text, _ = html_to_text(f"<p>New</p>{INTRODUCED.format(kind)}<p>Below</p>")
    assert [line for line in text.split("\n") if line and not line.startswith(">")] == ["New", "Below"]


def test_the_head_of_a_forwarded_mail_stays_as_it_is() -> None:
    text, _ = html_to_text(
        '<p>See below</p><div class="gmail_attr">--- Forwarded message ---</div><br><div>We accept</div>'
    )
    assert "> " not in text


def test_lines_that_are_divs_of_their_own_are_not_spaced() -> None:
    assert html_to_text("<div>One</div><div>Two</div><div><br></div><div>Three</div>")[0] == "One\nTwo\n\nThree"


def test_links_are_listed_once_in_order_and_only_those_of_the_web() -> None:
    _, links = html_to_text(
        '<a href="https://b.example/2">b</a><a href="http://a.example">a</a><a href="https://b.example/2">again</a>'
        '<a href="javascript:alert(1)">x</a><a href="mailto:a@b.example">m</a><a href="/relative">r</a><a>none</a>'
    )
    assert links == ("https://b.example/2", "http://a.example")


def test_fifty_links_are_enough() -> None:
    _, links = html_to_text("".join(f'<a href="https://x.example/{n}">.</a>' for n in range(200)))
    assert len(links) == 50


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 50_000 + "deep",
        "<blockquote>" * 20_000 + "deep",
        "<p>x</p>" * 100_000,
        "<table>" * 5_000 + "x",
        "<" * 500_000,
        "&" * 500_000,
        '<a href="' + "x" * 900_000,
        "\x00" * 100_000,
    ],
    ids=["divs", "quotes", "paragraphs", "tables", "brackets", "ampersands", "attribute", "nul"],
)
def test_a_bomb_is_bounded(html: str) -> None:
    assert len(html_to_text(html)[0]) <= 1_000_000
