"""Samples before and after a change, from a planted evaluator through document and files to the page."""

import base64
import hashlib
import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile
from torch import nn

from ganaudit.auditing import audit
from ganaudit.cli.main import run as cli
from ganaudit.document.files import load_document, sealed
from ganaudit.document.spec import Comparison
from ganaudit.report.words import number
from ganaudit.subjects.subject import Subject
from tests.report.page import Page

PUSHED = '''
from dataclasses import dataclass
from typing import ClassVar

from ganaudit.document.spec import Comparison, EvaluatorSpec, Findings, MeasurementSpec


@dataclass(frozen=True)
class Pushed:
    """Pushes two samples of each side up, the first generated one twice as far."""

    rows: int = 2

    spec: ClassVar[EvaluatorSpec] = EvaluatorSpec(
        id="pushed", title="Pushed", question="Do pushed samples pass?", needs=("values/fake", "values/test"),
        measurements=(MeasurementSpec(key="pushed", title="Pushed", meaning="Samples pushed.", unit="samples",
                                      better="none", estimator="count", interval=False),),
        misleads="It is planted.",
    )

    def evaluate(self, view, rng):
        shown = []
        for side, node, size in (("fake", "fake", 0.25), ("real", "test", 0.5), ("fake", "fake", 0.125)):
            rows = list(range(self.rows, 0, -1))
            before, _ = view.values(node, rows)
            after = before.clone()
            after[:, ..., 0] += size
            after[:, ..., 1] -= size / 2
            scores = [view.subject.discriminate(x).tolist() for x in (before, after)]
            shown.append(Comparison(f"Pushed {side} by {size}", "the first, last first", side, rows, before, after,
                                    (view.subject.sample.low, view.subject.sample.high), *scores, [size] * len(rows),
                                    "largest change of any value", threshold=0.0, captions=[f"row {i}" for i in rows]))
        sizes = {"fake": 2 * self.rows, "real": self.rows}
        count = self.spec.measurement("pushed", 3.0 * self.rows, sizes, interval_reason="it is set",
                                      null_reason="it is set")
        return Findings([count], comparisons=shown)
'''


