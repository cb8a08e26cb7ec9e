"""Coverage and bias: planted shares, dropped modes, truncation and repeats, and all that cannot be read."""

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.auditing import audit
from ganaudit.data.oracles.oracle import Attribute, Oracle
from ganaudit.data.oracles.reading import SHAPES_ORACLE
from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.data.shapes import HUES, SHAPES, draw_shapes, render_shapes
from ganaudit.evaluators.coverage_bias import CoverageBias
from ganaudit.report.answers import answer
from ganaudit.subjects.subject import Subject

from .made_up import by_key
from .test_contract import FakeView

ID = "coverage-bias"
LEVELS = np.array([40, 90, 150, 210])
SIZES = {"train": 800, "calibration": 200, "test": 800}


class Bank(nn.Module):
    """Hands out the image of a bank that lies at the latent's quantile; truncated latents pick the middle."""

    def __init__(self, images, fails_below=0.0):
        super().__init__()
        self.register_buffer("images", images)
        self.fails_below = fails_below

    def forward(self, z, labels=None):
        if float(z.std()) < self.fails_below:
            return torch.full((len(z), *self.images.shape[1:]), torch.nan)
        share = torch.special.ndtr(z[:, 0].double())
        return self.images[(share * len(self.images)).long().clamp(0, len(self.images) - 1)]


