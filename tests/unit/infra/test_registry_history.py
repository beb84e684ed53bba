"""Tests of the registry's history: what is kept of an apply, and what is shown of it."""

from infra.registry_changes import ADDED, CHANGED, Change
from infra.registry_history import LONGEST_CHARS, Applied, key_of, matching, records_of
from schemas.configuration import ConfigChange, ConfigVersion, MemberChange

CHANGES = [
    Change("types", "lab_report", CHANGED, (("lane", "normal", "urgent"),)),
    Change("recipients", "P0001", ADDED),
    Change("recipients", "P0002", ADDED),
    Change("recipients", "P0003", CHANGED, (("addresses.sms.value", "***", "***"),)),
]


def test_objects_are_kept_one_by_one_and_people_by_number() -> None:
    """No id of a person, in no member and no key."""
    kept = list(records_of(CHANGES, 7, 1_000, "duty"))
    assert kept == [
        ConfigChange(
            7, 1_000, "duty", "types", "lab_report", CHANGED, members=[MemberChange("lane", "normal", "urgent")]
        ),
        ConfigChange(7, 1_000, "duty", "recipients", "", ADDED, 2),
        ConfigChange(7, 1_000, "duty", "recipients", "", CHANGED, 1),
    ]
    assert [key_of(one) for one in kept] == [b"types/lab_report", b"recipients/", b"recipients/"]


def test_a_long_text_is_cut() -> None:
    """A history is read, and its records have a size."""
    (kept,) = records_of([Change("types", "t", CHANGED, (("text", "", "字" * 9_999),))], 1, 1, "a")
    assert len(kept.members[0].after) == LONGEST_CHARS + 1


def test_asking_for_an_object_leaves_out_the_rest() -> None:
    """Applies without it are not listed, nor what else one changed."""
    lab, app = ConfigChange(kind="types", object_id="lab"), ConfigChange(kind="apps", object_id="his")
    history = [Applied(ConfigVersion(2), (app,)), Applied(ConfigVersion(1), (app, lab))]
    assert matching(history, "types", "") == [Applied(ConfigVersion(1), (lab,))]
    assert matching(history, "", "his") == [Applied(ConfigVersion(2), (app,)), Applied(ConfigVersion(1), (app,))]
    assert matching(history, "", "") == history
    assert matching(history, "channels", "his") == []
