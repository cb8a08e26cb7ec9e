"""The chain of review.json: whatever byte of it is changed, and whatever entry is taken out, is told."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.errors import DocumentError
from ganaudit.reviewing.folder import append, load_review, review_path
from ganaudit.reviewing.record import Comment, Review, linked, parse_review, review_text


def said(text: str, reviewer: str = "R") -> dict[str, Any]:
    return {"reviewer": reviewer, "role": "", "time": "2026-12-01T09:00:00+00:00", "text": text, "gate": "",
            "document": f"sha256:{'a' * 64}"}  # fmt: skip


def review(*texts: str) -> Review:
    made = Review()
    for text in texts:
        made = made.model_copy(update={"entries": [*made.entries, linked(made, Comment, said(text))]})
    return made


def test_the_chain_is_what_the_docstring_says() -> None:
    # The digest is taken here by hand: canonical JSON of everything but itself, each holding the one before.
    entries = json.loads(review_text(review("one", "två ⟨", "three")))["entries"]
    before = None
    for number, entry in enumerate(entries, start=1):
        assert (entry["before"], entry["number"]) == (before, number)
        rest = {k: v for k, v in entry.items() if k != "digest"}
        text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        before = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        assert entry["digest"] == before


def test_every_changed_byte_is_told() -> None:
    text = review_text(review("one", "two", "three")).encode()
    assert parse_review(text.decode(), "r").head is not None
    rng = random.Random(0)
    for place in range(len(text)):
        for other in {text[place] ^ (1 << rng.randrange(7)), rng.randrange(32, 127), 32, 10} - {text[place]}:
            spoilt = text[:place] + bytes([other]) + text[place + 1 :]
            with pytest.raises(DocumentError):
                parse_review(spoilt.decode("utf-8"), "r")


def test_bytes_that_are_put_in_or_taken_out_are_told() -> None:
    text = review_text(review("one", "two"))
    for place in range(0, len(text), 7):
        for spoilt in (text[:place] + " " + text[place:], text[:place] + text[place + 1 :]):
            if spoilt != text:
                with pytest.raises(DocumentError):
                    parse_review(spoilt, "r")
    with pytest.raises(DocumentError):
        parse_review(text + "\n", "r")


@pytest.mark.parametrize("order", [[1], [1, 2], [0, 2], [1, 0, 2], [0, 1, 1, 2]])
def test_entries_that_were_moved_taken_out_or_doubled_break_the_chain(order: list[int]) -> None:
    data = json.loads(review_text(review("a", "b", "c")))
    data["entries"] = [data["entries"][i] for i in order]
    with pytest.raises(DocumentError, match="the chain breaks at entry"):
        parse_review(json.dumps(data, indent=2, ensure_ascii=False) + "\n", "r")


def test_cutting_off_the_end_leaves_a_whole_chain_which_only_its_head_tells() -> None:
    whole = review("a", "b", "c")
    data = json.loads(review_text(whole))
    data["entries"] = data["entries"][:2]
    shorter = parse_review(json.dumps(data, indent=2, ensure_ascii=False) + "\n", "r")
    assert shorter.head != whole.head


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", "[" * 10_000, '{"schema": "ganaudit.review/2", "entries": []}',
     '{"schema": "ganaudit.review/1", "entries": {}}', '{"schema": "ganaudit.review/1", "entries": [1]}'],
)  # fmt: skip
def test_what_is_no_review_is_told(text: str) -> None:
    with pytest.raises(DocumentError):
        parse_review(text, "r")


def test_an_entry_with_a_key_of_its_own_is_refused_even_with_a_digest_that_fits() -> None:
    made = linked(Review(), Comment, said("x")).model_dump(mode="json")
    made["extra"] = 1
    rest = {k: v for k, v in made.items() if k != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    made["digest"] = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    data = {"schema": "ganaudit.review/1", "entries": [made]}
    with pytest.raises(DocumentError, match="extra"):
        parse_review(json.dumps(data, indent=2, ensure_ascii=False) + "\n", "r")


def test_any_text_comes_back_as_it_was(tmp_path: Path) -> None:
    texts = ["<script>", "a\r\nb", "\x00\x1b[31m", "‮abc", "\udc80", "𝔘", "'\"&|"]
    for text in texts:
        append(tmp_path, lambda review, text=text: linked(review, Comment, said(text)))
    assert [c.text for c in load_review(tmp_path).comments] == texts
    assert sorted(p.name for p in tmp_path.iterdir()) == ["review.json"]


def test_a_review_that_is_no_text_or_no_file_is_told(tmp_path: Path) -> None:
    review_path(tmp_path).write_bytes(b"\xff\xfe")
    with pytest.raises(DocumentError, match="no text"):
        load_review(tmp_path)
    review_path(tmp_path).unlink()
    review_path(tmp_path).mkdir()
    with pytest.raises(DocumentError, match="cannot be read"):
        load_review(tmp_path)
