"""What Prometheus learns about the road to etcd: how commits travel and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.store.writes import Committed, Outcome, Refused, Unknown

_COMMITS = (1, 2, 4, 8, 16, 32, 63)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class CommitMetrics:
    """Counts batches and outcomes of one committer in a registry, once per batch."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._batch = Histogram(
            "sessiond_store_batch_commits",
            "Commits that travelled to etcd together.",
            buckets=_COMMITS,
            registry=registry,
        )
        self._seconds = Histogram(
            "sessiond_store_batch_seconds",
            "Time that etcd took for a batch.",
            buckets=_SECONDS,
            registry=registry,
        )
        outcomes = Counter(
            "sessiond_store_commits", "Commits settled.", ("outcome",), registry=registry
        )
        self._committed = outcomes.labels("committed")
        self._refused = outcomes.labels("refused")
        self._unknown = outcomes.labels("unknown")
        self._unstorable = outcomes.labels("unstorable")
        self._put_off = outcomes.labels("put_off")
        self._waiting = Gauge(
            "sessiond_store_commits_waiting",
            "Commits that wait for a batch.",
            registry=registry,
        )

    def settled(self, outcomes: Sequence[Outcome], seconds: float, waiting: int) -> None:
        """Count a batch that came back, and how many commits wait behind it."""
        self._batch.observe(len(outcomes))
        self._seconds.observe(seconds)
        self._waiting.set(waiting)
        committed = sum(type(outcome) is Committed for outcome in outcomes)
        self._committed.inc(committed)
        if committed == len(outcomes):
            return
        refused = sum(type(outcome) is Refused for outcome in outcomes)
        unknown = sum(type(outcome) is Unknown for outcome in outcomes)
        self._refused.inc(refused)
        self._unknown.inc(unknown)
        self._unstorable.inc(len(outcomes) - committed - refused - unknown)

    def put_off(self) -> None:
        """Count a commit that was not sent."""
        self._put_off.inc()


class SpaceMetrics:
    """Shows how full etcd is, and that its history is compacted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._used = Gauge(
            "sessiond_store_etcd_used_bytes",
            "Size of etcd's largest database file, which its quota counts.",
            registry=registry,
        )
        self._quota = Gauge(
            "sessiond_store_etcd_quota_bytes",
            "Size that the file may have.",
            registry=registry,
        )
        self._compactions = Counter(
            "sessiond_store_compactions", "Compactions by this Store.", registry=registry
        )
        self._compacted = Gauge(
            "sessiond_store_compacted_revision",
            "Revision to which this Store compacted last.",
            registry=registry,
        )

    def seen(self, used: int, quota: int) -> None:
        """Show a reading, in bytes."""
        self._used.set(used)
        self._quota.set(quota)

    def compacted(self, revision: int) -> None:
        """Count a compaction."""
        self._compactions.inc()
        self._compacted.set(revision)