class Told(Bank):
    """Shows the class that it is told, and in one of ten cases the next one."""

    def forward(self, z, labels):
        wrong = torch.special.ndtr(z[:, 1].double()) < 0.1
        at = (labels + wrong) % 4
        return self.images[at * (len(self.images) // 4) + (z[:, 0].abs() * 50).long() % (len(self.images) // 4)]


def greys(labels, rng):
    """Images whose grey tells the class: 8 levels to either side for all of an image, and 4 for each pixel."""
    levels = LEVELS[labels] + rng.integers(-8, 9, len(labels))
    return (levels[:, None, None, None] + rng.integers(-4, 5, (len(labels), 6, 6, 1))).astype(np.uint8)


def planted(shares, n):
    return np.repeat(np.arange(len(shares)), np.round(np.asarray(shares) * n).astype(int))


def reference(shares=(0.25, 0.25, 0.25, 0.25), told=True, **sizes):
    rng, splits = np.random.default_rng(0), {}
    for name, n in (sizes or SIZES).items():
        labels = planted(shares, n)
        more = {"labels": labels, "classes": tuple("abcd"[: len(shares)])} if told else {}
        splits[name] = Samples.of(greys(labels, rng), "images", name, "made", **more)
    return Reference.of("made", "built-in", splits, seen=dict.fromkeys(splits, "unknown"), rule="made here")


def bank(shares, n=4000, seed=1, **more):
    """A generator with these shares of the classes."""
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(greys(planted(shares, n), rng)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return Subject.from_modules(Bank(images, **more), latent=2)


def row(made, real, samples=800, against=None, **options):
    more = {} if against is None else {"against": against}
    options = {"truncated": 256, **options}
    return audit(made, real, evaluators={ID: options}, samples=samples, cache=False, **more).result(ID)


def table(result, title):
    found = next(d for d in result.details if d.kind == "table" and title in d.title)
    return [dict(zip(found.columns, cells, strict=True)) for cells in found.rows]


def test_a_perfect_generator_stands_within_its_nulls():
    found = by_key(row(bank([0.25] * 4), reference()))
    for key in ("class-discrepancy", "fairness-discrepancy", "js-divergence"):
        assert found[key].null.low <= found[key].value <= found[key].null.high * 1.5, key
    assert found["class-discrepancy"].interval.low == 0
    assert found["modes-missing"].value == 0
    assert found["different-bins"].value == 0
    assert found["worst-class-recall"].value > 0.8
    assert found["label-agreement"].value is None
    assert "unconditional" in found["label-agreement"].reason


def test_a_dropped_class_is_named_shown_and_measured():
    result = row(bank([0.0, 1 / 3, 1 / 3, 1 / 3]), reference())
    found = by_key(result)
    gap = found["class-discrepancy"]
    assert gap.interval.low <= 0.25 <= gap.interval.high
    assert gap.interval.low > gap.null.high
    assert found["modes-missing"].value == 1
    assert found["modes-missing"].interval.low == 1
    assert found["worst-class-recall"].value < 0.05
    assert found["worst-class-recall"].null.value > 0.8
    assert found["fairness-discrepancy"].value == pytest.approx(np.sqrt(1 / 12), abs=0.03)
    assert found["different-bins"].value > 0.2
    note = result.details[0].text
    assert "Missing of class: a." in note
    # Bins of the dropped class hold too few, and the others too many: a raw count would call all of them bad.
    lowest = [cells["z"] for cells in table(result, "Bins of feature space") if cells["z"] < -3]
    assert lowest
    assert next(cells["class"] for cells in table(result, "Fidelity by class")) == "a"
    gallery = next(d for d in result.details if d.kind == "gallery")
    assert gallery.title == "Reals of missing modes"
    # Test reals lie in the order of their classes: those of class a come first.
    assert all(item.index < SIZES["test"] / 4 for item in gallery.items)


def test_shares_are_held_against_the_training_set_and_against_uniform_ones():
    """A generator with the data's own skewed shares is unbiased, and unfair."""
    shares = [0.55, 0.25, 0.15, 0.05]
    found = by_key(row(bank(shares), reference(shares)))
    assert found["class-discrepancy"].interval.low == 0
    length = np.linalg.norm(np.array(shares) - 0.25)
    assert found["fairness-discrepancy"].interval.low <= length <= found["fairness-discrepancy"].interval.high
    assert found["fairness-discrepancy"].interval.low > 0.2


def test_truncation_that_drops_classes_amplifies():
    """The bank lies in the order of its classes: small latents pick the two in the middle."""
    found = by_key(row(bank([0.25] * 4), reference()))
    change = found["bias-amplification"]
    # P(|z| > .6745/.5) of each outer class moves to the two inner ones.
    kept = 1 - 2 * 0.0887
    assert change.interval.low <= 0.5 - (1 - kept) + 0.05
    assert change.interval.low > 0.2


def test_a_generator_that_fails_on_truncated_latents_keeps_the_other_numbers():
    found = by_key(row(bank([0.25] * 4, fails_below=0.5), reference(), truncations=(1.0, 0.2)))
    assert found["bias-amplification"].value is None
    reason = found["bias-amplification"].reason
    assert reason.startswith("the generator fails on 256 of 256 latents")
    assert "at psi = 0.2; needs 2 or more that it fails on at no psi, found 0" in reason
    assert found["class-discrepancy"].value is not None


def test_few_samples_over_and_over_are_a_small_support():
    rng = np.random.default_rng(3)

    def pictures(n):
        return rng.integers(0, 256, (n, 6, 6, 1), dtype=np.uint8)

    splits = {name: Samples.of(pictures(n), "images", name, "made") for name, n in SIZES.items()}
    real = Reference.of("made", "built-in", splits, seen=dict.fromkeys(splits, "unknown"), rule="made here")

    def made(n):
        images = torch.from_numpy(pictures(n)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return by_key(row(Subject.from_modules(Bank(images), latent=2), real))["support-size"]

    few, many = made(40), made(4000)
    assert few.value <= 40 * 1.01
    assert few.value > 30
    assert few.value < few.null.value
    assert many.value > 4000 / 3
    assert "lower end" in many.interval_reason


def test_a_conditional_generator_is_asked_whether_it_obeys():
    images = torch.from_numpy(greys(np.repeat(np.arange(4), 200), np.random.default_rng(2)))
    made = Subject.from_modules(Told(images.permute(0, 3, 1, 2).float() / 127.5 - 1), latent=2, classes=4)
    result = row(made, reference())
    agreement = by_key(result)["label-agreement"]
    assert agreement.interval.low <= 0.9 <= agreement.interval.high
    assert agreement.null.value == 1.0
    assert all(cells["share asked for"] is not None for cells in table(result, "Shares by class"))


@pytest.fixture(scope="module")
def coloured():
    """Shapes without red ones, against a small set with the law of the built-in one."""
    splits = {}
    for name, n in (("train", 400), ("calibration", 30), ("test", 300)):
        drawn = draw_shapes(name, 0, n)
        splits[name] = Samples.of(
            render_shapes(drawn, 32), "images", name, "made", labels=drawn.shape.copy(), classes=SHAPES
        )
    real = Reference.of(
        "made", "built-in", splits, seen=dict.fromkeys(splits, "unknown"), rule="made here", oracle=SHAPES_ORACLE
    )
    drawn = draw_shapes("generated", 0, 900)
    kept = np.flatnonzero(drawn.hue != HUES.index("red"))
    order = np.random.default_rng(0).permutation(kept)
    images = torch.from_numpy(render_shapes(drawn.take(order), 32)).permute(0, 3, 1, 2).float() / 127.5 - 1
    law = np.bincount(drawn.hue[kept], minlength=6) / len(kept)
    made = Subject.from_modules(Bank(images), latent=2)
    document = audit(made, real, evaluators={ID: {"truncated": 16}}, samples=400, cache=False, extractor="pixels")
    return document.result(ID), law


def test_an_oracle_reads_what_labels_do_not_say(coloured):
    result, law = coloured
    by = {cells["attribute"]: cells for cells in table(result, "Attributes")}
    assert list(by) == ["class", "hue", "hue and shape"]
    assert "oracle of shapes" in by["class"]["read by"]
    assert by["hue"]["of"] == "red"
    assert by["hue"]["least share over reals'"] == 0
    # A quarter of the reals is red.
    assert by["hue"]["low"] <= 0.25 <= by["hue"]["high"] + 0.02
    assert by["hue"]["p (Holm)"] < 0.01
    cells = {row["hue"]: row for row in table(result, "Shares by hue")[:7] if "hue" in row}
    for at, hue in enumerate(HUES):
        if law[at] > 0:
            assert cells[hue]["share"] == pytest.approx(law[at], abs=0.08)


def test_modes_are_those_of_the_finest_attribute(coloured):
    found = by_key(coloured[0])["modes-missing"]
    assert found.value >= 3
    assert "24 values of hue and shape" in found.null.rule
    assert "red disc" in coloured[0].details[0].text


class Read(FakeView):
    """A view whose classifier is right in a share of cases, over generated samples of given shares."""

    against = "test"

    def __init__(self, right, shares, hidden=(), n=2000):
        super().__init__({"real": 1000, "fake": n}, hidden=hidden)
        self.right, self.shares = right, shares

    def __getitem__(self, node):
        kind, _, side = node.partition("/")
        if kind != "logits":
            return super().__getitem__(node)
        self.read.add(node)
        rng = np.random.default_rng(len(side))
        n = self.count(node)
        true = np.arange(n) % 5 if side != "fake" else rng.choice(5, n, p=self.shares)
        # Class 0 is taken for class 1 in the cases that are wrong, all others for class 0.
        said = np.where(rng.uniform(size=n) < self.right, true, np.where(true == 0, 1, 0))
        return torch.nn.functional.one_hot(torch.from_numpy(said), 5).float()


def evaluate(view, **options):
    return CoverageBias(**options).evaluate(view, np.random.default_rng(0))


def test_the_errors_of_the_classifier_are_taken_out():
    """CLEAM (K22's toy): shares (.05, .2, .25, .25, .25) seen through a classifier that says 0 too often."""
    shares = np.array([0.05, 0.2, 0.25, 0.25, 0.25])
    found = evaluate(Read(0.8, shares))
    cells = {row[0]: dict(zip(found.details[2].columns, row, strict=True)) for row in found.details[2].rows}
    for name, share in zip("abcde", shares, strict=True):
        assert cells[name]["low"] <= share <= cells[name]["high"]
    assert cells["a"]["read"] / 2000 > 0.2, "what is seen is far off"
    gap = by_key(found)["class-discrepancy"]
    assert gap.interval.low <= 0.15 <= gap.interval.high
    assert "; its errors are taken out." in found.details[0].text


def test_of_a_classifier_that_errs_never_no_errors_are_said_to_be_taken_out():
    text = evaluate(Read(1.0, np.full(5, 0.2))).details[0].text
    assert "right for 1000 of 1000 held-out reals: it made no errors to take out." in text
    assert "taken out" not in text


def test_a_classifier_no_better_than_chance_is_told_and_the_probe_asked_next():
    found = evaluate(FakeView({"real": 300, "fake": 300}))
    gap = by_key(found)["class-discrepancy"]
    assert gap.value is None
    assert "the extractor's classifier is right for" in gap.reason
    assert "a probe of the features fitted to 150 reals is right for" in gap.reason
    assert by_key(found)["different-bins"].value is not None
    assert by_key(found)["modes-missing"].value is not None, "bins stand in for modes"


def test_classes_read_off_samples_unlike_any_real_are_doubted():
    class Apart(Read):
        def __getitem__(self, node):
            found = super().__getitem__(node)
            return found + 30 if node == "features/fake" else found

    notes = [d.text for d in evaluate(Apart(0.9, [0.2] * 5)).details if d.kind == "note"]
    assert any("100% of the 1000 generated samples looked at lie near no real" in text for text in notes)
    assert not any("near no real" in d.text for d in evaluate(Read(0.9, [0.2] * 5)).details if d.kind == "note")


def test_no_held_out_reals():
    view = Read(0.9, [0.2] * 5)
    view.against = "train"
    gap = by_key(evaluate(view))["class-discrepancy"]
    assert gap.value is None
    assert "needs held-out reals" in gap.reason
    assert by_key(evaluate(view))["js-divergence"].value is not None


def test_reals_without_labels_or_of_one_class():
    unlabelled = by_key(row(bank([0.25] * 4), reference(told=False)))
    assert "no labels" in unlabelled["class-discrepancy"].reason
    assert unlabelled["modes-missing"].value == 0
    one = by_key(row(bank([1.0]), reference([1.0])))
    assert "needs 2 classes of labelled reals; there are 1" in one["worst-class-recall"].reason
    assert one["support-size"].value is not None


def samples_only(labels, classes):
    images = greys(np.repeat(np.arange(4), 100), np.random.default_rng(5))
    given = Samples.of(images, "images", "given", "made", labels=labels, classes=classes)
    from ganaudit.subjects.subject import SampleSpec

    return Subject("given", "samples", given.digest, SampleSpec(given.shape), "data", samples=given)


def test_samples_alone_have_no_latents_and_labels_that_do_not_match_are_told():
    matching = samples_only(np.repeat(np.arange(4), 100), tuple("abcd"))
    found = by_key(row(matching, reference(), samples=400, attribute="labels"))
    assert found["class-discrepancy"].value == pytest.approx(0, abs=0.05)
    assert "the subject has 0" in found["bias-amplification"].reason
    other = samples_only(np.repeat(np.arange(4), 100), tuple("wxyz"))
    reason = by_key(row(other, reference(), samples=400, attribute="labels"))["class-discrepancy"].reason
    assert "(4: w, x, y, z) are not those of the reference (4: a, b, c, d)" in reason


def test_a_generators_own_labels_are_no_attribute_of_its_samples():
    found = by_key(row(bank([0.25] * 4), reference(), attribute="labels"))
    assert "say what was asked for" in found["class-discrepancy"].reason


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"samples": 1}, "samples: found 1; allowed: 2 or more"),
        ({"neighbours": 0}, "neighbours: found 0; allowed: 1 or more"),
        ({"missing": 0}, "missing: found 0; allowed: above 0 and below 1"),
        ({"truncations": (1.0,)}, r"truncations: found \(1\); allowed: two factors or more"),
        ({"truncations": (1.0, 0)}, r"truncations: found \(1, 0\); allowed"),
    ],
)
def test_refuses(options, told):
    with pytest.raises(ValueError, match=told):
        CoverageBias(**options)


