"""The mail templates: the project's own as they look, custom ones as the README shows them, and hostile ones."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from base.settings import Settings
from families.email import templates as places
from families.email.rendering import TemplateFaultError, render
from families.email.template_files import OWN_FOLDER, template_exists, template_names
from families.email.templates import OWN, Templates

GOLDEN = Path(__file__).parent / "golden"
SAMPLES: dict[str, dict[str, Any]] = {
    "welcome": {
        "name": "Žofie <Müller>",
        "username": "zofie",
        "email": "zofie@example.com",
        "department": "Quality & Assurance",
        "role": "customer_service",
    },
    "form-submission": {
        "formTitle": "Site inspection <A>",
        "submissionId": "7f3c2a9e",
        "submittedBy": "Anna Schmidt",
        "submittedAt": "2026-11-24T09:30:00Z",
        "formVersion": "1.2",
        "hasAttachments": True,
    },
    "password-reset": {"name": "Anna", "resetToken": "a.b/c+d=", "expiresAt": 1795516200000},
    "export-ready": {
        "name": "Anna",
        "exportType": "Form submissions",
        "fileFormat": "csv",
        "recordsCount": 12480,
        "fileSize": "2415919",
        "generatedAt": "2026-11-24T09:30:00Z",
        "downloadUrl": "https://forms.example.com/x.csv?a=1&b=2",
    },
}
SUBJECTS = {
    "welcome": "Welcome to Q-Collector",
    "form-submission": "New Form Submission: Site inspection <A>",
    "password-reset": "Password Reset Request",
    "export-ready": "Data Export Ready",
}

Put = Callable[..., Templates]


@pytest.fixture
def own(settings: Settings) -> Templates:
    update = {"app_url": "https://forms.example.com/", "email_timezone": "Europe/Berlin"}
    return Templates(settings.model_copy(update=update))


@pytest.fixture
def put(settings: Settings, tmp_path: Path) -> Put:
    """Writes files into a template folder of the user's, and answers the templates of a worker that uses it."""
    folder = tmp_path / "mails"
    folder.mkdir()
    custom = Templates(settings.model_copy(update={"email_templates_dir": folder, "app_url": "https://a.example"}))

    def write(**files: str) -> Templates:
        for name, content in files.items():
            (folder / f"{name.replace('__', '.')}.j2").write_text(content, "utf-8")
        return custom

    return write


@pytest.mark.parametrize("name", sorted(OWN))
async def test_the_projects_templates_look_as_they_were_approved(own: Templates, name: str) -> None:
    """Run with GOLDEN=1 to write them anew, and look at them in a browser before you commit."""
    rendered = await own.render(name, SAMPLES[name])
    assert rendered.subject == SUBJECTS[name]
    for suffix, content in (("html", rendered.html), ("txt", rendered.text)):
        file = GOLDEN / f"{name}.{suffix}"
        if os.environ.get("GOLDEN"):
            file.write_text(content, "utf-8")
        assert content == file.read_text("utf-8")


@pytest.mark.parametrize("name", sorted(OWN))
async def test_they_do_without_any_variable(own: Templates, name: str) -> None:
    rendered = await own.render(name, {})
    assert rendered.subject.startswith(SUBJECTS[name].partition(":")[0])
    for content in (rendered.html, rendered.text):
        assert "Undefined" not in content
        assert "None<" not in content
        assert "{{" not in content


@pytest.mark.parametrize("name", sorted(OWN))
async def test_they_show_hostile_values_as_mere_text(own: Templates, name: str) -> None:
    hostile = "\"'><script>alert(1)</script>{{ 7 * 7 }}{% raw %}"
    values = dict.fromkeys(SAMPLES[name], hostile)
    rendered = await own.render(name, values)
    assert "<script" not in rendered.html
    assert "49" not in rendered.html
    assert not re.search(r'href="(?!https://|#)', rendered.html)


async def test_a_shipped_link_that_is_not_http_leads_nowhere(own: Templates) -> None:
    rendered = await own.render("export-ready", {**SAMPLES["export-ready"], "downloadUrl": "javascript:alert(1)"})
    assert "javascript:" not in rendered.html
    assert re.search(r'class="button-link" href="#"', rendered.html)


async def test_styles_are_inlined_and_rules_for_dark_screens_stay(own: Templates) -> None:
    html = (await own.render("welcome", SAMPLES["welcome"])).html
    assert re.search(r'<h1 style="[^"]*font: bold 26px', html)
    assert "@media (prefers-color-scheme: dark)" in html
    assert "#f97316" in html
    assert 'lang="en"' in html
    assert not re.search(r"<table(?![^>]*role=\"presentation\")", html)


def readme_examples() -> tuple[str, ...]:
    return tuple(re.findall(r"```jinja\n(.*?)```", (OWN_FOLDER / "README.md").read_text("utf-8"), re.DOTALL))


@pytest.mark.parametrize("example", readme_examples(), ids=["bare", "framed"])
async def test_the_readmes_custom_template_works(put: Put, example: str) -> None:
    templates = put(announcement__html=example)
    values = {
        "subject": "News",
        "name": "Anna & Bert",
        "message": "Hello",
        "showButton": True,
        "buttonUrl": "https://example.com/x?a=1&b=2",
        "buttonText": "Read on",
        "generatedAt": "2026-11-24T09:30:00Z",
    }
    rendered = await templates.render("announcement", values)
    assert rendered.subject == "News"
    assert "Hello Anna &amp; Bert!" in rendered.html
    assert 'href="https://example.com/x?a=1&amp;b=2"' in rendered.html
    assert "Nov 24, 2026, 9:30:00" in rendered.html
    assert "Hello Anna & Bert!" in rendered.text
    assert re.search(r"\[\s*Read on\s*\]\(https://example.com/x\?a=1&b=2\)", rendered.text)
    without = await templates.render("announcement", {**values, "showButton": False, "buttonUrl": "javascript:x"})
    assert "Read on" not in without.html
    hostile = await templates.render("announcement", {**values, "buttonUrl": "java\nscript:alert(1)"})
    assert "script:" not in hostile.html


