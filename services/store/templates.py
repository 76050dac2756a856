"""Templates of users: their part of StoreService."""

from __future__ import annotations

from typing import Any

import grpc

from services.store.repository import Repository
from sessiond.errors import RouteNotFound
from sessiond.session.limits import Limits
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class TemplatesServicer(StoreServiceServicer):
    """Keeps templates."""

    _repository: Repository
    _limits: Limits

    async def PutTemplate(
        self, request: pb.PutTemplateRequest, context: Context
    ) -> pb.PutTemplateResponse:
        """Save a template."""
        raise RouteNotFound

    async def GetTemplate(
        self, request: pb.GetTemplateRequest, context: Context
    ) -> pb.GetTemplateResponse:
        """Load a template."""
        raise RouteNotFound

    async def ListTemplates(
        self, request: pb.ListTemplatesRequest, context: Context
    ) -> pb.ListTemplatesResponse:
        """List templates."""
        raise RouteNotFound

    async def DeleteTemplate(
        self, request: pb.DeleteTemplateRequest, context: Context
    ) -> pb.DeleteTemplateResponse:
        """Delete a template."""
        raise RouteNotFound
