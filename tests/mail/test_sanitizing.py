"""What a caller writes as HTML, or a template shows by |safe, holds nothing that runs; and text keeps its direction."""

import asyncio
import time
from pathlib import Path

import pytest

from base.settings import Settings
from families.email.bidirectional import isolated
from families.email.composer import Composer, Draft
from families.email.failures import MailInvalidError
from families.email.rendering import TemplateFaultError
from families.email.sanitizing import CHEAP, Sanitizer, sanitize
from families.email.templates import Templates

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror=alert(1)>'>",
    "<iframe src=https://evil.example></iframe>",
    "<form action=https://evil.example><input name=password></form>",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<!--[if mso]><script>alert(1)</script><![endif]-->",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<object data=x></object><embed src=x><base href=https://evil.example>",
]
FORBIDDEN = (
    *("<script", "onerror", "<iframe", "<form", "<input", "javascript:"),
    *("data:text", "<meta", "<object", "<embed", "<base"),
)


@pytest.mark.parametrize("html", HOSTILE)
def test_nothing_that_runs_or_loads_is_left(html: str) -> None:
    cleaned = sanitize(f"<p>before</p>{html}<p>after</p>").lower()
    # What stands inside an attribute's text is text.
    bare = cleaned.replace("&lt;", "<shown").replace("title=", "")
    assert not [word for word in FORBIDDEN if word in bare], cleaned
    assert "before" in cleaned


def test_what_mails_are_made_of_stays() -> None:
    html = (
        '<table width="600" cellpadding="0" bgcolor="#fff"><tr><td align="center" style="color: red">'
        '<a href="https://example.com/a?b=1&amp;c=2">link</a> <a href="mailto:a@example.com">mail</a> '
        '<img src="cid:logo" alt="Logo" width="10"> <img src="data:image/png;base64,AAAA" alt=""></td></tr></table>'
        "<style>@media (max-width: 600px) { td { color: blue } }</style>"
    )
    cleaned = sanitize(html)
    kept = ('width="600"', 'style="color: red"', 'href="https://example.com/a?b=1&amp;c=2"', "mailto:a@example.com")
    assert not [part for part in (*kept, 'src="cid:logo"', "data:image/png", "@media") if part not in cleaned]


def test_sanitizing_twice_changes_nothing() -> None:
    for html in HOSTILE:
        once = sanitize(html)
        assert sanitize(once) == once


async def test_html_that_nests_without_end_fails_its_mail_and_holds_up_nobody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("families.email.sanitizing.SANITIZE_SECONDS", 1.0)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    clock = asyncio.create_task(tick())
    composer = Composer(settings)
    with pytest.raises(MailInvalidError, match="nests its tags too deep"):
        await composer.compose(Draft(["a@example.com"], subject="s", html="<div>" * 90_000), "j")
    clock.cancel()
    assert ticks > 20


async def test_what_is_sanitized_apart_is_what_is_sanitized_here() -> None:
    html = "<p>a &amp; b<script>x</script></p>" * CHEAP
    assert await Sanitizer().sanitized(html) == sanitize(html)


def test_what_is_sanitized_here_is_quick_however_it_nests() -> None:
    few, many = "<div>" * (CHEAP // 4), "<div>" * CHEAP

    def seconds(html: str) -> float:
        began = time.perf_counter()
        sanitize(html)
        return time.perf_counter() - began

    # Quadratic at most: a ratio, as the machine's speed is nobody's promise.
    assert min(seconds(many) for _ in range(3)) < 40 * min(seconds(few) for _ in range(3))


@pytest.fixture
def custom(settings: Settings, tmp_path: Path) -> Templates:
    return Templates(settings.model_copy(update={"email_templates_dir": tmp_path}))


async def test_a_value_shown_by_safe_is_html_without_what_runs(custom: Templates, tmp_path: Path) -> None:
    (tmp_path / "note.html.j2").write_text("<title>t</title><div>{{ body|safe }}</div>")
    (tmp_path / "note.txt.j2").write_text("{{ body|safe }}")
    rendered = await custom.render("note", {"body": "<b>bold</b><script>alert(1)</script><img src=x onerror=alert(1)>"})
    assert "<b>bold</b>" in rendered.html
    assert "<script" not in rendered.html
    assert "onerror" not in rendered.html
    assert "<script>" in rendered.text


@pytest.mark.parametrize("switch", ["false", "true", "flag"])
async def test_a_template_cannot_switch_escaping_off(custom: Templates, tmp_path: Path, switch: str) -> None:
    (tmp_path / "note.html.j2").write_text(
        f"<title>t</title>\n{{% autoescape {switch} %}}{{{{ body }}}}{{% endautoescape %}}"
    )
    with pytest.raises(TemplateFaultError, match=r"note.html.j2, line 2: .*autoescape"):
        await custom.render("note", {"body": "<script>"})


async def test_a_template_of_the_node_original_is_told_where_its_words_are(custom: Templates, tmp_path: Path) -> None:
    (tmp_path / "old.html.j2").write_text("<h1>Hello {{name}}!</h1>\n{{#if showButton}}\n<a>x</a>\n{{/if}}")
    with pytest.raises(TemplateFaultError, match=r"line 2: .*Handlebars.*From Handlebars"):
        await custom.render("old", {"name": "Anna"})


def test_a_name_from_right_to_left_is_isolated_and_cannot_turn_what_follows() -> None:
    assert isolated("דנה לוי") == "\u2068דנה לוי\u2069"
    assert isolated("evil\u202egpj.exe") == "evilgpj.exe"
    assert isolated("\u2067מ\u2069\u202e") == "\u2068מ\u2069"
    assert isolated("https://example.com/\u05d0") == "https://example.com/\u05d0"
    for plain in ("Anna", "สมชาย", "Łukasz", 7, None):
        assert isolated(plain) == plain


async def test_the_direction_of_a_value_holds_in_subject_html_and_text(settings: Settings) -> None:
    title = "\u05d8\u05d5\u05e4\u05e1"
    rendered = await Templates(settings).render(
        "form-submission", {"formTitle": f"{title}\u202e", "submittedBy": "Eve"}
    )
    for part in (rendered.subject, rendered.html, rendered.text):
        assert f"\u2068{title}\u2069" in part
        assert "\u202e" not in part


async def test_a_mail_without_a_subject_fails(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "bare.html.j2").write_text("<p>no title</p>")
    composer = Composer(settings.model_copy(update={"email_templates_dir": tmp_path}))
    for draft in (Draft(["a@example.com"], subject="  ", text="x"), Draft(["a@example.com"], template="bare")):
        with pytest.raises(MailInvalidError, match="no subject: set `subject`"):
            await composer.compose(draft, "j")