class Failing(Bank):
    """Makes NaN for one latent in seven, by its second entry."""

    def forward(self, z, labels=None):
        made = super().forward(z)
        made[z[:, 1] > 1.07] = torch.nan
        return made


def test_latents_that_the_generator_fails_on_are_left_out_of_the_sweep_and_counted():
    images = torch.from_numpy(greys(planted([0.25] * 4, 4000), np.random.default_rng(1))).permute(0, 3, 1, 2)
    made = Subject.from_modules(Failing(images.float() / 127.5 - 1), latent=2)
    result = row(made, reference())
    change, whole = by_key(result)["bias-amplification"], by_key(row(bank([0.25] * 4), reference()))
    # At psi = 1 one in seven fails, and whoever fails there is left out at every psi.
    assert change.n == pytest.approx(256 * 6 / 7, abs=4 * np.sqrt(256 * 6 / 49))
    told = [warning for warning in result.warnings if "truncation sweep" in warning]
    assert len(told) == 1
    assert f"fails on {256 - change.n} of 256 latents" in told[0]
    assert not any("means nothing" in one for one in (*result.warnings, *(m.reason or "" for m in result.measurements)))
    # Which ones fail does not depend on the class.
    assert change.value == pytest.approx(whole["bias-amplification"].value, abs=0.1)


