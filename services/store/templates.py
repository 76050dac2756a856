"""Templates of users, and the built-in ones: a use case, and their part of StoreService."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from services.serving.context import current_identity
from services.store.lists import check_own_list
from services.store.repository import Repository
from services.store.space import Space
from services.store.workflows import Workflows
from sessiond.errors import Internal, TemplateNotFound, TooManyTemplates, Violations
from sessiond.session.checks import check_session_id, check_user_id
from sessiond.session.limits import Limits
from sessiond.session.templates import Template, check_template, check_template_name
from sessiond.store.templates import decode_template, encode_template
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer
from sessiond.wire import set_timestamp

if TYPE_CHECKING:
    from services.store.sessions import Sessions

Context = grpc.aio.ServicerContext[Any, Any]

_log = structlog.get_logger(__name__)


class Templates:
    """The templates of users, and one for each workflow, whose name is the workflow's id.

    A workflow's id always means that workflow: nothing can be saved under it.
    """

    def __init__(
        self,
        repository: Repository,
        workflows: Workflows,
        limits: Limits,
        *,
        now_ms: Callable[[], int],
        space: Space | None = None,
    ) -> None:
        """Take collaborators; without a `space` there is room for every template."""
        self._repository = repository
        self._workflows = workflows
        self._limits = limits
        self._now_ms = now_ms
        self._space = space or Space()

    async def find(self, user_id: str, name: str) -> Template:
        """Return a template.

        Raises:
            TemplateNotFound: the user has none of this name.
        """
        if self.is_built_in(name):
            return Template(workflow_id=name)
        stored = await self._repository.template(user_id, name)
        if stored is None:
            raise TemplateNotFound
        return _decoded(stored, name)

    async def all(self, user_id: str) -> list[tuple[str, Template]]:
        """Return the user's by name, then the built-in ones as workflows are listed."""
        stored = await self._repository.templates(user_id)
        own = [(name, _decoded(data, name)) for name, data in stored if not self.is_built_in(name)]
        return own + [(each.id, Template(workflow_id=each.id)) for each in self._workflows.all()]

    async def put(self, user_id: str, name: str, template: Template) -> Template:
        """Save a template over what stands under its name, and return it with the time of now.

        Two that are saved at once may both be the last one allowed.

        Raises:
            InvalidArgument: with every bad field.
            TooManyTemplates: the user has as many as one may have.
            Unavailable: there is little space left; nothing was saved.
        """
        found = Violations()
        self._check_own(name, found)
        workflow = self._workflows.find(template.workflow_id)
        check_template(template, workflow, found, limits=self._limits)
        found.check()
        if self._space.is_short:
            raise self._space.refusal()
        count = await self._repository.count_templates(user_id)
        full = count >= self._limits.templates_per_user
        if full and await self._repository.template(user_id, name) is None:
            raise TooManyTemplates
        saved = replace(template, updated_ms=self._now_ms())
        await self._repository.put_template(user_id, name, encode_template(saved))
        return saved

    async def delete(self, user_id: str, name: str) -> None:
        """Delete a template; nothing changes where there is none.

        Raises:
            InvalidArgument: it is a built-in one.
        """
        found = Violations()
        self._check_own(name, found)
        found.check()
        await self._repository.delete_template(user_id, name)

    @property
    def default_workflow_id(self) -> str:
        """The workflow of templates that name none."""
        return self._workflows.all()[0].id

    def is_built_in(self, name: str) -> bool:
        """Return whether the name is a workflow's id."""
        return self._workflows.find(name) is not None

    def _check_own(self, name: str, found: Violations) -> None:
        check_template_name(name, "name", found)
        if self.is_built_in(name):
            found.add("name", "must not be the id of a workflow: that template is built in")


class TemplatesServicer(StoreServiceServicer):
    """Keeps templates."""

    _sessions: Sessions
    _limits: Limits

    async def PutTemplate(
        self, request: pb.PutTemplateRequest, context: Context
    ) -> pb.PutTemplateResponse:
        """Save a template."""
        identity = current_identity()
        found = Violations()
        self._check(request, found)
        if request.HasField("session_id"):
            check_session_id(request.session_id, "session_id", found)
        found.check()
        check_own_list(identity, request.user_id, "save your own templates")
        templates = self._sessions.templates
        base = Template(templates.default_workflow_id)
        if request.HasField("session_id"):
            session = await self._sessions.load(identity, request.session_id, tail=0)
            base = Template(
                session.workflow_id, session.user_inputs.text, session.title, session.metadata
            )
        asked = Template(
            request.workflow_id if request.HasField("workflow_id") else base.workflow_id,
            request.user_inputs.text if request.HasField("user_inputs") else base.user_inputs,
            request.title if request.HasField("title") else base.title,
            dict(request.metadata or base.metadata),
        )
        saved = await templates.put(request.user_id, request.name, asked)
        response = pb.PutTemplateResponse()
        self._set(response.template, request.name, saved)
        return response

    async def GetTemplate(
        self, request: pb.GetTemplateRequest, context: Context
    ) -> pb.GetTemplateResponse:
        """Load a template."""
        found = Violations()
        self._check(request, found)
        found.check()
        check_own_list(current_identity(), request.user_id, "see your own templates")
        template = await self._sessions.templates.find(request.user_id, request.name)
        response = pb.GetTemplateResponse()
        self._set(response.template, request.name, template)
        return response

    async def ListTemplates(
        self, request: pb.ListTemplatesRequest, context: Context
    ) -> pb.ListTemplatesResponse:
        """List templates."""
        found = Violations()
        check_user_id(request.user_id, "user_id", found, limits=self._limits)
        found.check()
        check_own_list(current_identity(), request.user_id, "list your own templates")
        response = pb.ListTemplatesResponse()
        for name, template in await self._sessions.templates.all(request.user_id):
            self._set(response.templates.add(), name, replace(template, user_inputs="{}"))
        return response

    async def DeleteTemplate(
        self, request: pb.DeleteTemplateRequest, context: Context
    ) -> pb.DeleteTemplateResponse:
        """Delete a template."""
        found = Violations()
        self._check(request, found)
        found.check()
        check_own_list(current_identity(), request.user_id, "delete your own templates")
        await self._sessions.templates.delete(request.user_id, request.name)
        return pb.DeleteTemplateResponse()

    def _check(
        self,
        request: pb.PutTemplateRequest | pb.GetTemplateRequest | pb.DeleteTemplateRequest,
        found: Violations,
    ) -> None:
        check_user_id(request.user_id, "user_id", found, limits=self._limits)
        check_template_name(request.name, "name", found)

    def _set(self, wire: pb.Template, name: str, template: Template) -> None:
        wire.name = name
        wire.workflow_id = template.workflow_id
        wire.user_inputs.text = template.user_inputs
        wire.title = template.title
        for key, value in template.metadata.items():
            wire.metadata[key] = value
        wire.built_in = self._sessions.templates.is_built_in(name)
        if template.updated_ms:
            set_timestamp(wire.updated_at, template.updated_ms)


def _decoded(data: bytes, name: str) -> Template:
    try:
        return decode_template(data)
    except ValueError:
        _log.exception("template cannot be read", template=name)
        raise Internal from None
