"""The server's answers, and whom it refuses."""

import json
import struct

import pytest

import framekit.manifest
from framekit.manifest.decisions import by_people
from framekit.review.session import Session

pytest.importorskip("starlette", reason="framekit[review] is not installed")
from starlette.testclient import TestClient

from framekit.review.app import make_app
from framekit.review.safety import LARGEST_BODY, POLICY

HERE = "http://127.0.0.1:8123"
SECRET = "a-secret"


@pytest.fixture
def session(dataset):
    return Session(framekit.manifest.open(dataset), by="ada")


@pytest.fixture
def client(session):
    app = make_app(session, secret=SECRET, port=8123)
    return TestClient(app, base_url=HERE)


def post(client, name, body=None, **headers):
    headers = {"Origin": HERE, "Content-Type": "application/json"} | headers
    return client.post(f"/{SECRET}/api/{name}", content=json.dumps(body or {}), headers=headers)


def get(client, name, **headers):
    return client.get(f"/{SECRET}/{name}", headers=headers)


def test_the_page_and_its_files_are_there_with_a_policy(client):
    for name, kind in {
        "": "text/html",
        "static/review.css": "text/css",
        "static/review.js": "text/javascript",
    }.items():
        answer = get(client, name)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers


def test_a_view_is_rows_as_numbers(client, session):
    answer = get(client, "api/view?state=out&reason=near-duplicate&sort=group")
    rows = struct.unpack(f"<{len(answer.content) // 4}I", answer.content)
    assert answer.headers["x-version"] == "1"
    assert len(rows) == session.summary()["reasons"]["near-duplicate"]


@pytest.mark.parametrize(
    "query",
    [
        "sort=beauty",
        "source=9",
        "source=-1",
        "from=now",
        "min=nan",
        "measure=x",
        "group=1e9",
        "colour=red",
        "q=" + "x" * 1001,
    ],
)
def test_a_view_that_makes_no_sense_is_refused_in_a_line(client, query):
    answer = get(client, f"api/view?{query}")
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


def test_frames_thumbnails_and_crops(client, session):
    assert [frame["row"] for frame in get(client, "api/rows?rows=3,1").json()] == [3, 1]
    thumbnail = get(client, "thumb/3")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert get(client, "thumb/3", **{"If-None-Match": thumbnail.headers["etag"]}).status_code == 304
    row = next(row for row in range(36) if session.told([row])[0]["pairs"])
    assert get(client, f"pair/{row}/0/image").headers["content-type"] == "image/png"
    assert get(client, f"pair/{row}/0/smoothed").content.startswith(b"\x89PNG")
    for name in (
        "thumb/99",
        "thumb/x",
        "thumb/-1",
        "api/rows?rows=99",
        f"pair/{row}/0/other",
    ):
        assert get(client, name).status_code in (400, 404), name
    assert get(client, f"pair/{row}/7/image").status_code == 204
    assert get(client, "api/rows?rows=" + ",".join(["1"] * 501)).status_code == 400


