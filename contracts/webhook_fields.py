"""What may stand in the settings of a webhook: addresses, kinds of events, headers."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from contracts.broker_topics import TopicFilter
from contracts.credentials import DeviceId

EVENTS_MAX, FILTERS_MAX, DEVICES_MAX = 50, 20, 100
URL_CHARS_MAX = 2048
HEADERS_MAX, HEADER_CHARS_MAX = 10, 1024
GRACE_SECONDS_MAX = 7 * 24 * 3600

_PATTERN = re.compile(r"[a-z][a-z0-9_-]{0,63}(\.[a-z0-9_-]{1,64}){0,4}(\.\*)?|\*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # a token (RFC 9110 §5.6.2)
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# What the connection, the specification or the body decides.
_OWN_HEADERS = frozenset(
    ("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection",
     "keep-alive", "upgrade", "te", "trailer", "expect", "user-agent", "date")
)  # fmt: skip
_OWN_PREFIXES = ("webhook-", "proxy-")


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        wrong = _objection(text, parts)
    except ValueError as error:
        raise ValueError("it is no URL") from error
    if wrong is not None:
        raise ValueError(wrong)
    return text


def _objection(text: str, parts: SplitResult) -> str | None:
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return "it holds what no URL holds; percent-encode it, and write names in punycode"
    if parts.scheme not in ("https", "http"):
        return "it begins with https://"
    if parts.username is not None or parts.password is not None:
        return "no user and password in it: send them as a header, whose value is kept as a secret"
    if not parts.hostname:
        return "it names no host"
    if parts.port == 0:
        return "a port lies between 1 and 65535"
    if "#" in text:
        return "a fragment is never sent"
    return None


def _header_name(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError("it is no name of a header")
    if name.lower() in _OWN_HEADERS or name.lower().startswith(_OWN_PREFIXES):
        raise ValueError("this header is not yours to set")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
        raise ValueError("visible ASCII characters and spaces between them")
    return value


def _pattern(text: str) -> str:
    if not _PATTERN.fullmatch(text):
        raise ValueError("a kind (`link.down`), all below one (`link.*`), `message`, or `*`")
    return text


def _filter(text: str) -> str:
    return TopicFilter(filter=text).filter


Url = Annotated[str, StringConstraints(min_length=8, max_length=URL_CHARS_MAX), AfterValidator(_url)]
Pattern = Annotated[str, StringConstraints(max_length=200), AfterValidator(_pattern)]
Filter = Annotated[str, AfterValidator(_filter)]
Events = Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=EVENTS_MAX)]
TopicFilters = Annotated[tuple[Filter, ...], Field(max_length=FILTERS_MAX)]
Devices = Annotated[tuple[DeviceId, ...], Field(max_length=DEVICES_MAX)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[
    SecretStr, Field(min_length=1, max_length=HEADER_CHARS_MAX), AfterValidator(_header_value)
]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(max_length=HEADERS_MAX)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
GraceSeconds = Annotated[int, Field(ge=0, le=GRACE_SECONDS_MAX)]
