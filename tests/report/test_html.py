"""The page a reviewer signs: complete, in order, safe, small and equal for equal input."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ganaudit.document.errors import DocumentError
from ganaudit.document.files import dumps
from ganaudit.document.model import AuditDocument, Gallery, Measurement, Note, Slider, Table, Triplets
from ganaudit.report.html import read_samples, render_folder, render_html
from ganaudit.report.words import number

from .golden import check
from .hostile import BAD, poisoned
from .page import Page, contrast

SCRIPT = (resources.files("ganaudit.report") / "templates" / "report.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(document: AuditDocument, samples: dict[str, bytes]) -> str:
    return render_html(document, samples)


def test_the_page_is_in_the_order_a_reviewer_reads(html: str) -> None:
    marks = [
        'class="verdict"',
        'class="facts"',
        'id="failed"',
        'article class="card',
        "Gates that passed",
        'id="warnings"',
        'id="not-run"',
        'id="glance"',
        'id="samples"',
        'id="evaluator-frechet-distance"',
        'id="evaluator-kernel-distance"',
        'id="evaluator-inception-score"',
        'id="evaluator-precision-recall"',
        'id="evaluator-discriminator-detection"',
        'id="numbers"',
        'id="identity"',
        'id="environment"',
        'id="repeat"',
        'id="limits"',
    ]
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)


def test_everything_of_the_document_is_told(html: str, document: AuditDocument) -> None:
    text = " ".join("".join(Page(html).text).split())
    for verdict in document.verdicts:
        assert verdict.message in text
        assert verdict.gate in text
        assert verdict.waiver is None or verdict.waiver.reason in text
    for result in document.results:
        assert result.title in text
        assert result.reason is None or result.reason in text
        assert result.status != "measured" or result.question in text
        assert all(w in text for w in (*result.warnings, *result.references, result.misleads))
        for m in result.measurements:
            told = (m.title, m.reason, m.unit, m.estimator if m.value is not None else None)
            assert all(t in text for t in told if t)
            if m.value is not None:
                assert (m.interval_reason if m.interval is None else m.interval.covers) in text
                assert (m.null_reason if m.null is None else m.null.rule) in text
    assert all(w in text for w in document.warnings)
    assert all(g.rule in text for g in document.galleries)
    for words in (
        document.environment.command,
        document.subject.digest,
        document.extractor.caution,
        "real against real",
    ):
        assert words in text
    assert all(split.digest in text for split in document.reference.splits.values())


def test_the_page_states_the_digest_of_its_document(html: str, document: AuditDocument) -> None:
    assert f"sha256:{hashlib.sha256(dumps(document).encode()).hexdigest()}" in html


def test_one_script_of_our_own_runs_and_nothing_is_loaded(html: str) -> None:
    page = Page(html)
    assert [a for tag, a in page.tags if tag == "script"] == [{}]
    assert re.findall(r"<script>(.*?)</script>", html, re.DOTALL) == [SCRIPT]
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"link", "iframe", "object", "embed", "base", "form", "image", "use", "foreignobject"}
    for tag, key, value in page.attributes():
        assert key != "style", f"<{tag}> has a style attribute"
        assert not key.startswith("on"), f"<{tag} {key}>"
        if key in ("href", "src", "srcset", "action", "poster", "data") or key.endswith(":href"):
            assert value.startswith(("#", "data:image/png;base64,")), f"<{tag} {key}={value[:60]!r}>"
        elif not key.startswith("xmlns"):
            assert "//" not in value or value.startswith("data:"), f"<{tag} {key}={value[:80]!r}>"
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    assert not re.search(r"url\(|@import|expression\(", style.group(1))


def test_the_script_is_small_asks_no_address_and_writes_text_alone() -> None:
    assert len(SCRIPT.encode()) <= 15_000
    assert "</" not in SCRIPT
    asks = ("http", "fetch", "XMLHttpRequest", "import", "WebSocket", "sendBeacon", "localStorage")
    writes = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", ".style", "eval", "Function")
    assert [word for word in asks + writes if word in SCRIPT] == []


def test_a_folder_holds_the_same_page_with_nothing_inside_it(
    document: AuditDocument, samples: dict[str, bytes], html: str
) -> None:
    files = render_folder(document, samples)
    page = files.pop("index.html").decode()
    assert files.pop("style.css").decode() == (resources.files("ganaudit.report") / "templates/report.css").read_text()
    assert files.pop("script.js").decode() == SCRIPT
    found = Page(page)
    assert [a for tag, a in found.tags if tag in ("link", "script")] == [
        {"rel": "stylesheet", "href": "style.css"},
        {"src": "script.js"},
    ]
    assert "style" not in {tag for tag, _ in found.tags}
    shown = set()
    for tag, key, value in found.attributes():
        assert key != "style"
        assert not key.startswith("on")
        if key != "xmlns":
            assert not value.startswith(("data:", "javascript:", "http", "//")), f"<{tag} {key}={value[:60]!r}>"
        if key == "src" and tag == "img":
            shown.add(value)
    assert shown == set(files)
    assert all(re.fullmatch(r"images/[0-9a-f]{32}\.png", name) for name in files)
    (policy,) = [a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert "unsafe" not in (policy or "")
    assert "data:" not in (policy or "")
    # Word for word what the one file says, with the same pictures.
    assert " ".join("".join(found.text).split()) == " ".join(
        "".join(Page(re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL)).text).split()
    )
    sources = [v for tag, key, v in Page(html).attributes() if (tag, key) == ("img", "src")]
    inside = [base64.b64decode(source.partition(",")[2]) for source in sources]
    assert {hashlib.sha256(content).hexdigest() for content in inside} == {
        hashlib.sha256(content).hexdigest() for content in files.values()
    }


def test_a_folder_keeps_to_its_bytes_too(document: AuditDocument, samples: dict[str, bytes]) -> None:
    whole = sum(map(len, render_folder(document, samples).values()))
    thinned = render_folder(document, samples, most_bytes=whole - 1)
    assert sum(map(len, thinned.values())) < whole
    assert "This page is thinned" in thinned["index.html"].decode()
    with pytest.raises(DocumentError, match="would exceed 1000 bytes"):
        render_folder(document, samples, most_bytes=1000)


def test_the_policy_of_the_page_names_its_own_style_and_script_and_nothing_else(html: str) -> None:
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest, of_script = (base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (style[1], SCRIPT))
    metas = [a for tag, a in Page(html).tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert [m["content"] for m in metas] == [
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; script-src 'sha256-{of_script}'; "
        "base-uri 'none'; form-action 'none'"
    ]
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_ids_are_unique_and_every_anchor_and_label_leads_somewhere(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    named = set(page.ids)
    for tag, key, value in page.attributes():
        if key == "href":
            assert value.removeprefix("#") in named, value
        named_by = ("aria-labelledby", "aria-describedby", "for", "data-table", "data-copies", "data-filters")
        if key in (*named_by, "data-a", "data-b"):
            assert set(value.split()) <= named, value
        for reference in re.findall(r"url\(#([^)]+)\)", value) if tag != "meta" else []:
            assert reference in named


def test_the_page_is_accessible_in_what_a_parser_can_see(html: str) -> None:
    page = Page(html)
    tags = [tag for tag, _ in page.tags]
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert tags.count("main") == tags.count("header") == tags.count("h1") == 1
    assert [a["aria-label"] for tag, a in page.tags if tag == "nav"] == ["Contents", "Evaluators"]
    assert page.headings[0] == 1
    assert all(b <= a + 1 for a, b in zip(page.headings, page.headings[1:], strict=False)), page.headings
    assert all(len(a.get("alt") or "") > 20 for tag, a in page.tags if tag == "img")
    assert all("scope" in a for tag, a in page.tags if tag == "th")
    charts = [a for tag, a in page.tags if tag == "svg"]
    assert len(charts) == 6
    assert all(a["role"] == "graphics-document" and a["aria-labelledby"] and a["aria-describedby"] for a in charts)
    # Status is told by word, icon and colour.
    for outcome in ("failed", "missing", "inconclusive", "waived", "passed"):
        assert re.search(rf'class="badge \w+"><span class="mark" aria-hidden="true">.</span> {outcome}<', html)


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_stands_out_from_its_ground(html: str, scheme: int) -> None:
    blocks = re.findall(r":root \{([^}]*)\}", html)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[scheme]))
    pairs = [(ink, ground) for ink in ("ink", "soft", "link") for ground in ("page", "raised")]
    tones = ("good", "bad", "doubt", "calm")
    pairs += [(tone, f"{tone}-page") for tone in tones] + [(ink, f"{t}-page") for ink in ("ink", "link") for t in tones]
    for ink, ground in pairs:
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def test_hostile_strings_stay_text(document: AuditDocument, samples: dict[str, bytes]) -> None:
    page = render_html(poisoned(document), samples)
    assert BAD in "".join(Page(page).text)
    tags = {tag for tag, _ in Page(page).tags}
    assert "script" in tags
    assert page.count("<script") == page.count("</script") == 1
    assert f"<script>{SCRIPT}</script>" in page
    assert "alert(1)</" not in page
    assert page.count("</style>") == 1
    for tag, key, value in Page(page).attributes():
        assert not key.startswith("on")
        assert key != "style"
        if key in ("href", "src"):
            assert value.startswith(("#", "data:image/png;base64,")), (tag, value[:60])
        assert re.fullmatch(r"[\w:.-]+", key), f"a string of the document became an attribute: {key!r}"


def test_invisible_and_reordering_characters_are_spelt_out(document: AuditDocument) -> None:
    subject = document.subject.model_copy(update={"name": "good\u202egnp.exe\x00\x1b[31m\ud800\u2066"})
    page = render_html(document.model_copy(update={"subject": subject}), {})
    assert "good⟨U+202E⟩gnp.exe⟨U+0000⟩⟨U+001B⟩[31m⟨U+D800⟩⟨U+2066⟩" in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)


def test_equal_documents_give_equal_bytes(document: AuditDocument, samples: dict[str, bytes], html: str) -> None:
    again = AuditDocument.model_validate_json(dumps(document))
    assert render_html(again, dict(reversed(samples.items()))) == html


def test_the_page_of_a_common_audit_is_small(html: str) -> None:
    assert len(html.encode()) < 400_000


def noise(seed: int, size: int) -> bytes:
    buffer = io.BytesIO()
    pixels = b"".join(hashlib.sha512(f"{seed}{i}".encode()).digest() for i in range(size * size * 3 // 64))
    Image.frombytes("RGB", (size, size), pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_samples_before_and_after_a_change_are_three_pictures_and_their_words(
    document: AuditDocument, samples: dict[str, bytes], html: str
) -> None:
    (shown,) = [d for r in document.results for d in r.details if isinstance(d, Triplets)]
    text = " ".join("".join(Page(html).text).split())
    assert "the first three that were caught. A score below −0.4127 is called generated." in text
    alts = [a["alt"] or "" for tag, a in Page(html).tags if tag == "img"]
    sources = [a["src"] or "" for tag, a in Page(html).tags if tag == "img"]
    for item in shown.items:
        before, after = number(item.score_before), number(item.score_after)
        told = f"Generated sample {item.index}: {item.caption} Before score {before}, called generated"
        assert f"{told} Change × 16.2, size 0.007843 After score {after}, called real" in text
        wanted = [
            f"Generated sample {item.index} before the change",
            f"The change to sample {item.index}, multiplied by 16.25",
            f"Generated sample {item.index} after the change",
        ]
        place = alts.index(wanted[0])
        assert alts[place : place + 3] == wanted
        for source, picture in zip(sources[place : place + 3], (item.before, item.change, item.after), strict=True):
            content = base64.b64decode(source.removeprefix("data:image/png;base64,"))
            drawn, given = (Image.open(io.BytesIO(c)).convert("RGB") for c in (content, samples[picture.file]))
            assert drawn.size == (64, 64)
            assert drawn.resize((16, 16), Image.Resampling.NEAREST).tobytes() == given.tobytes()
            assert picture.file in text
            assert picture.sha256[:12] in text


def test_changed_pictures_are_crossed_out_and_rows_are_thinned(
    document: AuditDocument, samples: dict[str, bytes]
) -> None:
    page = render_html(document, {**samples, "samples/attack-fake-000001-change.png": b"other"})
    told = "Generated samples that pass after a small change: 1 picture is shown as a crossed cell: changed since"
    assert told in page[page.index('id="warnings"') : page.index('id="not-run"')]
    (shown,) = [d for r in document.results for d in r.details if isinstance(d, Triplets)]
    many = shown.model_copy(update={"items": shown.items * 20})
    result = document.results[0].model_copy(update={"details": [many]})
    only = document.model_copy(update={"results": [result], "galleries": []})
    assert "16 of 60 generated samples" in render_html(only, samples)
    small = len(render_html(only, samples).encode()) - 1
    assert "8 of 60 generated samples" in render_html(only, samples, most_bytes=small)


def test_a_slider_says_what_its_table_says_and_is_hidden_until_the_script_runs(html: str) -> None:
    (box,) = re.findall(r'<div class="slider".*?</div>', html, re.DOTALL)
    assert box.split(">", 1)[0].endswith(" hidden")
    assert 'min="0" max="5" step="1" value="3"' in box
    buttons = [("1", "PAC: 0.05 in 95% of draws"), ("3", "conformal: 0.05 on average")]
    assert re.findall(r'<button type="button" value="(\d+)">(.*?)</button>', box) == buttons
    readings = ["−0.4127", "0.04890", "0.3915", "0.8890", "conformal: 0.05 on average"]
    assert re.findall(r'data-column="\d">(.*?)</span>', box) == readings
    table = html[html.index("Operating points: what a threshold does</caption>") :].split("</table>", 1)[0]
    assert re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", table.split("<tr>")[5]) == readings


def test_a_thinned_table_keeps_its_slider_within_its_rows(document: AuditDocument) -> None:
    slider = Slider(label="Step", start=999)
    table = Table(title="Steps", columns=["i"], rows=[[i] for i in range(1000)], slider=slider)
    result = document.results[0].model_copy(update={"details": [table]})
    page = render_html(document.model_copy(update={"results": [result]}), {})
    assert 'min="0" max="199" step="1" value="199"' in page
    assert 'data-column="0">199</span>' in page


def test_a_page_with_heavy_samples_is_thinned_and_says_so(document: AuditDocument) -> None:
    files = {f"samples/{i}.png": noise(i % 4, 128) for i in range(64)}
    items = [
        {"file": name, "sha256": hashlib.sha256(content).hexdigest(), "index": i}
        for i, (name, content) in enumerate(files.items())
    ]
    heavy = Gallery.model_validate(
        {"title": "Heavy", "rule": "all", "side": "fake", "width": 128, "height": 128, "items": items}
    )
    page = render_html(document.model_copy(update={"galleries": [heavy, heavy]}), files)
    assert 500_000 < len(page.encode()) <= 2_000_000
    assert "This page is thinned" in page
    assert "For this, samples larger than 64 pixels are reduced to that." in page
    assert "not shown" not in page[: page.index("</header>")], "fewer samples come after smaller ones"


def test_long_tables_and_texts_are_cut_aloud_and_too_much_is_refused(document: AuditDocument) -> None:
    table = Table(title="Long", columns=["i"], rows=[[i] for i in range(5000)])
    result = document.results[0].model_copy(update={"details": [table, Note(text="x" * 3_000_000)]})
    page = render_html(document.model_copy(update={"results": [result]}), {})
    assert "The first 200 of 5 000 rows" in page.replace("\u202f", " ")
    assert "cut here: 3 000 000 characters in the document" in page.replace("\u202f", " ")
    endless = {"results": [], "galleries": [], "warnings": [f"{i} " + "w" * 300 for i in range(3_500)]}
    with pytest.raises(DocumentError, match="would exceed 1000000 bytes"):
        render_html(document.model_copy(update=endless), {}, most_bytes=1_000_000)


@pytest.mark.parametrize(
    ("change", "word", "sentence"),
    [
        ({"verdicts": [], "policy": None}, "Not judged", "No policy was configured: nothing was judged."),
        ({"verdicts": []}, "Incomplete", "The policy has no gate, so nothing was judged."),
    ],
)
def test_a_document_without_verdicts_never_looks_passed(
    document: AuditDocument, change: dict[str, Any], word: str, sentence: str
) -> None:
    results = document.results[1:2]
    text = "".join(Page(render_html(document.model_copy(update={**change, "results": results}), {})).text)
    assert word in text
    assert sentence in text
    assert "Passed" not in text


def test_a_bare_document_still_renders(document: AuditDocument) -> None:
    reference = document.reference.model_copy(update={"splits": {}, "classes": [], "licence": ""})
    empty = {"results": [], "galleries": [], "warnings": [], "verdicts": [], "policy": None, "plan": {}}
    extractor = document.extractor.model_copy(update={"caution": ""})
    page = render_html(document.model_copy(update={**empty, "reference": reference, "extractor": extractor}), {})
    assert "No evaluator was measured." in page
    assert "The audit has no warning." in page
    assert "The document holds no samples." in page


def test_a_chart_that_cannot_be_drawn_is_told_not_dropped(document: AuditDocument) -> None:
    curve = document.results[0].details[0]
    broken = curve.model_copy(update={"series": []})
    result = document.results[0].model_copy(update={"details": [broken]})
    assert "No chart: there is no point to draw." in render_html(document.model_copy(update={"results": [result]}), {})


def test_missing_samples_are_warned_of_at_the_top(document: AuditDocument) -> None:
    page = render_html(document, {})
    section = page[page.index('id="warnings"') : page.index('id="not-run"')]
    assert "64 samples are shown as a crossed cell" in section


def test_a_null_at_another_n_shows_its_n(document: AuditDocument, html: str) -> None:
    m = document.measurement("precision-recall/recall")
    assert isinstance(m, Measurement)
    assert m.null is not None
    assert m.null.n != m.n
    assert "n = 448" in html


def test_samples_are_read_from_beside_the_document_only(
    document: AuditDocument, samples: dict[str, bytes], tmp_path: Path
) -> None:
    outside = tmp_path / "secret.png"
    outside.write_bytes(samples["samples/fake/0000.png"])
    folder = tmp_path / "audit"
    for name, content in samples.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    assert read_samples(document, folder) == samples

    (folder / "link.png").symlink_to(outside)
    (folder / "large.png").write_bytes(b"x" * 2_000_001)
    os.mkfifo(folder / "pipe.png")
    names = ["../secret.png", str(outside), "link.png", "large.png", "pipe.png", "absent.png", "a\0b", "samples", ""]
    names += ["samples/../../secret.png", "C:\\x.png", "x" * 600, "file:///etc/passwd"]
    item = document.galleries[0].items[0]
    items = [item.model_copy(update={"file": name}) for name in names]
    gallery = document.galleries[0].model_copy(update={"items": items})
    (changes,) = [d for r in document.results for d in r.details if isinstance(d, Triplets)]
    outs = [changes.items[0].before.model_copy(update={"file": name}) for name in names]
    triplets = [changes.items[0].model_copy(update=dict.fromkeys(("before", "change", "after"), out)) for out in outs]
    result = document.results[0].model_copy(update={"details": [changes.model_copy(update={"items": triplets})]})
    hostile = document.model_copy(update={"galleries": [gallery], "results": [result]})
    assert read_samples(hostile, folder) == {}


def test_the_page_is_the_one_that_was_reviewed(html: str) -> None:
    """Compares with golden/report.html; GANAUDIT_REGENERATE=1 writes it anew after a change that was meant.

    Pixels and chart paths depend on the versions of zlib and Vega; the golden page holds their place.
    """
    skeleton = re.sub(r"data:image/png;base64,[\w+/=]+", "data:image/png;base64,SHEET", html)
    skeleton = re.sub(r"(<svg[^>]*>)(<title.*?</desc>).*?</svg>", r"\1\2CHART</svg>", skeleton, flags=re.DOTALL)
    skeleton = re.sub(r'viewBox="[^"]*"', 'viewBox="BOX"', skeleton)
    style = re.search(r"<style>.*?</style>", skeleton, re.DOTALL)
    assert style is not None
    skeleton = skeleton.replace(style.group(), "<style>STYLE</style>")
    skeleton = skeleton.replace(SCRIPT, "SCRIPT")
    skeleton = re.sub(r"(style|script)-src 'sha256-[^']*'", r"\1-src 'sha256-HASH'", skeleton)
    document_digest = re.search(r'name="ganaudit-document-sha256" content="(\w+)"', skeleton)
    assert document_digest is not None
    check("report.html", skeleton.replace(document_digest.group(1), "DIGEST"))