def test_words_are_saved_and_undone(client, dataset):
    answer = post(
        client, "decide", {"rows": [1, 2], "keep": False, "reason": "logo", "expect": 2, "tab": "x"}
    )
    assert answer.json()["items"] == 2
    assert [row["keep"] for row in by_people(dataset)] == [False, False]
    assert get(client, "api/changes?since=1&wait=0").json() == {"version": 2, "rows": [1, 2]}
    assert get(client, "api/changes?since=2&wait=0").json() == {"version": 2, "rows": []}
    view = {"view": {"state": "out", "reason": ["logo"]}, "keep": None, "reason": ""}
    assert post(client, "decide", view | {"expect": 3}).status_code == 409
    assert post(client, "decide", view | {"expect": 2}).json()["items"] == 2
    assert post(client, "undo").json()["what"] == "take back what was said of 2 frames"
    assert post(client, "undo").json()["items"] == 1  # of another tab
    assert post(client, "undo", {"tab": 7 * ["x"]}).status_code == 400
    assert post(client, "undo", {"tab": "x"}).json()["what"] == "drop 2 frames"
    assert post(client, "undo", {"anyone": True}).json()["items"] == 0


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"rows": [1]},
        {"rows": [1], "keep": "yes"},
        {"rows": [1], "keep": 0},
        {"rows": "1", "keep": True},
        {"rows": [True], "keep": True},
        {"rows": [99], "keep": True},
        {"rows": [-1], "keep": True},
        {"rows": [1], "keep": True, "reason": 7 * ["x"]},
        {"rows": [1], "keep": True, "expect": "1"},
        {"view": [], "keep": True},
        {"view": {"path": "/etc/passwd"}, "keep": True},
        {"crops": [[1]], "keep": True},
        {"crops": [[1, 99]], "keep": True},
    ],
)
def test_a_body_that_makes_no_sense_decides_nothing(client, dataset, body):
    answer = client.post(
        f"/{SECRET}/api/decide",
        content=json.dumps(body),
        headers={"Origin": HERE, "Content-Type": "application/json"},
    )
    assert answer.status_code == 400
    assert by_people(dataset) == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8123", "127.0.0.1", "127.0.0.1:80", "localhost.evil:8123", ""]
)
def test_another_host_is_refused(client, host):
    assert client.get(f"/{SECRET}/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8123", "[::1]:8123", "LOCALHOST:8123"])
def test_names_of_this_machine_are_not(client, host):
    assert client.get(f"/{SECRET}/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/a-secre/", "/a-secret2/", "/api/dataset", "/favicon.ico", "//a-secret/", "/%61-secre/"]
)
def test_without_the_secret_there_is_nothing(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (404, "not found")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:8123"},
        {"Origin": "http://127.0.0.1:8124"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_words_come_from_the_page_alone(client, dataset, headers):
    assert post(client, "decide", {"rows": [1], "keep": False, "expect": 1}, **headers).status_code == 403
    assert by_people(dataset) == []
    bare = client.post(f"/{SECRET}/api/undo", content="{}", headers={"Content-Type": "application/json"})
    assert bare.status_code == 403
    if "Origin" in headers:
        assert get(client, "api/dataset", Origin=headers["Origin"]).status_code == 403


def test_nothing_is_written_by_get_and_no_other_method_is_known(client, dataset):
    for name in ("decide", "undo", "keep-this", "save-elsewhere"):
        assert get(client, f"api/{name}").status_code == 405
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        assert client.request(method, f"/{SECRET}/api/decide").status_code == 405
    assert by_people(dataset) == []


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "review.css/..", "no.js", ""]
)
def test_no_path_from_the_browser_reaches_the_disk(client, name):
    assert get(client, f"static/{name}").status_code == 404


def test_what_is_too_large_is_refused(client):
    assert post(client, "decide", {"reason": "x" * LARGEST_BODY}).status_code == 413
    assert get(client, "api/view?q=" + "x" * 20_000).status_code == 405


def test_bytes_that_are_no_picture_are_not_served(client, session, monkeypatch):
    monkeypatch.setattr(session, "thumbnail", lambda row: b"<script>alert(1)</script>")
    assert (get(client, "thumb/1").status_code, get(client, "thumb/1").content) == (204, b"")


@pytest.mark.parametrize(
    "body",
    [
        {"rows": [1], "keep": False, "reason": "\ud800"},
        {"rows": [1], "keep": False, "reason": "a\0b"},
        {"view": {"q": "\udfff"}, "keep": True, "expect": -1},
        {"rows": [], "keep": False},
        {"crops": [], "keep": False},
    ],
)
def test_what_is_no_letter_and_what_names_nothing_is_refused_in_a_line(client, body):
    answer = post(client, "decide", body)
    assert answer.status_code == 400
    assert answer.json()["error"]
