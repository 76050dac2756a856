"""A stand-in for a part: answers /readyz, and writes its ups and downs into a journal.

`stand_in.py NAME PORT JOURNAL MANNER`; manners: `plain`; `broken` dies at start; `sick` never gets
ready; `stubborn` ignores SIGTERM. SIGUSR1 makes any of them die with a last word.
"""

import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

NAME, PORT, JOURNAL, MANNER = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]


def note(what: str) -> None:
    with JOURNAL.open("a") as journal:
        journal.write(f"{NAME} {what}\n")


def end(*_: object) -> None:
    note("asked to stop")
    if MANNER != "stubborn":
        raise SystemExit(0)


def die(*_: object) -> None:
    sys.stderr.write("the last word\n")
    raise SystemExit(7)


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if MANNER == "sick" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGUSR1, die)
if MANNER == "broken":
    die()
note("up")
with HTTPServer(("127.0.0.1", PORT), Answer) as server:
    server.serve_forever(poll_interval=0.05)
