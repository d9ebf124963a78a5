"""What a tenant sets of detections: what differs from the defaults, checked."""

from datetime import timedelta

import pytest

from policies.sightings import Rule
from tenants.detection_policy import DetectionPolicy
from tenants.errors import InvalidValue

DAY = timedelta(days=1)


def test_a_policy_keeps_what_differs_and_nothing_else() -> None:
    policy = DetectionPolicy().changed({"new_device": None, "new_country": Rule(3, DAY), "client_refusals": None})
    policy = policy.changed({"client_refusals": DetectionPolicy().rule_for("client_refusals")})
    assert policy.stored() == {"new_device": None, "new_country": [3, 86_400]}
    assert DetectionPolicy.from_stored(policy.stored() | {"of_a_later_release": [1, 60]}) == policy
    assert policy.rule_for("new_device") is None
    assert "new_device" not in policy.rules()
    assert policy.rules()["new_country"] == Rule(3, DAY)


@pytest.mark.parametrize(
    "rule", [Rule(0, DAY), Rule(501, DAY), Rule(1, timedelta(seconds=59)), Rule(1, timedelta(days=7, seconds=1))]
)
def test_what_is_no_rule_is_refused(rule: Rule) -> None:
    with pytest.raises(InvalidValue):
        DetectionPolicy().changed({"new_device": rule})


@pytest.mark.parametrize("rule", [Rule(1, timedelta(seconds=60)), Rule(500, timedelta(days=7))])
def test_the_borders_of_what_is_one(rule: Rule) -> None:
    assert DetectionPolicy().changed({"new_device": rule}).rule_for("new_device") == rule
    assert DetectionPolicy().changed({"client_refusals": Rule(1_000_000, DAY)}).rules()
