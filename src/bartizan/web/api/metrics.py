"""Metrics for Prometheus: counted when asked for, from memory and three queries. From loopback, or with a token."""

import ipaddress
from collections.abc import Iterable, Iterator

from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from bartizan.app.service.fleet import state_counts
from bartizan.app.service.refusals import NotAllowed
from bartizan.app.service.service import Service
from bartizan.store.alarms import Alarm, alarms, last_beat
from bartizan.store.watching import LevelCount
from bartizan.store.writer import Writer
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Serving, who_asks
from bartizan.web.api.operation import Described

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""Headers of a proxy: behind one, everybody comes from loopback."""


@get(
    "/metrics",
    operation_id="metrics",
    operation_class=Described,
    summary="Metrics for Prometheus",
    tags=["service"],
    media_type=CONTENT_TYPE_LATEST,
)
async def metrics(request: Asked, service: Serving) -> Response[bytes]:
    """How many were accepted and refused, nodes by state and level, and how the service itself is."""
    if not _local(request) and not (await who_asks(request)).whole:
        raise NotAllowed("this concerns every project's nodes; accounts of the default project may")
    counts = await service.read(lambda connection: state_counts(connection, service))
    standing = await service.read(lambda connection: alarms(connection, standing=True))
    beat = await service.read(last_beat)
    registry = CollectorRegistry()
    found = [*_of_work(service), *_of_writer(service.writer), *_of_memory(service), *_of_nodes(counts)]
    found += [_of_alarms(standing), _of_beat(beat)]
    registry.register(_Once(found))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Once(Collector):
    """Metrics that are known already."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._found


def _of_work(service: Service) -> Iterator[Metric]:
    storm = service.attesting.storm
    yield CounterMetricFamily(
        "bartizan_attestations_accepted", "Attestations accepted since the start", value=service.keeper.accepted
    )
    refused = CounterMetricFamily("bartizan_attestations_refused", "Refused, by the check", labels=["check"])
    for check, count in sorted(service.keeper.refusals.items()):
        refused.add_metric([check], count)
    yield refused
    yield CounterMetricFamily(
        "bartizan_attestations_turned_away", "Full attestations told to come later", value=storm.turned_away
    )
    yield GaugeMetricFamily("bartizan_full_attestations", "Being judged or waiting for it", value=storm.inside)
    progress = service.reappraising.progress
    left = progress.total - progress.done if progress.ended_at is None else 0
    yield GaugeMetricFamily("bartizan_reappraisal_left", "Nodes that the re-appraisal has before it", value=left)


def _of_writer(writer: Writer) -> Iterator[Metric]:
    pace = writer.pace
    yield GaugeMetricFamily("bartizan_writer_backlog", "Writes that wait", value=writer.backlog)
    yield GaugeMetricFamily("bartizan_writer_busy_seconds", "Age of the transaction under way", value=pace.busy)
    yield GaugeMetricFamily("bartizan_writer_longest_seconds", "The longest transaction of late", value=pace.longest)
    yield CounterMetricFamily("bartizan_writer_transactions", "Transactions since the start", value=pace.transactions)
    yield CounterMetricFamily("bartizan_writer_seconds", "What they took together", value=pace.seconds)


def _of_memory(service: Service) -> Iterator[Metric]:
    memory = service.memory
    yield GaugeMetricFamily("bartizan_memory_nodes", "Nodes known in memory", value=memory.nodes)
    yield GaugeMetricFamily("bartizan_memory_states", "Nodes of which all evidence is held", value=memory.states)
    yield GaugeMetricFamily("bartizan_memory_ima_entries", "IMA entries in that evidence", value=memory.entries)
    yield GaugeMetricFamily(
        "bartizan_start_time_seconds", "When the service started", value=service.started.microseconds / 1_000_000
    )


def _of_nodes(counts: Iterable[tuple[str, LevelCount]]) -> Iterator[Metric]:
    nodes = GaugeMetricFamily(
        "bartizan_nodes",
        "Enrolled nodes by state, level and whether they are contraindicated",
        labels=["state", "level", "contraindicated"],
    )
    for state, count in counts:
        nodes.add_metric([state, str(count.level), str(count.contraindicated).lower()], count.nodes)
    yield nodes


def _of_alarms(standing: Iterable[Alarm]) -> Metric:
    found = GaugeMetricFamily("bartizan_alarms", "Alarms that stand, by kind", labels=["kind"])
    kinds: dict[str, int] = {}
    for one in standing:
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
    for kind, count in sorted(kinds.items()):
        found.add_metric([kind], count)
    return found


def _of_beat(at: int | None) -> Metric:
    return GaugeMetricFamily(
        "bartizan_heartbeat_timestamp_seconds",
        "When the service last wrote down that it is alive",
        value=0 if at is None else at / 1000,
    )


def _local(request: Asked) -> bool:
    """It comes from this machine itself, by no proxy."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


ROUTES = (metrics,)
