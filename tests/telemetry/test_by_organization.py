"""Metrics by organization: however many there are, so many series and no more."""

from collections import Counter

from opentelemetry.metrics import CallbackOptions

from services.telemetry.by_organization import ORGANIZATIONS_MAX, OTHER, ByOrganization


def test_of_more_organizations_than_a_label_may_have_the_rest_is_told_together() -> None:
    held = ByOrganization()
    held._add("messages", Counter({f"org_{number}": 2 for number in range(ORGANIZATIONS_MAX + 5)}))
    held._add("messages", Counter({"org_0": 1, "org_new": 1}))
    told = {
        str((each.attributes or {})["organization"]): each.value
        for each in held._told("messages")(CallbackOptions())
    }
    assert len(told) == ORGANIZATIONS_MAX + 1
    assert (told["org_0"], told[OTHER]) == (3, 5 * 2 + 1)
    assert "org_new" not in told
