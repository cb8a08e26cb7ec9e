"""Tables on a terminal: the name of a row stays whole, or is cut where its words end."""

import pytest

from ganaudit.cli.console import Console

LONG = "adversarial-robustness/false-alarm-robustness-at-0.02"
WORDS = "not assessable: " + "why it cannot be measured " * 8


def drawn(capsys, width, names):
    console = Console()
    console._out.width = width
    console.table("numbers", ["measure", "value", "null"], [[name, WORDS, "-"] for name in names])
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_name_that_fits_half_of_the_width_is_one_line(capsys, width):
    names = ["augmentation-bias/invariance-hflip", "a/b"]
    assert [row[0] for row in drawn(capsys, width, names) if row and row[0]] == names


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_longer_name_is_cut_behind_a_stroke_or_hyphen(capsys, width):
    lines = [row[0] for row in drawn(capsys, width, [LONG]) if row and row[0]]
    assert len(lines) > 1
    assert "".join(lines) == LONG
    assert all(line[-1] in "-/" for line in lines[:-1])
    assert max(map(len, lines)) <= width // 2


def test_a_name_without_a_place_to_cut_is_not_lost(capsys):
    lines = [row[0] for row in drawn(capsys, 60, ["x" * 90]) if row and row[0]]
    assert "".join(lines) == "x" * 90


def test_a_table_without_rows_is_drawn(capsys):
    Console().table("none", ["a", "b"], [])
    assert "none" in capsys.readouterr().out


def test_no_word_becomes_a_picture(capsys):
    console = Console()
    console.table("a:b:", [":b:"], [["c:b:d"]])
    console.text(":smiley:")
    console.say("path x:b: here")
    console.error("x:b: [bold]no[/bold]")
    out, err = capsys.readouterr()
    assert all(text in out for text in ("a:b:", "c:b:d", ":smiley:"))
    assert "path x:b: here" in err
    assert "error: x:b: [bold]no[/bold]" in err
