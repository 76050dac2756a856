"""JobService: which process does the work that one does at a time, and what there is to do."""

from __future__ import annotations

import re
from typing import Any, Final

import grpc

from services.serving.context import current_identity
from services.store.erasures import Erasures
from services.store.repository import Repository
from sessiond.errors import Violations
from sessiond.session.access import check_backend
from sessiond.session.checks import check_user_id
from sessiond.session.limits import Limits
from sessiond.v1 import job_pb2 as pb
from sessiond.v1.job_pb2_grpc import JobServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]

TTL_SECONDS: Final = 10
"""How long a job stays with a holder that is not heard of."""

_JOB: Final = re.compile(r"[a-z0-9-]{1,64}")
_HOLDER_BYTES: Final = 16


class JobServicer(JobServiceServicer):
    """Gives jobs, and keeps erasures."""

    def __init__(self, repository: Repository, erasures: Erasures, limits: Limits) -> None:
        self._repository = repository
        self._erasures = erasures
        self._limits = limits

    async def HoldJob(self, request: pb.HoldJobRequest, context: Context) -> pb.HoldJobResponse:
        """Take a job, or prolong one's hold of it."""
        self._check_job(request)
        term = await self._repository.hold_job(request.job, request.holder, ttl_seconds=TTL_SECONDS)
        return pb.HoldJobResponse(held=term > 0, term=term, ttl_ms=TTL_SECONDS * 1000)

    async def ReleaseJob(
        self, request: pb.ReleaseJobRequest, context: Context
    ) -> pb.ReleaseJobResponse:
        """Let a job go."""
        self._check_job(request)
        await self._repository.release_job(request.job, request.holder)
        return pb.ReleaseJobResponse()

    async def ListErasures(
        self, request: pb.ListErasuresRequest, context: Context
    ) -> pb.ListErasuresResponse:
        """List the erasures to be done."""
        check_backend(current_identity())
        return pb.ListErasuresResponse(erasures=await self._erasures.pending())

    async def CompleteErasure(
        self, request: pb.CompleteErasureRequest, context: Context
    ) -> pb.CompleteErasureResponse:
        """Write a receipt."""
        check_backend(current_identity())
        found = Violations()
        check_user_id(request.user_id, "user_id", found, limits=self._limits)
        for field, number in (("sessions", request.sessions), ("shares", request.shares)):
            if number < 0:
                found.add(field, "must not be negative")
        found.check()
        erasure = await self._erasures.complete(
            request.user_id, sessions=request.sessions, shares=request.shares
        )
        return pb.CompleteErasureResponse(erasure=erasure)

    def _check_job(self, request: pb.HoldJobRequest | pb.ReleaseJobRequest) -> None:
        check_backend(current_identity())
        found = Violations()
        if not _JOB.fullmatch(request.job):
            found.add("job", "must be 1 to 64 characters of a-z, 0-9 and '-'")
        if len(request.holder) != _HOLDER_BYTES:
            found.add("holder", f"must be {_HOLDER_BYTES} bytes")
        found.check()
