"""Paths into a parsed message: `body.values`, `r.0.t`; a dot in a key is written `\\.`."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field

from contracts.failures import Unprocessable

PATH_CHARS_MAX = 256
STEPS_MAX = 32  # as deep as a message may nest
_STEP = re.compile(r"(?:[^.\\]|\\[.\\])+")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Path(NamedTuple):
    """What a setting says, ready to be followed."""

    setting: str  # its name, for who reads the dead letter
    text: str
    steps: tuple[
        tuple[str, int], ...
    ]  # the key in an object, the index in an array; -1 where it is no number

    def find(self, content: Any) -> Any:
        """What lies there; `path.unmatched` says how far the path leads."""
        at = content
        for done, (key, index) in enumerate(self.steps):
            if type(at) is dict and key in at:
                at = at[key]
            elif type(at) is list and 0 <= index < len(at):
                at = at[index]
            else:
                raise self._unmatched(at, done)
        return at

    def _unmatched(self, at: Any, done: int) -> Unprocessable:
        texts = split(self.text)
        reached = f"`{'.'.join(texts[:done])}`" if done else "the message"
        return self.mismatch(f"{reached} is {named(at)}, without `{texts[done]}`")

    def mismatch(self, why: str) -> Unprocessable:
        detail = f"`{self.setting}` is `{self.text}`: {why}"
        return Unprocessable("path.unmatched", detail, field=f"decoder.settings.{self.setting}")


def named(value: Any) -> str:
    """What a JSON value is, in words."""
    match value:
        case dict():
            return "an object"
        case list():
            return f"an array of {len(value)}"
        case str():
            return "a text"
        case bool() | None:
            return "null" if value is None else "true or false"
        case _:
            return "a number"


def split(text: str) -> list[str]:
    """The steps as they are written; ValueError where this is no path."""
    steps = _STEP.findall(text)
    if ".".join(steps) != text or not steps:
        raise ValueError(
            "a path is keys and indexes with dots between: body.values, r.0.t; `\\.` is a dot in a key"
        )
    if len(steps) > STEPS_MAX:
        raise ValueError(f"a path has at most {STEPS_MAX} steps")
    return steps


def path(setting: str, text: str) -> Path:
    keys = [re.sub(r"\\(.)", r"\1", step) for step in split(text)]
    return Path(setting, text, tuple((key, int(key) if _INDEX.fullmatch(key) else -1) for key in keys))


def _checked(text: str) -> str:
    split(text)
    return text


PathText = Annotated[str, Field(min_length=1, max_length=PATH_CHARS_MAX), AfterValidator(_checked)]
