"""The board's pages and the description of the API, as Envoy serves them."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.front import Front, running_envoy

PAGE = '<!doctype html><title>Board</title><script type="module" src="/assets/index-1a2b.js"></script>'
SCRIPT = "console.log('board')\n" * 20_000
"""Far beyond what Envoy answers by itself unless it is told."""
ICON = b"\x89PNG\r\n\x1a\n\x00\xff"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build leaves."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(PAGE)
    (folder / "icon.png").write_bytes(ICON)
    (folder / ".built-from").write_text("no page")
    (folder / "assets" / "index-1a2b.js").write_text(SCRIPT)
    (folder / "assets" / "index-3c4d.css").write_text("body { color: black }")
    return folder


@pytest.fixture(scope="module")
def board(service: int, home: Path, built: Path) -> Iterator[Front]:
    with running_envoy(home / "board", service, BOARD_ENABLED="true", BOARD_DIR=str(built)) as started:
        yield started


def test_the_root_is_the_page_to_anybody(board: Front) -> None:
    for path in ("/", "/?from=a-mail"):
        page = board.call("GET", path, authorization=None)
        assert (page.status, page.text) == (200, PAGE)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["cache-control"] == "no-cache"


def test_the_page_may_do_nothing_that_does_not_come_from_here(board: Front) -> None:
    headers = board.call("GET", "/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


def test_files_whose_name_tells_their_content_are_kept_for_good(board: Front) -> None:
    script = board.call("GET", "/assets/index-1a2b.js")
    assert (script.status, script.text) == (200, SCRIPT)
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert board.call("GET", "/assets/index-3c4d.css").headers["content-type"] == "text/css; charset=utf-8"


def test_files_are_compressed_for_those_who_take_it(board: Front) -> None:
    connection = board.send("GET", "/assets/index-1a2b.js", accept_encoding="br, gzip, deflate")
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["vary"] == "accept-encoding"
    assert len(body) < len(SCRIPT) / 10
    assert gzip.decompress(body).decode() == SCRIPT
    assert board.call("GET", "/assets/index-1a2b.js").headers["vary"] == "accept-encoding"


def test_bytes_stay_as_they_are(board: Front) -> None:
    connection = board.send("GET", "/icon.png", accept_encoding="gzip")
    response = connection.getresponse()
    assert (response.read(), response.headers["content-type"]) == (ICON, "image/png")
    connection.close()


def test_only_the_headers_are_sent_where_only_they_are_asked_for(board: Front) -> None:
    head = board.call("HEAD", "/")
    assert (head.status, head.text, head.headers["content-type"]) == (200, "", "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/assets/index-0000.js"),
        ("GET", "/assets/../.built-from"),
        ("GET", "/.built-from"),
        ("GET", "/index.htm"),
        ("GET", "/api/v1"),
        ("POST", "/"),
        ("DELETE", "/icon.png"),
    ],
)
def test_whatever_else_is_asked_for_is_still_404_in_json(board: Front, method: str, path: str) -> None:
    answer = board.call(method, path)
    assert (answer.status, answer.json["code"]) == (404, 5)


def test_calls_and_their_refusals_are_as_without_a_board(board: Front) -> None:
    stats = board.call("GET", "stats")
    assert stats.status == 200
    assert stats.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    refused = board.call("GET", "stats", authorization=None)
    assert (refused.status, refused.reason) == (401, "TOKEN_MISSING")


def test_the_api_describes_itself_to_anybody(board: Front) -> None:
    answer = board.call("GET", "/api/openapi.json", authorization=None)
    assert answer.status == 200
    assert "/api/v1/queue/jobs" in json.loads(answer.text)["paths"]


def test_there_is_no_board_where_it_is_switched_off_or_not_built(front: Front, home: Path, built: Path) -> None:
    off = {"BOARD_ENABLED": "false", "BOARD_DIR": str(built)}
    for number, told in enumerate((off, {"BOARD_ENABLED": "true", "BOARD_DIR": str(home / "nothing")})):
        with running_envoy(home / f"boardless-{number}", front.grpc, **told) as boardless:
            assert boardless.call("GET", "/").json["code"] == 5
            assert boardless.call("GET", "stats").status == 200
            assert boardless.call("GET", "/api/openapi.json").status == 200
