"""The generated synchronous stubs, on grpcio-testing's channel: what a plain script relies on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc_testing
import pytest

from sessiond.errors import StaleRevision
from sessiond.status import DETAILS_KEY, from_rpc_error, to_status
from sessiond.v1 import live_pb2, live_pb2_grpc, store_pb2, store_pb2_grpc

STORE = store_pb2.DESCRIPTOR.services_by_name["StoreService"]
LIVE = live_pb2.DESCRIPTOR.services_by_name["LiveService"]


def channel() -> grpc_testing.Channel:
    return grpc_testing.channel([STORE, LIVE], grpc_testing.strict_real_time())


def test_a_unary_call_carries_request_and_answer() -> None:
    """A synchronous caller sends exactly its request and gets exactly the answer."""
    told = channel()
    with ThreadPoolExecutor(1) as pool:
        asked = store_pb2.GetSessionRequest(session_id="first", tail=3)
        answer = pool.submit(store_pb2_grpc.StoreServiceStub(told).GetSession, asked, timeout=10)
        _, request, rpc = told.take_unary_unary(STORE.methods_by_name["GetSession"])
        assert request == asked
        response = store_pb2.GetSessionResponse()
        response.session.id = "first"
        rpc.terminate(response, (), grpc.StatusCode.OK, "")
        assert answer.result(10).session.id == "first"


def test_a_failure_keeps_its_name_for_a_synchronous_caller() -> None:
    """`from_rpc_error` gives a script the very failure that the server raised, with its facts."""
    told = channel()
    with ThreadPoolExecutor(1) as pool:
        asked = live_pb2.PauseSessionRequest(session_id="first", expected_revision=4)
        answer = pool.submit(live_pb2_grpc.LiveServiceStub(told).PauseSession, asked, timeout=10)
        _, _, rpc = told.take_unary_unary(LIVE.methods_by_name["PauseSession"])
        status = to_status(StaleRevision(7))
        details = ((DETAILS_KEY, status.SerializeToString()),)
        rpc.terminate(None, details, grpc.StatusCode.ABORTED, status.message)
        with pytest.raises(grpc.RpcError) as caught:
            answer.result(10)
    failure = from_rpc_error(caught.value, mutating=True)
    assert isinstance(failure, StaleRevision)
    assert failure.revision == 7
