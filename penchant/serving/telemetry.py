"""The numbers of a server for Prometheus, under the names that docs/operations.md lists.

Notable: nothing is kept for this. Whoever asks has what was counted anyway read (`serving.measures`,
`serving.requests`), and what else there is to know looked up at that moment: so a scrape costs milliseconds and a list
costs nothing. It answers while the data folder is being opened, too, with what there is then.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from penchant import __version__
from penchant.engine import Engine
from penchant.serving.measures import Histogram, Measures
from penchant.serving.requests import Requests
from penchant.serving.threads import Threads
from penchant.storage.state_store import written

__all__ = ["CONTENT_TYPE", "text"]
_STAGES = ("check", "commit", "apply", "answer")


def text(requests: Requests | None, threads: Threads | None) -> bytes:
    """All metrics in Prometheus' text format, version 0.0.4. ``threads``: None while the engine is being opened.

    ``requests``: None for one tenant of many, who is told of its own data alone, and nothing of the process.
    """
    registry = CollectorRegistry()
    if requests is not None:
        ProcessCollector(registry=registry)
    registry.register(_Collected(requests, threads))
    return generate_latest(registry)


def text_of_all(requests: Requests, here: Mapping[str, Threads]) -> bytes:
    """For who runs a server of tenants: all of the process, and what there is to watch of each that is open."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_CollectedOfAll(requests, here))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, requests: Requests | None, threads: Threads | None) -> None:
        self._requests, self._threads = requests, threads

    def collect(self) -> Iterator[Metric]:
        yield _info("penchant_build", "The program that runs", version=__version__)
        yield _gauge(
            "penchant_ready", "1 once the data folder is open and lists are answered", self._threads is not None
        )
        if self._requests is not None:
            yield from _of_requests(self._requests)
        if self._threads is not None:
            yield from _of_events(self._threads.measures)
            yield from _of_threads(self._threads)
            yield from _of_engine(self._threads.engine)
            yield from _of_folder(self._threads.engine)

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: a registry would collect once to learn the names."""
        return ()


class _CollectedOfAll(Collector):
    def __init__(self, requests: Requests, here: Mapping[str, Threads]) -> None:
        self._requests, self._here = requests, here

    def collect(self) -> Iterator[Metric]:
        yield _info("penchant_build", "The program that runs", version=__version__)
        yield _gauge("penchant_ready", "1: each tenant is opened when it is asked for", 1)
        yield _gauge("penchant_tenants_open", "Tenants that are open", len(self._here))
        yield from _of_requests(self._requests)
        yield from _of_tenants(self._here)

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand, as above."""
        return ()


def _of_tenants(here: Mapping[str, Threads]) -> Iterable[Metric]:
    """Events, states and files of each, with the label `tenant`; not the stages of its work."""
    families: dict[str, Metric] = {}
    for tenant, threads in here.items():
        engine = threads.engine
        for found in (*_of_events(threads.measures), *_of_engine(engine), *_of_folder(engine)):
            family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            family.samples += [one._replace(labels={"tenant": tenant, **one.labels}) for one in found.samples]
    return families.values()


def _of_requests(requests: Requests) -> Iterator[Metric]:
    answered = CounterMetricFamily("penchant_requests", "Requests answered", labels=("method", "address", "status"))
    for ((method, address), status), number in list(requests.answered.items()):
        answered.add_metric((method, address, str(status)), number)
    yield answered
    seconds = HistogramMetricFamily(
        "penchant_request_seconds", "From a request's head to the end of its answer", labels=("method", "address")
    )
    for labels, found in list(requests.seconds.items()):
        _add(seconds, labels, found)
    yield seconds
    yield _gauge("penchant_requests_open", "Requests that are being answered", requests.open)


