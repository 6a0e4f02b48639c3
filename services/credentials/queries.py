"""Questions: answered from memory."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from contracts.alert_rules import LINKS, AlertRuleView, GetAlertRule
from contracts.calls import Page
from contracts.credentials import AclAnswer, CheckAcl, CredentialView, GetCredential, ListCredentials
from contracts.failures import Refused
from contracts.integrations import HOSTED, GetIntegration, IntegrationView
from contracts.organizations import ApiKeyView, GetApiKey, GetOrganization, List, OrganizationView
from contracts.webhooks import GetWebhook, WebhookView
from services.credentials import acl_check, views
from services.credentials.choosing import chosen
from services.credentials.directory import Directory, Entry, Table
from services.credentials.handlers import platform_only
from services.credentials.last_use import LastUse
from services.credentials.states.alert_rule import BUILT_IN_RULE
from services.credentials.states.base import StateT
from services.credentials.states.credential import Credential
from services.credentials.states.integration import HostedIntegration, Integration
from services.credentials.states.keys import ApiKey
from services.credentials.states.organization import Organization
from services.credentials.views import standing

LIMIT_MAX = 1000
PAGE_BYTES_MAX = 512 * 1024  # an answer is one NATS message: at most 1 MiB
ViewT = TypeVar(
    "ViewT", OrganizationView, ApiKeyView, CredentialView, IntegrationView, WebhookView, AlertRuleView
)


class Queries:
    def __init__(self, directory: Directory, last_use: LastUse) -> None:
        self._directory, self._last_use = directory, last_use

    async def organizations(self, request: List) -> Page[OrganizationView]:
        platform_only(request)
        start = _position(request)
        entries = list(self._directory.organizations.by_id.values())  # in the order of their creation
        later = [entry for entry in entries if entry.first > start and entry.state.status == "active"]
        return _page(request, [(entry.first, views.organization_view(entry)) for entry in later])

    async def organization(self, request: GetOrganization) -> OrganizationView:
        """Refused("not_found") where it does not exist or is deleted."""
        entry = await self._find(self._directory.organizations, request.organization, request.organization)
        if entry.state.status == "ended":
            raise Refused("not_found")
        return views.organization_view(entry)

    async def api_keys(self, request: List) -> Page[ApiKeyView]:
        now = datetime.now(UTC)

        def view(entry: Entry[ApiKey]) -> ApiKeyView:
            return self._api_key(entry, now)

        return _list(request, self._directory.api_keys, view)

    async def api_key(self, request: GetApiKey) -> ApiKeyView:
        entry = await self._find(self._directory.api_keys, request.organization, request.id)
        return self._api_key(entry, datetime.now(UTC))

    def _api_key(self, entry: Entry[ApiKey], now: datetime) -> ApiKeyView:
        return views.api_key_view(entry.id, entry.created_at, entry.state, now, self._last_use)

    async def credentials(self, request: ListCredentials) -> Page[CredentialView]:
        now, position = datetime.now(UTC), _position(request)
        entries = self._directory.credentials.beside(
            request.organization, position, newest=request.sort == "-created_at"
        )
        found, looked = chosen(entries, request, now, _limit(request) + 1)
        page = _page(request, [(entry.first, self._credential(entry, now)) for entry in found])
        if page.next_cursor is None and looked is not None:
            page = page.model_copy(update={"next_cursor": cursor_after(looked)})
        return page

    async def credential(self, request: GetCredential) -> CredentialView:
        entry = await self._find(self._directory.credentials, request.organization, request.id)
        return self._credential(entry, datetime.now(UTC))

    def _credential(self, entry: Entry[Credential], now: datetime) -> CredentialView:
        return views.credential_view(
            entry.organization, entry.id, entry.created_at, entry.state, now, self._last_use
        )

    async def check_acl(self, request: CheckAcl) -> AclAnswer:
        """As for a connection by the issued client id. Nothing is allowed to what has ended."""
        entry = await self._find(self._directory.credentials, request.organization, request.id)
        allowing = acl_check.allowing(request, entry.state)
        active = standing(entry.state, datetime.now(UTC)) == "active"
        if allowing is None or not active or not self._directory.active(entry.organization):
            return AclAnswer(allowed=False)
        return AclAnswer(allowed=True, filter=allowing)

    async def integrations(self, request: List) -> Page[IntegrationView]:
        """The hosted one first: it is as old as the organization."""
        start = _position(request)
        found: list[tuple[int, IntegrationView]] = []
        owner = self._owner(request.organization)
        if owner is not None and owner.first > start:
            found.append((owner.first, self._hosted(owner)))
        for entry in self._directory.integrations.after(request.organization, start):
            if entry.state.status == "active":
                found.append((entry.first, _integration(entry)))
            if len(found) > LIMIT_MAX:
                break
        return _page(request, found)

    async def integration(self, request: GetIntegration) -> IntegrationView:
        owner = self._owner(request.organization)
        if request.id == HOSTED and owner is not None:
            return self._hosted(owner)
        entry = await self._find(self._directory.integrations, request.organization, request.id)
        if entry.state.status == "ended":
            raise Refused("not_found")
        return _integration(entry)

    async def webhooks(self, request: List) -> Page[WebhookView]:
        start, now = _position(request), datetime.now(UTC)
        later = self._directory.webhooks.after(request.organization, start)
        found = [
            (entry.first, views.webhook_view(entry.id, entry.created_at, entry.state, now))
            for entry in later
            if entry.state.status == "active"
        ]
        return _page(request, found)

    async def webhook(self, request: GetWebhook) -> WebhookView:
        entry = await self._find(self._directory.webhooks, request.organization, request.id)
        if entry.state.status == "ended":
            raise Refused("not_found")
        return views.webhook_view(entry.id, entry.created_at, entry.state, datetime.now(UTC))

    def _hosted(self, owner: Entry[Organization]) -> IntegrationView:
        entry = self._directory.hosted.get(owner.id, owner.id)
        return views.hosted_view(owner, entry.state if entry is not None else HostedIntegration())

    async def alert_rules(self, request: List) -> Page[AlertRuleView]:
        """The built-in one first: it is as old as the organization."""
        start = _position(request)
        found: list[tuple[int, AlertRuleView]] = []
        owner = self._owner(request.organization)
        if owner is not None and owner.first > start:
            found.append((owner.first, self._built_in(owner)))
        held = self._directory.alert_rules.after(request.organization, start)
        found += [
            (entry.first, views.alert_rule_view(entry.id, entry.created_at, entry.state))
            for entry in held
            if entry.state.rule is not None
        ]
        return _page(request, found)

    async def alert_rule(self, request: GetAlertRule) -> AlertRuleView:
        owner = self._owner(request.organization)
        if request.id == LINKS and owner is not None:
            return self._built_in(owner)
        entry = await self._find(self._directory.alert_rules, request.organization, request.id)
        if entry.state.rule is None:
            raise Refused("not_found")
        return views.alert_rule_view(entry.id, entry.created_at, entry.state)

    def _built_in(self, owner: Entry[Organization]) -> AlertRuleView:
        entry = self._directory.built_in_rules.get(owner.id, owner.id)
        state = entry.state if entry is not None else BUILT_IN_RULE
        return views.alert_rule_view(LINKS, owner.created_at, state)

    async def _find(self, table: Table[StateT], organization: str, id: str) -> Entry[StateT]:
        """Another replica may have written it a moment ago; Refused("not_found")."""
        if table.get(organization, id) is None:
            await self._directory.catch_up()
        entry = table.get(organization, id)
        if entry is None:
            raise Refused("not_found")
        return entry

    def _owner(self, organization: str) -> Entry[Organization] | None:
        active = self._directory.active(organization)
        return self._directory.organizations.by_id[organization] if active else None


def _integration(entry: Entry[Integration]) -> IntegrationView:
    return views.integration_view(entry.id, entry.created_at, entry.state, datetime.now(UTC))


def _list(request: List, table: Table[StateT], view: Callable[[Entry[StateT]], ViewT]) -> Page[ViewT]:
    entries = table.after(request.organization, _position(request))[: _limit(request) + 1]
    return _page(request, [(entry.first, view(entry)) for entry in entries])


def _page(request: List, found: list[tuple[int, ViewT]]) -> Page[ViewT]:
    limit, size = _limit(request), 0
    items: list[ViewT] = []
    for _, view in found:
        size += len(view.model_dump_json())
        if len(items) == limit or (items and size > PAGE_BYTES_MAX):
            break
        items.append(view)
    more = len(items) < len(found)
    return Page(items=items, next_cursor=cursor_after(found[len(items) - 1][0]) if more else None)


def cursor_after(sequence: int) -> str:
    return base64.urlsafe_b64encode(b"after:%d" % sequence).decode()


def _limit(request: List) -> int:
    if not 1 <= request.limit <= LIMIT_MAX:
        raise Refused("request.invalid", f"between 1 and {LIMIT_MAX}", field="limit")
    return request.limit


def _position(request: List) -> int:
    """The sequence that the page before ended with."""
    return position(request.cursor)


def position(cursor: str | None) -> int:
    """The sequence that a page ended with, from the cursor that `cursor_after` gave."""
    if cursor is None:
        return 0
    try:
        text = base64.b64decode(cursor, altchars=b"-_", validate=True)
        word, _, number = text.partition(b":")
        if word == b"after" and number.isdigit():
            return int(number)
    except ValueError:  # not base64, or more digits than a number has
        pass
    raise Refused("cursor.invalid", "take `next_cursor` of the page before as it is", field="cursor")
