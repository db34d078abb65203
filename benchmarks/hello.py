"""A server that has nothing to do, served as Penchant is (Litestar on Granian, one process): `--port PORT`.

How many requests it takes in the minute of a measurement tells how fast the machine was.
"""

from __future__ import annotations

import argparse

import uvloop
from litestar import Litestar, get

from penchant.serving.server import _server


@get(["/", "/health/ready"])
async def hello() -> dict[str, str]:
    return {"hello": "world"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    app = Litestar([hello], openapi_config=None, logging_config=None)
    uvloop.run(_server(app, ("127.0.0.1", options.parse_args().port)).serve())


if __name__ == "__main__":
    main()
