"""Templates, synchronously."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sessiond.client.requests import Json, json_object
from sessiond.v1.store_pb2 import (
    DeleteTemplateRequest,
    GetTemplateRequest,
    GetTemplateResponse,
    ListTemplatesRequest,
    ListTemplatesResponse,
    PutTemplateRequest,
    PutTemplateResponse,
    Template,
)

if TYPE_CHECKING:
    from sessiond.client.calls import Replicas
    from sessiond.v1.store_pb2_grpc import StoreServiceStub


class SyncTemplates(ABC):
    """Calls about templates; see `SyncClient`, which has them. Each may be repeated as it is."""

    _store: Replicas[StoreServiceStub]

    @abstractmethod
    def _ask(self, replicas: Any, method: Any, request: Any, *, changes: bool = False) -> Any:
        """Ask until there is an answer."""

    @abstractmethod
    def _user(self, user_id: str | None) -> str:
        """Return whose templates are meant."""

    def put_template(
        self,
        name: str,
        *,
        session_id: str | None = None,
        workflow_id: str | None = None,
        user_inputs: Json | None = None,
        title: str | None = None,
        metadata: Mapping[str, str] | None = None,
        user_id: str | None = None,
    ) -> Template:
        """Save a template, over what stands under its name; by default one's own.

        What is None is taken from the session, where one is named. In the title `{date}`,
        `{workflow}` and `{input.KEY}` stand for what is so when a session is created.
        """
        request = PutTemplateRequest(
            user_id=self._user(user_id),
            name=name,
            session_id=session_id,
            workflow_id=workflow_id,
            user_inputs=json_object(user_inputs),
            title=title,
            metadata=metadata or {},
        )
        response: PutTemplateResponse = self._ask(
            self._store, lambda stub: stub.PutTemplate, request, changes=True
        )
        return response.template

    def template(self, name: str, *, user_id: str | None = None) -> Template:
        """Load a template, by default one's own or a built-in one."""
        request = GetTemplateRequest(user_id=self._user(user_id), name=name)
        response: GetTemplateResponse = self._ask(
            self._store, lambda stub: stub.GetTemplate, request
        )
        return response.template

    def templates(self, user_id: str | None = None) -> Sequence[Template]:
        """Return a user's templates by name, then the built-in ones; all without their inputs."""
        request = ListTemplatesRequest(user_id=self._user(user_id))
        response: ListTemplatesResponse = self._ask(
            self._store, lambda stub: stub.ListTemplates, request
        )
        return response.templates

    def delete_template(self, name: str, *, user_id: str | None = None) -> None:
        """Delete a template; nothing changes where there is none."""
        request = DeleteTemplateRequest(user_id=self._user(user_id), name=name)
        self._ask(self._store, lambda stub: stub.DeleteTemplate, request, changes=True)
