"""Counters of processes, before and after."""

from __future__ import annotations

import ssl
from collections import Counter

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.system import System

# A context that trusts nobody spares plain http the reading of the system's certificates.
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def counted(system: System, part: str) -> Counter[str]:
    """Return what a part has counted so far, by name and by name{label values}."""
    ready = system.cluster.part(part).ready_url
    url = f"{ready.rpartition('/')[0]}/metrics"
    async with httpx.AsyncClient(verify=_NOBODY, trust_env=False) as client:
        text = (await client.get(url)).raise_for_status().text
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] += int(sample.value)
            found[f"{sample.name}{{{','.join(sample.labels.values())}}}"] += int(sample.value)
    return found
