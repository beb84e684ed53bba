import pytest
from typer.testing import CliRunner

from console.cli import main


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a wrong call prints on stderr; it must be told as wrong use."""
    assert main.code_of(lambda: main.build()(list(words), standalone_mode=False)) == main.EXIT_USAGE
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("run", "nonsense"), "没有 'nonsense'；可用：'intake'"),
        (("run", "intake"), "须指明 LANE"),
        (("mesages",), "没有命令 'mesages'，是否应为 'messages'？"),
        (("status", "--bad"), "没有选项 --bad"),
        (("messages", "list", "--limit", "0"), "'--limit' 不可用：须不小于 1"),
        (("messages", "list", "--limit", "x"), "须为整数"),
        (("publish", "message", "--app", "his"), "缺少选项 '--type'"),
        (("messages", "get", "x", "y"), "多出的参数：y"),
        (("messages", "get", "x"), "x 不是 UUID"),
    ],
)
def test_a_wrong_call_is_told_in_chinese(capsys: pytest.CaptureFixture[str], call: tuple[str, ...], told: str) -> None:
    """What is wrong, how it is called, where the help is; none of it in the library's English."""
    shown = said(capsys, *call)
    assert told in shown
    assert "用法：medpost" in shown or "用法：" in shown
    assert "--help" in shown
    assert not any(word in shown for word in ("Usage", "Error", "Invalid", "Try "))


@pytest.mark.parametrize("call", [["--help"], ["messages", "list", "--help"], ["run", "--help"]])
def test_help_pages_are_chinese(call: list[str]) -> None:
    """Titles of the panels, the help option itself, what is required."""
    shown = CliRunner().invoke(main.build(), call).output
    assert "用法：" in shown
    assert "选项" in shown
    assert "显示帮助" in shown
    assert not any(word in shown for word in ("Usage", "Options ─", "Show this", "[required]", "[default"))


def test_a_noun_alone_shows_its_help_once(capsys: pytest.CaptureFixture[str]) -> None:
    """And no complaint behind it."""
    assert main.code_of(lambda: main.build()(["messages"], standalone_mode=False)) == main.EXIT_USAGE
    shown = capsys.readouterr()
    assert shown.out.count("用法：") == 1
    assert shown.err.strip() == ""
