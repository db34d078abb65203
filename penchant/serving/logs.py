"""The log of a server: one line of JSON an occurrence, or a readable one where somebody looks at it.

Notable: every part of Penchant writes to the standard library's logger `penchant`, with what is to be searched for in
``extra``; structlog gives the line its shape, and the lines of other libraries as well. A trace says where and what
kind of error it was, and leaves its message out: a message may quote what was sent, and no event, name, query or key
is ever written to a log.

Does not know: what is worth a line.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any, Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

Form = Literal["auto", "json", "text"]
_log = logging.getLogger("penchant")


def configure(form: Form, level: str, stream: TextIO | None = None) -> None:
    """Write to ``stream`` (stderr), `auto`: as text where it is a terminal, else as JSON.

    ``level`` is of Penchant's own lines; of other libraries', warnings are written.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(form == "json" or (form == "auto" and not stream.isatty())))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    _log.setLevel(level.upper())
    threading.excepthook = _thread_ended


def tell_of_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """A task that failed unseen is told in our words: asyncio's own would quote the message of the error."""
    loop.set_exception_handler(_task_failed)


def _formatter(json: bool) -> logging.Formatter:
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _without_messages,
    ]
    last: list[Processor] = [structlog.processors.JSONRenderer()]
    if not json:
        last = [_with_trace_below, structlog.dev.ConsoleRenderer(colors=False)]
    return ProcessorFormatter(foreign_pre_chain=shared, processors=[ProcessorFormatter.remove_processors_meta, *last])


def _without_messages(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """``exc_info`` becomes ``trace``: kinds of errors and lines of code, the cause first."""
    info = line.pop("exc_info", None)
    if info and info[1] is not None:
        line["error"] = type(info[1]).__name__
        line["trace"] = list(_trace(info[1]))
    return line


def _trace(error: BaseException | None) -> Iterator[str]:
    if error is None:
        return
    yield from _trace(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
    yield from (f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(error.__traceback__))
    yield type(error).__name__


def _with_trace_below(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """For people, a trace stands below its line, a step a line."""
    if "trace" in line:
        line["exception"] = "\n".join(line.pop("trace"))
    return line


def _thread_ended(told: threading.ExceptHookArgs) -> None:
    if issubclass(told.exc_type, SystemExit):  # which is how a thread may end itself
        return
    name = told.thread.name if told.thread is not None else "unknown"
    error = told.exc_value or told.exc_type()
    _log.critical("a thread ended", extra={"of_thread": name}, exc_info=error)


def _task_failed(loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
    _log.error("a task failed", exc_info=told.get("exception"))