def test_samples_with_shuffled_labels_are_told_loudly():
    """The defect is the labels': shuffled they hit one sample in four, as they would in any order."""
    labels = np.repeat(np.arange(4), 100)
    shuffled = np.random.default_rng(7).permutation(labels)
    for attribute in ("auto", "labels"):
        wrong = row(samples_only(shuffled, tuple("abcd")), reference(), samples=400, attribute=attribute)
        found = by_key(wrong)["label-agreement"]
        assert found.value == np.mean(labels == shuffled), "the greys tell the class without an error"
        assert any(warning.startswith("labels do not match the samples") for warning in wrong.warnings), attribute
        assert "labels do not match the samples" in wrong.details[0].text
        assert "is below" in wrong.details[0].text
        right = row(samples_only(labels, tuple("abcd")), reference(), samples=400, attribute=attribute)
        assert by_key(right)["label-agreement"].value == 1
        assert not any("do not match" in warning for warning in right.warnings)


def test_a_generator_that_ignores_its_classes_is_told():
    class Deaf(Told):
        def forward(self, z, labels):
            return super().forward(z, torch.zeros_like(labels) + (z[:, 1] > 0) * 2)

    images = torch.from_numpy(greys(np.repeat(np.arange(4), 200), np.random.default_rng(2)))
    made = Subject.from_modules(Deaf(images.permute(0, 3, 1, 2).float() / 127.5 - 1), latent=2, classes=4)
    assert any("ignores the class it is told" in warning for warning in row(made, reference()).warnings)


