"""The templates' filters, and which links a mail may hold."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from families.email.filters import template_filters
from families.email.links import neutralised, safe_url
from families.email.plaintext import to_text

FILTERS = template_filters("en", "UTC")
format_date = FILTERS["formatDate"]
MOMENT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        MOMENT,
        MOMENT.replace(tzinfo=None),
        MOMENT.astimezone(timezone(timedelta(hours=7))),
        "2026-11-24T09:30:00Z",
        "2026-11-24T16:30:00+07:00",
        "2026-11-24 09:30",
        1795512600000,
        1795512600000.0,
        "1795512600000",
    ],
)
def test_every_form_of_a_moment_is_read(value: Any) -> None:
    assert format_date(value, "dd.MM.yyyy HH:mm") == "24.11.2026 09:30"


def test_format_locale_and_zone_are_honoured() -> None:
    assert format_date(MOMENT, "dd.MM.yyyy HH:mm", zone="Asia/Bangkok") == "24.11.2026 16:30"
    assert format_date(MOMENT, "d MMMM yyyy, HH:mm z", zone="America/New_York") == "24 November 2026, 04:30 EST"
    assert format_date(MOMENT, "EEEE", locale="de") == "Dienstag"
    assert format_date(MOMENT, "d MMMM", locale="th-TH") == "24 พฤศจิกายน"
    german = template_filters("de-DE", "Europe/Berlin")["formatDate"]
    assert german(MOMENT) == "24.11.2026, 10:30:00"
    assert german(MOMENT, "short") == "24.11.26, 10:30"
    assert german(MOMENT, "full").startswith("Dienstag, 24. November 2026")
    assert format_date(MOMENT, "long") == "November 24, 2026, 9:30:00\u202fAM UTC"


def test_a_day_alone_stays_that_day_in_every_zone() -> None:
    for day in ("2026-11-24", date(2026, 11, 24)):
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
            assert format_date(day, "yyyy-MM-dd HH:mm", zone=zone) == "2026-11-24 00:00"


@pytest.mark.parametrize("value", ["soon", "", "2026-13-45", "99999999999999999", True, 10**30, float("nan")])
def test_what_is_no_date_is_shown_as_it_is(value: Any) -> None:
    assert format_date(value) == str(value)


def test_nothing_is_shown_as_nothing() -> None:
    assert format_date(None) == ""


def test_numbers_and_sizes_are_for_people() -> None:
    assert FILTERS["formatNumber"](1234567.5) == "1,234,567.5"
    assert FILTERS["formatNumber"](1234567, locale="de") == "1.234.567"
    assert FILTERS["formatNumber"]("many") == "many"
    sizes = {0: "0 B", 1023: "1,023 B", 2415919: "2.3 MB", "2415919": "2.3 MB", "2.4 MB": "2.4 MB", 10**13: "9.1 TB"}
    assert {size: FILTERS["formatSize"](size) for size in sizes} == sizes


def test_upper_and_lower_case() -> None:
    assert FILTERS["uppercase"]("grüße") == "GRÜSSE"
    assert FILTERS["lowercase"]("ÄBC") == "äbc"


@pytest.mark.parametrize("url", ["https://e.com/a?b=1&c", "HTTP://e.com", "mailto:a@e.com", "  https://e.com "])
def test_links_of_the_three_kinds_stay(url: str) -> None:
    assert safe_url(url) == url.strip()


@pytest.mark.parametrize(
    "url",
    ["javascript:x", "JaVaScRiPt:x", "java\nscript:x", "\x01javascript:x", "data:text/html,x", "/path", "", None, "x"],
)
def test_other_links_lead_nowhere(url: Any) -> None:
    assert safe_url(url) == "#"


@pytest.mark.parametrize(
    "document",
    [
        '<a href="https://e.com/?a=1&amp;b=2">x</a><a href="mailto:a@e.com">y</a><a href="#t">z</a><a href="/r">r</a>',
        '<img src="cid:logo"><img src="data:image/png;base64,AAAA"><img src="https://e.com/x.png">',
        "<p>3 < 4: see <b>note: this</b></p><style>a{background:url(https://e.com)}</style>",
        "<title>javascript: the good parts</title><!-- href=javascript:x -->",
    ],
)
def test_harmless_documents_stay_as_they_are(document: str) -> None:
    assert neutralised(document) == document


@pytest.mark.parametrize(
    "document",
    [
        '<a href="javascript:alert(1)">x</a>',
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=javascript:alert(1)>x</a>",
        "<A HREF = JavaScript:alert(1)>x</a>",
        '<a href="java&#115;cript:alert(1)">x</a>',
        '<a href="javascript&colon;alert(1)">x</a>',
        '<a href=" \n java\tscript:alert(1)">x</a>',
        '<a href="&#1;javascript:alert(1)">x</a>',
        '<a title="a>b" href="javascript:alert(1)">x</a>',
        '<a title=\'"\' href="javascript:alert(1)">x</a>',
        '<!-- <a title=" --><a href="javascript:alert(1)">x</a>',
        '<!--><a href="javascript:alert(1)">x</a>',
        '<style><a title="</style><a href="javascript:alert(1)">x</a>',
        "<a/href=javascript:alert(1)>x</a>",
        '<a href="javascript:alert(1)',
        '<a href="data:text/html;base64,PHNjcmlwdD4=">x</a>',
        '<a href="data:image/png;base64,AAAA">x</a>',
        '<a href="cid:logo">x</a>',
        '<a href="vbscript:x">x</a>',
        '<a href="file:///etc/passwd">x</a>',
        '<img src="data:image/svg+xml,x">',
        '<img src="javascript:alert(1)">',
        '<form action="javascript:alert(1)"><button formaction="javascript:alert(1)">',
        '<table background="javascript:alert(1)">',
        '<svg><a xlink:href="javascript:alert(1)">x</a></svg>',
        '<object data="javascript:alert(1)">',
    ],
)
def test_no_other_link_survives_however_it_is_written(document: str) -> None:
    clean = neutralised(document)
    assert '"#"' in clean
    for scheme in ("alert(1)", "data:", "cid:", "vbscript", "file:"):
        assert scheme not in clean


@pytest.mark.parametrize(
    "document",
    [
        *("<a" * 200_000, '<a href="' * 50_000, "<a " + " " * 400_000, "<!--" * 100_000, "<a " + "x=y " * 100_000),
        *("<a x " + " " * 200_000 + "=" + " " * 200_000, '<a href="' + "&" * 400_000 + '">', "<title" * 80_000),
        *("<style>" * 60_000, "<a href='x" * 40_000, "<a " + "href=x:y " * 50_000),
    ],
    ids=range(11),
)
def test_no_document_takes_longer_than_its_length(document: str) -> None:
    began = time.process_time()
    neutralised(document)
    assert time.process_time() - began < 2


def test_text_shows_what_the_page_says_and_where_its_links_lead() -> None:
    page = """<html><head><title>T</title><style>p{color:red}</style></head><body>
      <div style="display: none">hidden</div><h1>Hello</h1><p>One<br>two &amp; three</p>
      <ul><li>a</li><li>b</li></ul><table><tr><td>k</td><td>v</td></tr></table>
      <a href="https://e.com/x">Read</a> <a href="https://e.com">https://e.com</a> <a href="mailto:a@e.com">a@e.com</a>
      </body></html>"""
    text = to_text(page)
    for line in ("Hello\n", "One\n", "two & three\n", "* a\n", "k  v\n"):
        assert line in text
    assert "[Read](https://e.com/x) https://e.com a@e.com" in text
    for absent in ("hidden", "color", "\n\n\n"):
        assert absent not in text


@pytest.mark.parametrize("page", ["<div>" * 20_000 + "deep", "<b>" * 50_000 + "deep", "deep <", "<!-- deep --> deep"])
def test_text_of_a_page_that_is_no_tree_is_its_words(page: str) -> None:
    assert to_text(page).strip().startswith("deep")


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("d MMMM yyyy", "24 พฤศจิกายน 2569"),
        ("dd/MM/yy G", "24/11/69 พ.ศ."),
        ("EEEE", "วันอังคาร"),
        ("short", "24/11/69"),
        ("full", "2569"),
    ],
)
def test_thai_readers_count_years_from_the_buddha(pattern: str, shown: str) -> None:
    for locale in ("th", "th-TH"):
        text = template_filters(locale, "Asia/Bangkok")["formatDate"]("2026-11-24T09:30:00Z", pattern)
        assert shown in text
        assert "2026" not in text


def test_a_leap_day_is_one_in_the_thai_calendar_too() -> None:
    assert template_filters("th", "UTC")["formatDate"]("2028-02-29", "d M yyyy") == "29 2 2571"
