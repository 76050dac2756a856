"""Sharing and giving away: their part of LiveService."""

from __future__ import annotations

from typing import Any

import grpc

from services.live.changes import Changes
from services.live.history import History
from sessiond.errors import RouteNotFound
from sessiond.v1 import live_pb2, live_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class SharingServicer(live_pb2_grpc.LiveServiceServicer):
    """Changes who may enter."""

    _changes: Changes
    _history: History

    async def ShareSession(
        self, request: live_pb2.ShareSessionRequest, context: Context
    ) -> live_pb2.ShareSessionResponse:
        """Make a user a member."""
        raise RouteNotFound

    async def UnshareSession(
        self, request: live_pb2.UnshareSessionRequest, context: Context
    ) -> live_pb2.UnshareSessionResponse:
        """End a membership."""
        raise RouteNotFound

    async def MakeLink(
        self, request: live_pb2.MakeLinkRequest, context: Context
    ) -> live_pb2.MakeLinkResponse:
        """Make a link."""
        raise RouteNotFound

    async def RevokeLink(
        self, request: live_pb2.RevokeLinkRequest, context: Context
    ) -> live_pb2.RevokeLinkResponse:
        """Revoke a link."""
        raise RouteNotFound

    async def JoinSession(
        self, request: live_pb2.JoinSessionRequest, context: Context
    ) -> live_pb2.JoinSessionResponse:
        """Join by a secret."""
        raise RouteNotFound

    async def TransferSession(
        self, request: live_pb2.TransferSessionRequest, context: Context
    ) -> live_pb2.TransferSessionResponse:
        """Give the session to a member."""
        raise RouteNotFound
