"""Names of people: held against Unicode's own properties and against names as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganaudit.document.names import same_person, unseen_in

# From the tables of the Unicode standard (Default_Ignorable_Code_Point, and the empty Braille pattern).
UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u202a\u202e\u2060\u2066\u206f\u2800\u3164"
    "\ufe0f\ufeff\uffa0\U000e0001\U000e0100\x00\x07\x1b\x7f\x9b"
)
NAMES = (
    "Ann Lee",
    "Zoë Müller-Łukasz",
    "李 小龍",
    "Ὀδυσσεύς",
    "محمد علي",
    "अनिल कुमार",
    "김민준",
    "O'Neil, Jr.",
    "R\u00a0D",
    "Ａｄａ",
)


@pytest.mark.parametrize("c", UNSEEN, ids=lambda c: f"{ord(c):04X}")
@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_sees_makes_no_other_person_and_is_told(name: str, c: str) -> None:
    for place in (0, 1, len(name) // 2, len(name)):
        spoilt = name[:place] + c + name[place:]
        assert same_person(name, spoilt)
        told = unseen_in(spoilt)
        assert told is not None
        assert f"U+{ord(c):04X} " in told


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_can_be_read_is_none_the_worse(name: str) -> None:
    assert unseen_in(name) is None
    assert [same_person(name, other) for other in NAMES] == [name == other for other in NAMES]


def test_two_kinds_are_both_named_once() -> None:
    told = unseen_in("a\u200bb\x1bc\u200b")
    assert told is not None
    assert told.startswith("U+200B ZERO WIDTH SPACE, U+001B a control character cannot be seen")


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("ann lee", True),
        ("ANN  LEE ", True),
        ("Ann\tLee\n", True),
        ("Ａｎｎ　Lee", True),
        ("AnnLee", False),
        ("Anne Lee", False),
    ],
)
def test_case_width_and_blanks_do_not_matter_and_letters_do(other: str, is_same: bool) -> None:
    assert same_person("Ann Lee", other) is is_same


def test_an_accent_parted_from_its_letter_is_still_its_own() -> None:
    assert same_person("Zo\u00eb", "Zoe\u200b\u0308")
    assert not same_person("Zoe", "Zoe\u200b\u0308")


@given(st.text(), st.text(alphabet=UNSEEN))
def test_a_name_is_itself_with_anything_unseen_behind_it(name: str, unseen: str) -> None:
    assert same_person(name, name + unseen)
    assert same_person(name + unseen, name)
