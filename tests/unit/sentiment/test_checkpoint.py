"""Where a checkpoint comes from: a folder, a cache, or the Hub (here one on loopback)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.sentiment.checkpoint import checkpoint_digest, checkpoint_folder
from models.sentiment.model import SentimentModelError

REVISION = "b" * 40
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b'{"version": "1.0"}',
    "vocab.txt": b"good\nbad\n",
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"a pickle",
    "modeling_mine.py": b"code",
}
WANTED = {"config.json", "tokenizer.json", "vocab.txt", "model.safetensors"}


class Hub(BaseHTTPRequestHandler):
    """What a download asks of the Hub: a revision's files, and each of them."""

    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/me/mine/revision/"):
            listed = [{"rfilename": name} for name in FILES]
            body = {"id": "me/mine", "modelId": "me/mine", "sha": REVISION, "siblings": listed}
            self._answer(json.dumps(body).encode())
        elif self.path.startswith(f"/me/mine/resolve/{REVISION}/"):
            name = self.path.rpartition("/")[2]
            self.asked.append(name)
            self._answer(FILES[name])
        else:
            self.send_error(404)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the names of the files that were asked for."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Hub,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetched(where: str, endpoint: str, home: Path) -> str:
    """What `checkpoint_folder` gives or says in a process that knows that Hub."""
    code = (
        "import sys\n"
        "from models.sentiment.checkpoint import checkpoint_folder\n"
        "try: print(checkpoint_folder(sys.argv[1], None))\n"
        "except ValueError as error: print(error)"
    )
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    env |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    env.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", code, where],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("where", ["me/mine", f"me/mine@{REVISION}"])
def test_a_name_is_downloaded_once_and_serves_offline_after(
    hub: tuple[str, list[str]], tmp_path: Path, where: str
) -> None:
    endpoint, asked = hub
    folder = Path(fetched(where, endpoint, tmp_path))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: FILES[name] for name in WANTED
    }
    assert set(asked) == WANTED
    assert checkpoint_folder(where, tmp_path / "hub") == folder


def test_a_hub_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    said = fetched("me/mine", "http://127.0.0.1:9", tmp_path)
    assert said.startswith("me/mine: not to be had from the Hub: ")
    assert "\n" not in said


def test_a_name_that_the_hub_does_not_know_is_said(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    assert fetched("me/none", hub[0], tmp_path).startswith("me/none: not to be had from the Hub: ")


def test_what_is_not_in_the_cache_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(SentimentModelError, match=r"me/mine: not to be had from .*nothing is down"):
        checkpoint_folder("me/mine", tmp_path)


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ("config.json", "expected config.json, found none"),
        ("model.safetensors", r"expected weights as \*\.safetensors, found none"),
    ],
)
def test_a_folder_without_what_is_read_is_refused(tmp_path: Path, lacks: str, says: str) -> None:
    for name in set(FILES) - {lacks}:
        (tmp_path / name).write_bytes(FILES[name])
    with pytest.raises(SentimentModelError, match=says):
        checkpoint_folder(str(tmp_path), None)


def test_the_digest_hangs_on_what_is_read_and_on_nothing_else(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    first = checkpoint_digest(tmp_path)
    (tmp_path / "modeling_mine.py").write_bytes(b"other code")
    (tmp_path / "README.md").write_text("notes", "utf-8")
    assert checkpoint_digest(tmp_path) == first
    for name in WANTED:
        (tmp_path / name).write_bytes(FILES[name] + b" ")
        assert checkpoint_digest(tmp_path) != first
        (tmp_path / name).write_bytes(FILES[name])