class Drawn(nn.Module):
    """Samples of the given shape within -0.5..0.5, so that no push leaves the range."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, z):
        return (torch.tanh(z) / 2).view(-1, *self.shape)


class Mean(nn.Module):
    def forward(self, x):
        return x.flatten(1).mean(1)


@pytest.fixture(autouse=True)
def _planted(tmp_path, monkeypatch):
    info = tmp_path / "plugin" / "brought-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ganaudit.evaluators]\npushed = brought_pushed:Pushed\n")
    (info.parent / "brought_pushed.py").write_text(PUSHED)
    monkeypatch.syspath_prepend(info.parent)
    monkeypatch.delitem(sys.modules, "brought_pushed", raising=False)
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "cache"))


def pushed(out, shape=(1, 8, 8), **options):
    real = np.random.default_rng(0).uniform(-0.4, 0.4, (80, *shape)).astype(np.float32)
    np.save(out.parent / "real.npy", real)
    subject = Subject.from_modules(Drawn(*shape), Mean(), latent=int(np.prod(shape)))
    evaluators = {"pushed": options}
    extractor = "pixels" if len(shape) == 3 else "log-mel"
    document = audit(subject, {"test": str(out.parent / "real.npy")}, out=out, samples=8, evaluators=evaluators,
                     extractor=extractor)  # fmt: skip
    result = document.result("pushed")
    assert result.status == "measured", result.reason
    made = subject.generate(subject.latents(0, 0, 8))
    return document, [d for d in result.details if d.kind == "triplets"], made


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8)], ids=["grey", "colour"])
def test_pictures_of_a_planted_push(tmp_path, shape):
    document, triplets, made = pushed(tmp_path / "out", shape)
    assert [(t.side, len(t.items)) for t in triplets] == [("fake", 2), ("real", 2), ("fake", 2)]
    first, _, again = triplets
    names = [p.file for item in first.items for p in (item.before, item.change, item.after)]
    assert names == [f"samples/pushed-fake-00000{i}-{s}.png" for i in (2, 1) for s in ("before", "change", "after")]
    assert again.items[0].change.file == "samples/pushed-fake-000002-change-2.png"
    for triplet in triplets:
        for item in triplet.items:
            for picture in (item.before, item.change, item.after):
                assert hashlib.sha256((tmp_path / "out" / picture.file).read_bytes()).hexdigest() == picture.sha256
    for item in first.items:
        files = [(tmp_path / "out" / p.file).read_bytes() for p in (item.before, item.change, item.after)]
        assert files[0] == (tmp_path / "out" / f"samples/fake-{item.index:06d}.png").read_bytes()
        before, change, after = (pixels(f).reshape(8, 8, -1).astype(int) for f in files)
        # A push of 0.25 in a range of 2 is 255/8 levels, and four times that fills the upper half of the range.
        assert item.factor == pytest.approx(4.0, rel=1e-6)
        assert set(np.abs(after - before)[:, 0].flatten().tolist()) <= {31, 32, 33}
        assert (after - before)[:, 2:].any() == np.False_
        assert (change[:, 0].min(), change[:, 0].max()) == (255, 255)
        assert set(change[:, 1].flatten().tolist()) <= {63, 64}
        assert set(change[:, 2:].flatten().tolist()) == {128}
        scores = made[item.index].mean().item(), made[item.index].mean().item() + 0.125 / 8
        assert (item.score_before, item.score_after) == pytest.approx(scores, abs=1e-6)
        assert (item.norm, item.caption) == (0.25, f"row {item.index}")
    assert sealed(document) == load_document(tmp_path / "out" / "document.json")


def test_the_page_shows_what_the_evaluator_handed_over(tmp_path):
    _, triplets, _ = pushed(tmp_path / "out")
    assert cli(["report", str(tmp_path / "out" / "document.json")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "crossed cell" not in page
    images = {a["alt"]: a["src"] for tag, a in Page(page).tags if tag == "img"}
    (real,) = [t for t in triplets if t.side == "real"]
    for item in real.items:
        wanted = {f"Real sample {item.index} before the change": item.before,
                  f"The change to sample {item.index}, multiplied by {number(item.factor)}": item.change,
                  f"Real sample {item.index} after the change": item.after}  # fmt: skip
        for alt, picture in wanted.items():
            drawn = pixels(base64.b64decode(images[alt].removeprefix("data:image/png;base64,")))
            assert np.array_equal(drawn[::8, ::8], pixels((tmp_path / "out" / picture.file).read_bytes()))
        assert f"Real sample {item.index}: row {item.index}" in page
    told = "A score below 0 is called generated. Sizes of changes: largest change of any value."
    assert told in page


def test_equal_audits_give_equal_files_and_what_is_no_longer_shown_goes(tmp_path):
    pushed(tmp_path / "out")
    once = {p.name: p.read_bytes() for p in (tmp_path / "out" / "samples").iterdir()}
    (tmp_path / "out" / "samples" / "mine-fake-1.png").write_bytes(b"kept")
    pushed(tmp_path / "out", rows=1)
    left = {p.name: p.read_bytes() for p in (tmp_path / "out" / "samples").iterdir()}
    gone = set(once) - set(left)
    assert len([n for n in once if n.startswith("pushed-")]) == 18
    assert gone == {n for n in once if n.startswith("pushed-") and "000002" in n}
    assert left.pop("mine-fake-1.png") == b"kept"
    assert left == {n: content for n, content in once.items() if n not in gone}


def test_sounds_are_seen_and_heard(tmp_path):
    _, triplets, made = pushed(tmp_path / "out", (1, 2048))
    (item,) = [i for i in triplets[0].items if i.index == 1]
    assert (triplets[0].width, triplets[0].height) == (128, 104)
    assert "each is written as WAV beside its picture" in triplets[0].rule
    heard = []
    for picture in (item.before, item.change, item.after):
        file = tmp_path / "out" / picture.file
        assert pixels(file.read_bytes()).shape == (104, 128)
        heard.append(wavfile.read(file.with_suffix(".wav"))[1].astype(float) / 32768)
    before, change, after = heard
    step = 2 / 32768
    assert np.abs(before - made[1, 0].numpy()).max() <= step
    assert np.abs((after - before)[:2] - [0.25, -0.125]).max() <= 2 * step
    assert np.abs(change[:2] - [1, -0.5]).max() <= 2 * step
    assert np.abs(change[2:]).max() == 0


def comparison(**more):
    given = {"title": "t", "rule": "r", "side": "fake", "indices": [4, 2], "before": torch.zeros(2, 1, 3, 3),
             "after": torch.ones(2, 1, 3, 3), "value_range": (-1.0, 1.0), "scores_before": [0.0, 1.0],
             "scores_after": [1.0, 2.0], "norms": [1.0, 1.0], "unit": "linf"}  # fmt: skip
    return Comparison(**(given | more))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"indices": [1]}, r"found 1 indices, before \(2, 1, 3, 3\)"),
        ({"after": torch.zeros(2, 1, 3, 4)}, "allowed: one shape, a row for each index"),
        ({"before": torch.zeros(2, 2, 3, 3), "after": torch.zeros(2, 2, 3, 3)}, "found 2 channels"),
        ({"indices": [4, 4]}, "each index once"),
        ({"value_range": (1.0, 1.0)}, "found range 1.0, 1.0; allowed: the lower first"),
        ({"scores_after": [0.0, float("nan")]}, "scores_after needs 2 finite numbers"),
        ({"norms": [1.0]}, "norms needs 2 finite numbers"),
        ({"norms": [1.0, -1.0]}, "norms must not be below 0"),
        ({"captions": ["a"]}, "found 1 captions; allowed: 2 or none"),
        ({"before": torch.full((2, 1, 3, 3), torch.inf)}, "a value of before or after is not finite"),
    ],
)
def test_what_does_not_fit_together_is_refused_where_it_is_made(change, told):
    assert comparison().indices == [4, 2]
    with pytest.raises(ValueError, match=told):
        comparison(**change)
