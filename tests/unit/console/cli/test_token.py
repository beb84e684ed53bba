"""Tests of `medpost token`: minted from the registered key, or from a given one, and never showing it."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from console.cli import token as cli
from infra.clock import SystemClock
from infra.crypto import load_keyring
from infra.registry_changes import Current, sealed
from infra.settings import Settings
from infra.snapshot import Snapshot
from infra.tokens import Verifier
from schemas.configuration import DISABLED, AppKey
from schemas.errors import Permanent, Reason
from tests.hospital import APP, SECRET
from tests.key_pairs import PAIRS, Pair

Run = Callable[..., str]
OLD = AppKey("lis-0", status=DISABLED, sealed=b"x" * 32)
PUBLIC = AppKey("lis-p", "ES256", sealed=b"x" * 32)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on a registry with one application: its output."""
    monkeypatch.setenv("MEDPOST_HOME", str(tmp_path))
    app_config = msgspec.structs.replace(APP, keys=[OLD, PUBLIC, *APP.keys])
    held = Snapshot(1, apps={"lis": sealed(app_config, load_keyring(Settings(home=tmp_path)))})  # type: ignore[dict-item]  # sealed() keeps the class
    monkeypatch.setattr(cli, "read_current", lambda _settings, _keyring: Current(held))
    app = typer.Typer()
    cli.register(app)
    app.command("other")(lambda: None)  # typer collapses an app of one command

    def invoke(*words: str) -> str:
        done = CliRunner().invoke(app, ["token", *words], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.output

    return invoke


def verified(token: str) -> str:
    """The id of the key that signed it."""
    verifier = Verifier({"lis": APP}, lambda _app, key: key.sealed)
    return verifier.verify(token.strip(), "lis", SystemClock().now_ms()).key_id


def test_the_first_live_secret_of_the_application_signs(run: Run) -> None:
    """Not a disabled one, and not a public key."""
    said = run("--app", "lis")
    assert verified(said) == "lis-1"
    assert SECRET.decode() not in said


def test_a_given_secret_signs_without_asking_the_registry(run: Run) -> None:
    """And needs the name of its key."""
    assert verified(run("--app", "lis", "--key-id", "lis-1", "--secret", SECRET.decode())) == "lis-1"
    with pytest.raises(typer.BadParameter):
        run("--app", "lis", "--secret", SECRET.decode())


def test_a_secret_may_come_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it stands in no shell history."""
    monkeypatch.setenv("MEDPOST_TOKEN_SECRET", SECRET.decode())
    assert verified(run("--app", "lis", "--key-id", "lis-1")) == "lis-1"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.algorithm)
def test_a_private_key_signs_with_its_algorithm(run: Run, pair: Pair) -> None:
    """For applications whose public key is registered."""
    said = run("--app", "lis", "--key-id", "lis-2", "--algorithm", pair.algorithm, "--secret", pair.private.decode())
    keys = [AppKey("lis-2", pair.algorithm, sealed=pair.pem)]
    verifier = Verifier({"lis": msgspec.structs.replace(APP, keys=keys)}, lambda _app, key: key.sealed)
    assert verifier.verify(said.strip(), "lis", SystemClock().now_ms()).key_id == "lis-2"


def test_a_key_that_cannot_sign_so_is_refused_in_words(run: Run) -> None:
    """An unknown algorithm is wrong use, a wrong key a clear answer."""
    with pytest.raises(typer.BadParameter):
        run("--app", "lis", "--key-id", "lis-2", "--algorithm", "HS512", "--secret", "x")
    with pytest.raises(Permanent) as refused:
        run("--app", "lis", "--key-id", "lis-2", "--algorithm", "ES256", "--secret", "no key")
    assert refused.value.reason is Reason.PARAM_INVALID


@pytest.mark.parametrize(
    "words", [["--app", "nobody"], ["--app", "lis", "--key-id", "lis-0"], ["--app", "lis", "--key-id", "lis-p"]]
)
def test_nobody_signs_with_what_is_not_there(run: Run, words: list[str]) -> None:
    """An unknown application, a disabled key, a key whose private half is elsewhere."""
    with pytest.raises(Permanent) as refused:
        run(*words)
    assert refused.value.reason is Reason.APP_UNKNOWN
