from collections import Counter

from console.cli.registry import sample_folder
from schemas.errors import Reason
from schemas.statuses import Lane
from tests.ledger.offer import CUT, FORGER, KEYS, KINDS, MAGIC, REFUSALS, Wanted, wanted

MANY = [wanted(number, 1) for number in range(5_000)]


def test_the_same_number_and_seed_make_the_same_message() -> None:
    """A run can be repeated; another seed has other references."""
    assert wanted(17, 1) == MANY[17]
    assert wanted(17, 2).message_id != MANY[17].message_id


def test_references_are_unique() -> None:
    """No two messages of a run are the same message by accident."""
    assert len({one.message_id for one in MANY}) == len(MANY)


def test_the_mix_is_mostly_normal_with_some_urgent_and_bulk() -> None:
    """Shares of lanes as the kinds say."""
    assert sum(kind.share for kind in KINDS) == 1.0
    lanes = Counter(one.lane for one in MANY)
    assert lanes[Lane.NORMAL] > lanes[Lane.URGENT] > lanes[Lane.BULK] > 400


def test_few_are_made_to_fail_and_fewer_to_be_refused() -> None:
    """Every magic recipient and every refusal occurs, together in a few of a hundred."""
    people = Counter(one.request.recipient[1] for one in MANY)
    assert all(people[patient] for patient in MAGIC)
    refusals = Counter(one.refusal for one in MANY if one.refusal)
    assert {*refusals} == {*REFUSALS}
    assert 25 < refusals.total() < 100


def test_nobody_is_cut_off_when_the_end_is_near() -> None:
    """Late messages have no recipient whose provider cuts the socket; the others are as before."""
    late = [wanted(number, 1, may_be_cut=False) for number in range(5_000)]
    differing = [early for early, one in zip(MANY, late, strict=True) if early != one]
    assert {one.request.recipient[1] for one in differing} == {CUT}
    assert all(one.request.recipient[1] != CUT for one in late)


def test_what_must_be_refused_is_spoiled_in_that_way_alone() -> None:
    """Each refusal has its cause, and the others do not have it."""
    for one in MANY:
        assert (one.client == FORGER) == (one.refusal == Reason.TOKEN_SIGNATURE)
        assert (one.request.type == "no_such_type") == (one.refusal == Reason.TYPE_UNKNOWN)
        assert (not one.request.personalisation) == (one.refusal == Reason.MISSING_PARAMETER)
        assert (one.request.recipient[1] == "P8888") == (one.refusal == Reason.RECIPIENT_UNKNOWN)
        assert _is_granted(one) != (one.refusal in (Reason.TYPE_NOT_GRANTED, Reason.TYPE_UNKNOWN))


def _is_granted(one: Wanted) -> bool:
    granted = {kind.type: kind.app_id for kind in KINDS}
    is_forged = one.client == FORGER
    return is_forged or granted.get(one.request.type) == one.app_id


def test_the_keys_are_the_samples() -> None:
    """The sample registry knows every key that is used here."""
    text = (sample_folder() / "apps.yaml").read_text("utf-8")
    assert all(f"id: {app}-1\n        secret: {key}" in text for app, key in KEYS.items())
