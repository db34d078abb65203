"""`wrk`, by which it is found how many requests a server takes: many connections, each of which asks again at once.

For throughput alone. Its latencies are those of a closed loop, which sends nothing while the server stalls.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_SCRIPT = """
local requests, at = {}, 0
function init(words)
  for path in io.lines(words[1]) do requests[#requests + 1] = wrk.format("GET", path) end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
"""


class Taken(NamedTuple):
    """``failed``: answers that were not 2xx or 3xx, broken connections, and answers that did not come in time."""

    per_s: float
    failed: int


def closed_loop(port: int, paths: Iterable[str], connections: int, seconds: float) -> Taken:
    """Ask for these paths in turn, again and again. Raises SystemExit where there is no wrk."""
    if shutil.which("wrk") is None:
        raise SystemExit("This needs wrk (on Debian and Ubuntu: apt-get install wrk).")
    with tempfile.TemporaryDirectory() as folder:
        script, lines = Path(folder) / "ask.lua", Path(folder) / "paths"
        script.write_text(_SCRIPT, encoding="utf-8")
        lines.write_text("\n".join(paths), encoding="utf-8")
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{max(seconds, 1):.0f}s"]
        command += ["--timeout", "30s", "--script", str(script), f"http://127.0.0.1:{port}", "--", str(lines)]
        return taken(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def taken(report: str) -> Taken:
    """What wrk said at its end."""
    per_s = re.search(r"^Requests/sec: +([\d.]+)$", report, re.MULTILINE)
    if per_s is None:
        raise ValueError(f"wrk said no rate: {report}")
    bad = re.findall(r"^ *(?:Non-2xx or 3xx responses|Socket errors):(.*)$", report, re.MULTILINE)
    return Taken(float(per_s[1]), sum(int(number) for line in bad for number in re.findall(r"\d+", line)))
