"""What people do at the form of a broker."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.support.browser import Visitor

ANY = "Mosquitto, or any other"


def choose(visitor: Visitor, label: str, option: str) -> None:
    visitor.page.get_by_role("combobox", name=label, exact=True).click()
    visitor.page.get_by_role("option", name=option, exact=True).click()


def begin(visitor: Visitor, preset: str) -> None:
    visitor.open("/integrations/new", "Connect a broker")
    visitor.page.get_by_role("radio", name=preset).click()


def fill(visitor: Visitor, fields: dict[str, object]) -> None:
    """By the labels that a person sees."""
    for label, value in fields.items():
        field = visitor.page.get_by_label(label, exact=True)
        field.and_(visitor.page.locator("input, textarea")).fill(str(value))


def upload(visitor: Visitor, label: str, file: Path) -> None:
    with visitor.page.expect_file_chooser() as chooser:
        visitor.page.get_by_role("button", name=f"{label} from a file").click()
    chooser.value.set_files(file)


def try_connection(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Test the connection").click()


def expect_works(visitor: Visitor) -> None:
    expect(visitor.page.get_by_text("The connection works.")).to_be_visible()


def expect_failed(visitor: Visitor, step: str, code: str, words: str) -> None:
    """The failed step, and what it says to do."""
    shown = visitor.page.get_by_role("list", name="Steps of the test").get_by_role("listitem")
    failed = shown.filter(has_text="failed")
    expect(failed).to_contain_text(step)
    expect(failed).to_contain_text(code)
    expect(failed).to_contain_text(words)
    expect(visitor.page.get_by_text("It does not connect yet.")).to_be_visible()


def save(visitor: Visitor) -> str:
    """Saves and waits for the connection; the integration's id."""
    visitor.page.get_by_role("button", name="Save and connect").click()
    expect(visitor.page.get_by_text("Connected", exact=True).first).to_be_visible()
    return visitor.page.url.rsplit("/", 1)[1].split("?")[0]