async def test_a_text_file_beside_it_is_the_text_part_and_is_not_escaped(put: Put) -> None:
    templates = put(note__html="<title>{{ a }}</title><p>{{ a }}</p>", note__txt="{{ a }}")
    rendered = await templates.render("note", {"a": "R&D\r\nBcc: x"})
    assert rendered.text == "R&D\r\nBcc: x"
    assert rendered.subject == "R&D Bcc: x"
    alone = await put(only__txt="Hello {{ a }}").render("only", {"a": "<b>"})
    assert (alone.subject, alone.html, alone.text) == ("", "", "Hello <b>")


async def test_the_users_folder_wins_and_the_projects_fills_it_up(put: Put) -> None:
    templates = put(welcome__html="<title>Hi</title>mine")
    assert (await templates.render("welcome", {})).subject == "Hi"
    assert (await templates.render("password-reset", {"resetToken": "t"})).subject == "Password Reset Request"
    put(_layout__html="<title>{% block title %}{% endblock %}</title>FRAME {% block content %}{% endblock %}")
    assert "FRAME" in (await templates.render("export-ready", {})).html


async def test_a_changed_file_holds_with_the_next_mail(put: Put) -> None:
    templates = put(note__html="<title>one</title>")
    assert (await templates.render("note", {})).subject == "one"
    put(note__html="<title>two</title>")
    os.utime(next(iter(templates._around.folder.glob("note*"))), (1, 1))
    assert (await templates.render("note", {})).subject == "two"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("<p>\n{% if x %}", "note.html.j2, line 2"),
        ("{{ x|nofilter }}", "No filter named 'nofilter'"),
        ('{% include "missing.html.j2" %}', "needs missing.html.j2, which is not there"),
        ('{% include "../../../etc/passwd" %}', "needs ../../../etc/passwd, which is not there"),
        ("{{ 1 / 0 }}", "division by zero"),
        ('{{ 0|formatDate(zone="Mars/Olympus") }}', "'Mars/Olympus' is not a time zone"),
        ('{{ 0|formatDate(locale="xx-YY") }}', "'xx-YY' is not a locale"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ x.__init__.__globals__ }}", "unsafe"),
        ("{{ self.__init__ }}", "unsafe"),
        ("{% set y = [1] %}{{ y.append(2) }}", "unsafe"),
        ("{{ lipsum.__globals__['os'].popen('id').read() }}", "unsafe"),
        ("{{ ''|attr('__class__') }}", "unsafe"),
        ("{{ range(10 ** 9) }}", "Range too big"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
        ("{{ 'x' * 3000000 }}", "longer than 2,000,000 characters"),
    ],
)
def test_a_bad_template_says_what_is_wrong_with_which_file(put: Put, content: str, fault: str) -> None:
    around = put(note__html=content)._around
    with pytest.raises(TemplateFaultError, match=fault):
        render(around, "note", {"x": "v"})


async def test_a_template_that_is_not_there_says_where_to_put_it(put: Put) -> None:
    with pytest.raises(TemplateFaultError, match=r"there is no template 'nope': put nope\.html\.j2 into "):
        await put().render("nope", {})


@pytest.mark.parametrize(
    "bomb",
    [
        "{{ ('x' * 10 ** 9)|length }}",
        "{{ ['x' * 1000000] * 1000000 }}",
        "{{ ('x' * 100000)|replace('x', 'y' * 100000) }}",
        "{{ 'x'|center(2000000000) }}",
        "{{ '%2000000000d'|format(1) }}",
        "<div>" + "{% for i in range(30000) %}<div>{% endfor %}",
    ],
)
async def test_a_bomb_fails_its_mail_and_leaves_the_worker_as_it_was(put: Put, bomb: str) -> None:
    templates = put(note__html=bomb, good__html="<title>good</title>")
    with pytest.raises(TemplateFaultError):
        await templates.render("note", {})
    assert (await templates.render("good", {})).subject == "good"


async def test_a_template_that_never_ends_is_ended(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "RENDER_SECONDS", 3.0)
    endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
    templates = put(note__html=endless, good__html="<title>good</title>")
    began = time.monotonic()
    with pytest.raises(TemplateFaultError, match="was not filled in within 3 s"):
        await templates.render("note", {})
    assert time.monotonic() - began < 10
    assert (await templates.render("good", {})).subject == "good"


def test_templates_are_the_names_of_their_files(tmp_path: Path) -> None:
    for name in (
        "welcome.html.j2",
        "welcome.txt.j2",
        "plain.txt.j2",
        "_layout.html.j2",
        "Odd Name.html.j2",
        "notes.md",
    ):
        (tmp_path / name).touch()

    assert template_names(tmp_path) == ("plain", "welcome")
    assert template_names(tmp_path / "missing") == ()
    assert template_exists("plain", tmp_path)
    for name in ("_layout", "other", "../" + tmp_path.name + "/plain", "", "notes.md"):
        assert not template_exists(name, tmp_path)
    os.mkdir(tmp_path / "folder.html.j2")  # noqa: PTH102
    assert not template_exists("folder", tmp_path)