def test_dropped_modes_alarm_at_the_size_where_one_in_25_is_40_samples():
    """3 of 25 classes: as controls drop them, at n = 1000 and read without an error."""
    rng, shares = np.random.default_rng(4), np.full(25, 0.04)
    splits = {}
    for name, n in (("train", 5000), ("calibration", 50), ("test", 1000)):
        labels = rng.choice(25, n, p=shares)
        splits[name] = Samples.of(fine_greys(labels, rng), "images", name, "made", labels=labels, classes=NAMES)
    real = Reference.of(
        "made", "built-in", splits, seen=dict.fromkeys(splits, "unknown"), rule="made here",
        oracle=Oracle("greys", (Attribute("class", NAMES),), read_greys),
    )  # fmt: skip
    kept = np.where(np.arange(25) < 3, 0, 1 / 22)
    images = torch.from_numpy(fine_greys(rng.choice(25, 4000, p=kept), rng)).permute(0, 3, 1, 2).float() / 127.5 - 1
    result = row(Subject.from_modules(Bank(images), latent=2), real, samples=1000, truncated=32)
    found = by_key(result)
    modes, gap = found["modes-missing"], found["class-discrepancy"]
    assert (modes.value, modes.interval.low, modes.interval.high) == (3, 3, 3)
    assert modes.interval.low > modes.null.high, "the rule of the detection matrix"
    assert gap.value > gap.null.high
    assert gap.null.p_value == 0.001, "the least of 999 draws"
    assert "worse than its null" in answer(result, "class-discrepancy"), "the page says what the words say"
    assert "is above" in result.details[0].text
    assert "Chance cannot explain 3 of these 3." in result.details[0].text


NAMES = tuple(f"c{i}" for i in range(25))


def fine_greys(labels, rng):
    """Images whose grey tells 25 classes apart: 10 levels each, and up to 3 of noise."""
    return (labels[:, None, None, None] * 10 + 5 + rng.integers(-3, 4, (len(labels), 6, 6, 1))).astype(np.uint8)


def read_greys(images):
    return (images.reshape(len(images), -1).mean(1) // 10).astype(np.int64)[:, None]
