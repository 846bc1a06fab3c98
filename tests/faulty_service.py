"""The model template's service with a fault, for tests: SRC MODEL PORT FAULT. Run by the project's own Python."""

from __future__ import annotations

import itertools
import json
import logging
import sys
import time
from pathlib import Path

SRC, MODEL, PORT, FAULT = sys.argv[1:]
sys.path.insert(0, SRC)

from diabetes import serve  # noqa: E402
from flask import Response, abort, request  # noqa: E402
from werkzeug.serving import WSGIRequestHandler  # noqa: E402

# As Nginx does: the connection is kept.
WSGIRequestHandler.protocol_version = "HTTP/1.1"
logging.getLogger("werkzeug").setLevel("ERROR")
app = serve.create_app(Path(MODEL))
asked = itertools.count(1)


@app.before_request
def before() -> None:
    """Be slow, or fail: each fiftieth request is 2 %."""
    if request.path != "/predict":
        return
    if FAULT == "slow":
        time.sleep(0.3)
    if FAULT == "2 % with 500" and next(asked) % 50 == 0:
        abort(500)


@app.after_request
def after(response: Response) -> Response:
    """Answer wrongly: a number that no patient has, or half as much again."""
    if request.path == "/predict" and response.status_code == 200 and FAULT in ("wrong", "other"):
        said = json.loads(response.get_data())
        scale = {"wrong": 1e6, "other": 1.5}[FAULT]
        said["predictions"] = [scale * one for one in said["predictions"]]
        response.set_data(json.dumps(said))
    return response


app.run("127.0.0.1", int(PORT), threaded=True)