def _of_events(measures: Measures) -> Iterator[Metric]:
    became = {"accepted": measures.accepted, "duplicate": measures.duplicates, "refused": measures.refused}
    yield _counters("penchant_events", "Events that were sent, by what became of them", "outcome", became)
    late = CounterMetricFamily("penchant_events_late", "Accepted events that were too old for a state")
    late.add_metric((), measures.late)
    yield late
    yield _counters(
        "penchant_overloads", "Calls turned away since too much waited", "waiting", dict(measures.overloads)
    )


def _of_threads(threads: Threads) -> Iterator[Metric]:
    yield _gauges("penchant_waiting", "Events and queries that are not answered yet", "what", threads.waiting)
    yield _gauges(
        "penchant_queue_jobs", "Jobs before a thread: a request's events, or a query", "thread", threads.queued
    )
    seconds = HistogramMetricFamily("penchant_stage_seconds", "A batch in a stage of the work", labels=("stage",))
    sizes = HistogramMetricFamily("penchant_batch_size", "Events, or queries, of a batch in a stage", labels=("stage",))
    for name in _STAGES:
        stage = getattr(threads.measures, name)
        _add(seconds, (name,), stage.seconds)
        _add(sizes, (name,), stage.sizes)
    yield seconds
    yield sizes


def _of_engine(engine: Engine) -> Iterator[Metric]:
    parts = engine.parts
    yield _info("penchant_model", "The version of the model in use", version=parts.version.name)
    as_of = parts.as_of
    yield _gauge("penchant_as_of", "Offset of the newest event that lists have taken in", as_of)
    yield _gauge("penchant_lag_events", "Events of the log that lists have yet to take in", parts.log.end - as_of)
    yield _gauge("penchant_items", "Items of the catalogue", int(parts.index.known.sum()))
    yield _gauge("penchant_people", "People and sessions that were ever named", len(parts.log.people))
    yield _gauge("penchant_texts_waiting", "Items whose text the language model has yet to read", parts.texts.backlog)
    yield _gauge("penchant_warnings", "Warnings, as /health/ready has them", len(engine.warnings))


def _of_folder(engine: Engine) -> Iterator[Metric]:
    settings, (log, wal) = engine.parts.settings, engine.parts.log.sizes()
    yield _gauge("penchant_log_bytes", "Size of events.db", log)
    yield _gauge(
        "penchant_log_free_bytes", "Of these, what holds nothing and is written to first", engine.parts.log.free()
    )
    yield _gauge("penchant_wal_bytes", "Size of what SQLite has yet to write into events.db", wal)
    if settings.max_log_bytes:
        yield _gauge("penchant_log_ceiling_bytes", "The setting max_log_bytes", settings.max_log_bytes)
    if settings.max_memory_bytes:
        yield _gauge("penchant_memory_ceiling_bytes", "The setting max_memory_bytes", settings.max_memory_bytes)
    moment = written(engine.parts.folder / "snapshots")
    if moment is not None:
        yield _gauge("penchant_snapshot_age_seconds", "Since the newest snapshot was written", time.time() - moment)
    dropped = CounterMetricFamily("penchant_retention_dropped", "Events that were older than the settings keep")
    dropped.add_metric((), engine.retention.dropped)
    yield dropped
    failures = CounterMetricFamily("penchant_snapshot_failures", "Snapshots that could not be written")
    failures.add_metric((), engine.snapshots.failures)
    yield failures


# -- families ----------------------------------------------------------------------------------------------------------


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)


def _gauges(name: str, said: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, said, labels=(label,))
    for one, value in values.items():
        family.add_metric((one,), value)
    return family


def _counters(name: str, said: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, said, labels=(label,))
    for one, value in values.items():
        family.add_metric((one,), value)
    return family


def _info(name: str, said: str, **labels: str) -> Metric:
    return InfoMetricFamily(name, said, value=labels)


def _add(family: HistogramMetricFamily, labels: Iterable[str], found: Histogram) -> None:
    totals = list(accumulate(found.counts))
    bounds = [*(str(float(bound)) for bound in found.bounds), "+Inf"]
    family.add_metric(list(labels), list(zip(bounds, totals, strict=True)), sum_value=found.sum)
