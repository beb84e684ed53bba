"""What docs/hook-up.md promises is what the simulators, the registry and the command line do."""

import re
from pathlib import Path

import pytest
import typer

from console.cli.main import build
from infra.simulators.aliyun import Aliyun
from infra.simulators.exchange import Action, Provider
from infra.simulators.standard import Standard
from infra.simulators.tencent import Tencent
from sinks.codebook import load

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "hook-up.md").read_text("utf-8")
ROWS = re.findall(r"^\| P(90\d\d) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
SAMPLE = ROOT / "console" / "sample" / "registry"
BY_KIND = {"throttle": "rate_limited", "cut": "unknown_outcome"}


def word_of(provider: Provider, tail: str, good: str) -> str:
    """Status or reason with which a message to that recipient ends, or begins to end."""
    action = provider.magic.get(tail, Action())
    if action.kind == "code":
        codes = load(provider.name)
        code = action.code if codes.reason_of(action.code) else f"http_{action.code}"
        return str(codes.reason_of(code))
    return BY_KIND.get(action.kind, good)


def test_the_page_has_its_table() -> None:
    """Twelve recipients, each once."""
    assert [number for number, _, _ in ROWS] == [f"90{number:02}" for number in range(1, 13)]


@pytest.mark.parametrize(("number", "sms", "webhook"), ROWS)
def test_a_magic_recipient_meets_its_fate(number: str, sms: str, webhook: str) -> None:
    """With both SMS providers and with the webhook."""
    tail = number.replace("90", "00", 1)
    for provider in (Aliyun(), Tencent()):
        assert f"`{word_of(provider, tail, 'sent')}`" in sms
    assert f"`{word_of(Standard(), tail, 'delivered')}`" in webhook


@pytest.mark.parametrize("number", [row[0] for row in ROWS])
def test_the_sample_s_patients_have_magic_addresses(number: str) -> None:
    """The number's last digits and the endpoint's."""
    text = (SAMPLE / "recipients.yaml").read_text("utf-8")
    assert f'addresses: {{sms: "138000000{number[2:]}", webhook: app/P{number}' in text
    assert Standard().magic_tail(f"app/P{number}") == f"00{number[2:]}"


def test_the_demo_keys_are_the_sample_s() -> None:
    """Secrets that the page and the Java sample name."""
    apps = (SAMPLE / "apps.yaml").read_text("utf-8")
    java = (ROOT / "samples/java/src/main/java/medpost/sample/SendOne.java").read_text("utf-8")
    assert set(re.findall(r"demo-only-[a-z0-9-]+", PAGE + java)) <= set(re.findall(r"demo-only-[a-z0-9-]+", apps))


def test_every_command_of_the_page_exists() -> None:
    """`medpost` and what follows it."""
    root = typer.main.get_command(build())
    for line in re.findall(r"^\.venv/bin/medpost (.*)$", PAGE, re.MULTILINE):
        command = root
        for word in line.split():
            found = getattr(command, "commands", {}).get(word)
            if found is None:
                break
            command = found
        assert command is not root
        assert not getattr(command, "commands", {}), line


def test_every_link_of_the_page_leads_somewhere() -> None:
    """Files and folders of this repository."""
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
