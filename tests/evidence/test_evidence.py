"""Evidence: the same bits for every batch size, each node once, and honest words for what cannot be had."""

import numpy as np
import pytest
import torch

from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.document.errors import EvidenceError
from ganaudit.evidence.evidence import Evidence, EvidencePlan
from ganaudit.evidence.nodes import SIDES
from ganaudit.evidence.null import null_design, rows
from ganaudit.evidence.store import Store
from ganaudit.evidence.view import View
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.identity import Identity
from ganaudit.features.pixels import Pixels
from ganaudit.numerics.quantise import to_uint8
from ganaudit.progress import Silent
from ganaudit.subjects.samples import subject_of_samples
from ganaudit.subjects.subject import Subject
from tests.evidence.evidences import (
    CLASSES,
    NODES,
    SHAPE,
    Convolving,
    Judging,
    evidence,
    generating,
    reals,
    reference,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole():
    made = evidence(batch=500)
    return {name: made.node(name) for name in NODES}


@pytest.mark.parametrize("batch", [1, 16, 17, 64])
def test_the_batch_size_changes_no_bit_of_any_node(whole, batch):
    made = evidence(batch=batch)
    for name, tensor in whole.items():
        assert torch.equal(made.node(name), tensor), name


def test_every_node_has_a_row_per_sample(whole):
    made = evidence()
    for name, tensor in whole.items():
        assert len(tensor) == made.count(name), name
    assert {name: len(tensor) for name, tensor in whole.items() if name.startswith("features")} == {
        "features/real": 50,
        "features/fake": 75,
        "features/null-real": 50,
        "features/null-fake": 60,
        "features/train": 60,
        "features/calibration": 40,
        "features/test": 50,
    }
    # The audited reals are the test split here, the stand-ins all of the train split.
    assert torch.equal(whole["features/test"], whole["features/real"])
    assert torch.equal(whole["features/train"], whole["features/null-fake"])
    assert whole["scores/train"].dtype == torch.float64
    assert whole["logits/real"].shape == (50, 10)


def test_features_of_a_split_need_the_split():
    made = evidence(train=60, test=50)
    assert made.missing("features/train") is None
    assert "no calibration split of reals; train reals are never substituted" in made.missing("features/calibration")


def test_nodes_are_what_subject_and_extractor_say(whole):
    made = evidence()
    z = made.subject.latents(3, 0, 16)
    x = made.subject.generate(z)
    images = to_uint8(x, -1.0, 1.0)
    assert torch.equal(whole["features/fake"][:16], made.extractor.extract(images).features)
    assert torch.equal(whole["scores/fake"][:16], made.subject.discriminate(x))
    real = made.reference.splits["test"]
    torch.testing.assert_close(whole["features/real"], made.extractor.extract(real.images(slice(None))).features)
    scores = made.subject.discriminate(real.values(slice(None), -1.0, 1.0))
    torch.testing.assert_close(whole["scores/test"], scores, rtol=1e-5, atol=1e-6)


def test_the_images_shown_are_the_samples_that_were_measured(whole):
    made = evidence()
    indices = [0, 17, 74, 3, 17]
    images = made.fake_shown(indices)
    assert images.dtype == torch.uint8
    assert images.shape == (5, *SHAPE)
    blocks = [made.subject.generate(made.subject.latents(3, start, 16)) for start in range(0, 80, 16)]
    assert torch.equal(images, to_uint8(torch.cat(blocks)[indices], -1.0, 1.0))
    features = made.extractor.extract(made.fake_shown(list(range(16, 32)))).features
    assert torch.equal(features, whole["features/fake"][16:32])
    assert torch.equal(evidence(samples=10).fake_shown([3]), made.fake_shown([3]))


def test_a_static_program_is_only_called_with_its_own_batch():
    class Static(Convolving):
        def forward(self, z):
            assert len(z) == 7
            return super().forward(z)

    subject = Subject.from_modules(Convolving(), Judging(), latent=16)
    from dataclasses import replace

    subject = replace(subject, generator=Static().eval(), block=7)
    made = evidence(subject, samples=25, batch=16)
    assert len(made.node("features/fake")) == 25
    assert made.fake_shown([24, 0]).shape == (2, *SHAPE)
    expected = evidence(samples=25).node("features/fake")
    torch.testing.assert_close(made.node("features/fake"), expected, rtol=1e-4, atol=1e-5)


# --- moments


@pytest.mark.parametrize("side", SIDES)
def test_moments_are_those_of_the_features(whole, side):
    made = evidence(batch=16)
    total = made.moments(side).total
    features = whole[f"features/{side}"].double().numpy()
    assert total.n == len(features)
    # Two orders of summing float64: rounding, relative to the largest entry.
    rounding = len(features) * 2**-52
    np.testing.assert_allclose(total.mean, features.mean(0), rtol=0, atol=rounding * np.abs(features).max())
    covariance = np.cov(features, rowvar=False)
    np.testing.assert_allclose(total.covariance, covariance, rtol=0, atol=4 * rounding * (features**2).max())
    assert made.moments(side) is made.moments(side)


def test_moments_do_not_depend_on_the_store_and_are_no_tensor(tmp_path, whole):
    plain, kept = evidence().moments("fake"), evidence(store=Store(tmp_path)).moments("fake")
    assert torch.equal(plain.total.scatter, kept.total.scatter)
    with pytest.raises(
        EvidenceError, match=r"'moments/fake': moments are no tensor; ask for them by moments\('fake'\)"
    ):
        evidence().node("moments/fake")
    with pytest.raises(EvidenceError, match="is not read in blocks"):
        evidence().blocks("moments/fake")


# --- labels


def test_labels_of_reals_are_those_of_the_samples():
    made = evidence()
    assert made.node("labels/real").tolist() == [i % 10 for i in range(50)]
    assert made.node("labels/real").dtype == torch.int64
    fake = made.null.fake
    assert np.array_equal(made.node("labels/null-fake"), fake.labels)
    assert len(made.node("labels/null-real")) == made.count("labels/null-real") == 50
    made.node("labels/real").fill_(-1)  # a copy: the samples are what they were
    assert made.node("labels/real").tolist() == [i % 10 for i in range(50)]


def test_labels_of_generated_samples_are_those_they_were_made_from(whole):
    subject = Subject.from_modules(Convolving(), latent=16, classes=10)
    made = evidence(subject)
    labels = made.node("labels/fake")
    assert torch.equal(labels, subject.labels(3, 0, 75))
    assert len(labels) == made.count("labels/fake") == 75
    x = subject.generate(subject.latents(3, 0, 16), labels[:16])
    features = made.extractor.extract(to_uint8(x, -1.0, 1.0)).features
    assert torch.equal(made.node("features/fake")[:16], features)
    assert not torch.equal(made.node("features/fake"), whole["features/fake"])


def unlabelled(samples):
    return Samples.of(samples.array, "images", samples.name, "npy")


@pytest.mark.parametrize(
    ("side", "more", "told"),
    [
        ("fake", {}, "the generator is unconditional: its samples have no labels"),
        ("fake", {"classes": 7}, "the generator has 7 classes, the reference 10"),
        ("fake", {"samples": unlabelled}, "the samples of fakes have no labels"),
        ("fake", {"samples": "other"}, r"samples \(10: .*\) are not those of the reference \(10: .*same order"),
        ("fake", {"samples": "same"}, None),
        ("fake", {"classes": 10}, None),
        ("null-fake", {"test": 3}, "3 reals are too few"),
        ("real", {"unlabelled": True}, "the samples of test have no labels"),
    ],
)
def test_labels_that_cannot_be_had_are_told(side, more, told):
    samples = reals(40, 9, "fakes")
    if "classes" in more:
        made = evidence(Subject.from_modules(Convolving(), latent=16, classes=more["classes"]))
    elif "unlabelled" in more:
        splits = {"test": unlabelled(reals(50, 0))}
        made = evidence(held=Reference.of("r", "npz", splits, seen={"test": "unknown"}, rule="one"))
    elif "samples" in more:
        other = Samples.of(samples.array, "images", "fakes", "npy", labels=samples.labels, classes=CLASSES[::-1])
        chosen = {"other": other, "same": samples}.get(more["samples"]) or unlabelled(samples)
        made = evidence(subject_of_samples(chosen), samples=30)
    else:
        made = evidence(**more)
    assert (made.missing(f"labels/{side}") is None) == (told is None)
    if told is None:
        assert len(made.node(f"labels/{side}")) == made.count(f"labels/{side}")
        return
    with pytest.raises(EvidenceError, match=told):
        made.node(f"labels/{side}")


def test_labels_go_with_their_samples_when_some_are_drawn():
    samples = reals(40, 9, "fakes")
    made = evidence(subject_of_samples(samples), samples=10)
    assert np.array_equal(made.node("labels/fake"), samples.labels[rows(40, 10, 3, "fake")])


# --- levels


@pytest.mark.parametrize("quantiser", ["round", "floor", "none"])
def test_the_quantiser_says_what_the_extractor_is_given(quantiser):
    made = evidence(quantiser=quantiser, extractor=Pixels(ExtractorOptions(SHAPE)))
    x = torch.cat([made.subject.generate(made.subject.latents(3, start, 16)) for start in range(0, 80, 16)])[:75]
    levels = (x.double().clamp(-1, 1) + 1) / 2 * 255
    found = made.node("features/fake").double().reshape(75, *SHAPE) * 255
    if quantiser == "none":
        # Three roundings to float32 at 255 here, and two of the pixels.
        assert float((found - levels).abs().max()) <= 5 * 255 * 2**-24
        return
    expected = (levels + 0.5).floor() if quantiser == "round" else levels.floor()
    # A value that rounding puts at the other side of an edge may be a level off.
    is_edge = (levels + (0.5 if quantiser == "round" else 0.0)).frac()
    is_edge = torch.minimum(is_edge, 1 - is_edge) < 1e-4
    assert torch.equal(found.round()[~is_edge], expected[~is_edge])
    assert float(is_edge.double().mean()) < 0.01
    assert float((found - found.round()).abs().max()) <= 2 * 255 * 2**-24  # levels are whole numbers


def test_reals_are_levels_already_whatever_the_quantiser(whole):
    made = evidence(quantiser="none")
    assert torch.equal(made.node("features/real"), whole["features/real"])
    # The discriminator is given what the generator made, before any quantisation.
    assert torch.equal(made.node("scores/fake"), whole["scores/fake"])
    assert not torch.equal(made.node("features/fake"), whole["features/fake"])


@pytest.mark.parametrize("quantiser", ["round", "floor", "none"])
def test_float_samples_are_quantised_as_generated_ones(quantiser):
    array = np.random.default_rng(0).uniform(0, 1, (20, *SHAPE)).astype(np.float32)
    samples = Samples.of(array, "floats", "f", "npy", value_range=(0.0, 1.0))
    made = evidence(
        subject_of_samples(samples), samples=20, quantiser=quantiser, extractor=Pixels(ExtractorOptions(SHAPE))
    )
    found = made.node("features/fake").double().numpy().reshape(array.shape) * 255
    levels = array.astype(np.float64) * 255
    expected = {"round": np.floor(levels + 0.5), "floor": np.floor(levels), "none": levels}[quantiser]
    near = np.abs(found - expected) <= 5 * 255 * 2**-24
    edges = np.abs((levels + (quantiser == "round") * 0.5) % 1 - 0.5) > 0.5 - 1e-4
    assert np.all(near | edges)
    assert near.mean() > 0.99


# --- more samples of the same


def test_rows_of_a_smaller_audit_are_taken_over(whole):
    earlier = evidence(samples=40)
    ask(earlier)
    made = evidence(earlier=earlier)
    made.extractor.extract = counted(made.extractor.extract, calls := [])
    values = ask(made)
    assert all(torch.equal(a, b) for a, b in zip(values, [whole[name] for name in ASKED], strict=True))
    # Of 40 rows, 32 are whole blocks; the rest is made anew, and no real.
    assert generating(made) == [32, 48, 64]
    assert calls == [16] * 3
    assert made.node("features/real") is earlier.node("features/real")


@pytest.mark.parametrize("batch", [16, 64])
@pytest.mark.parametrize("is_kept", [True, False])
def test_taking_over_changes_no_bit_with_or_without_a_store(tmp_path, whole, is_kept, batch):
    store = Store(tmp_path if is_kept else None)
    earlier = None
    for samples in (17, 40, 60, 75):
        earlier = evidence(samples=samples, batch=batch, store=store, earlier=earlier)
        ask(earlier)
    for name in ASKED:
        assert torch.equal(earlier.node(name), whole[name])


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 4},
        {"quantiser": "floor"},
        {"extractor": Pixels(ExtractorOptions(SHAPE))},
        {"against": "train"},
    ],
)
def test_only_rows_of_the_same_are_taken_over(other):
    earlier = evidence(samples=40)
    ask(earlier)
    made, plain = evidence(earlier=earlier, **other), evidence(**other)
    for name in ("features/fake", "features/real", "scores/fake"):
        assert torch.equal(made.node(name), plain.node(name)), name


def test_of_samples_another_draw_is_taken_anew():
    """The first 10 of a draw of 20 are not a draw of 10."""
    subject = subject_of_samples(reals(40, 9, "fakes"))
    earlier = evidence(subject, samples=16)
    earlier.node("features/fake")
    made = evidence(subject, samples=32, earlier=earlier)
    assert torch.equal(made.node("features/fake"), evidence(subject, samples=32).node("features/fake"))
    assert not torch.equal(made.node("features/fake")[:16], earlier.node("features/fake"))


def counted(extract, calls):
    def counting(images):
        calls.append(len(images))
        return extract(images)

    return counting


# --- the store


ASKED = ("features/fake", "scores/fake", "features/real", "scores/test", "logits/real")


def ask(made):
    return [made.node(name) for name in ASKED]


def test_the_second_audit_computes_nothing(tmp_path):
    first = Store(tmp_path)
    values = ask(evidence(store=first))
    assert (first.hits, first.misses) == (0, 3)
    second = Store(tmp_path)
    again = evidence(store=second)
    again.extractor.extract = None  # whoever asks it, fails
    assert all(torch.equal(a, b) for a, b in zip(values, ask(again), strict=True))
    assert (second.hits, second.misses) == (3, 0)
    ask(again)
    assert (second.hits, second.misses) == (3, 0)  # memory, not disk


class Louder(Convolving):
    """Another forward under the same weights."""

    def forward(self, z):
        return 0.5 * super().forward(z)


@pytest.mark.parametrize(
    ("more", "misses"),
    [
        ({}, 0),
        ({"batch": 16}, 0),
        ({"seed": 4}, 1),
        ({"samples": 74}, 1),
        ({"extractor": Pixels(ExtractorOptions(SHAPE))}, 2),
        ({"train": 60, "calibration": 40, "test": 51}, 2),
    ],
)
def test_what_is_reused_is_what_would_come_out_again(tmp_path, more, misses):
    evidence_nodes = ("features/fake", "scores/fake", "features/real", "scores/test")
    made = evidence(store=Store(tmp_path))
    for name in evidence_nodes:
        made.node(name)
    store = Store(tmp_path)
    made = evidence(store=store, **more)
    for name in evidence_nodes:
        made.node(name)
    assert store.misses == misses


def test_other_code_under_equal_weights_is_not_taken_for_the_same(tmp_path):
    Louder.__qualname__ = Convolving.__qualname__
    plain = evidence(Subject.from_modules(Convolving(), latent=16), store=Store(tmp_path))
    other = evidence(Subject.from_modules(Louder(), latent=16), store=Store(tmp_path))
    assert plain.subject.digest == other.subject.digest  # the digest cannot see code
    assert not torch.equal(plain.node("features/fake"), other.node("features/fake"))


def test_a_store_that_cannot_be_written_costs_no_number(tmp_path, whole):
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file")
    assert torch.equal(evidence(store=store).node("features/fake"), whole["features/fake"])
    assert "cannot write" in store.problem


# --- what may be asked


def test_a_view_reads_what_was_declared_and_nothing_else(whole):
    made = evidence()
    view = View(made, ["features/real", "features/fake"])
    assert torch.equal(view["features/real"], whole["features/real"])
    with pytest.raises(EvidenceError, match="'scores/fake' was read without being declared; declared: "):
        view["scores/fake"]
    assert view.null_rule == made.null.rule
    assert view.against == "test"
    assert view.classes == CLASSES
    assert View(evidence(extractor=Pixels(ExtractorOptions(SHAPE))), []).classes == ()
    assert view.missing("features/real") is None
    assert view.world is made.ranks
    assert torch.equal(torch.cat([rows for _, rows in view.blocks("features/real")]), whole["features/real"])
    with pytest.raises(EvidenceError, match="'scores/test' was read without being declared"):
        view.blocks("scores/test")
    with pytest.raises(EvidenceError, match="'moments/real' was read without being declared"):
        view.moments("real")  # declaring the features is not enough
    assert View(made, ["moments/real"]).moments("real") is made.moments("real")


@pytest.mark.parametrize("name", ["features/other", "colours/real", "scores/real", ""])
def test_a_node_that_does_not_exist_is_refused(name):
    with pytest.raises(EvidenceError, match="no node has this name"):
        evidence().node(name)


@pytest.mark.parametrize(
    ("node", "more", "told"),
    [
        ("scores/fake", {"subject": "alone"}, "no discriminator (--discriminator FILE gives one)"),
        ("scores/test", {"test": 50}, None),
        ("scores/calibration", {"test": 50}, "no calibration split of reals; train reals are never substituted"),
        ("scores/test", {"train": 50, "against": "train"}, "no test split of reals; train reals are never substituted"),
        ("scores/train", {"test": 50}, "the reference has no train split"),
        ("logits/real", {"extractor": Pixels(ExtractorOptions(SHAPE))}, "pixels is no classifier"),
        ("features/null-fake", {"test": 3}, "3 reals are too few to compare with each other"),
        ("features/null-real", {"test": 3}, "3 reals are too few"),
        ("features/null-fake", {"test": 4}, None),
        ("features/real", {"test": 3}, None),
        ("values/null-fake", {"test": 3}, "3 reals are too few to compare with each other"),
    ],
)
def test_what_is_missing_is_told_and_never_made_up(node, more, told):
    if more.get("subject") == "alone":
        more = {"subject": Subject.from_modules(Convolving(), latent=16)}
    made = evidence(**more)
    reason = made.missing(node)
    assert (reason is None) == (told is None)
    if told is None:
        assert len(made.node(node)) == made.count(node)
    else:
        assert told in reason
        with pytest.raises(EvidenceError) as caught:
            made.node(node)
        assert told in str(caught.value)


# --- subjects that are samples


def test_samples_are_used_whole_or_drawn_in_order():
    samples = reals(40, 9, "fakes")
    subject = subject_of_samples(samples)
    made = evidence(subject, samples=40)
    assert torch.equal(made.fake_shown([0, 39]), samples.images([0, 39]))
    assert torch.equal(made.node("features/fake"), evidence(subject, samples=40, batch=1).node("features/fake"))
    some = evidence(subject, samples=10)
    picked = rows(40, 10, 3, "fake")
    assert list(picked) == sorted(set(picked))
    assert torch.equal(some.fake_shown(list(range(10))), samples.images(picked))
    torch.testing.assert_close(some.node("features/fake"), made.node("features/fake")[torch.from_numpy(picked)])
    assert not np.array_equal(picked, rows(40, 10, 4, "fake"))
    assert "no discriminator" in made.missing("scores/fake")


def test_features_are_used_as_they_stand():
    def features(n, seed):
        return Samples.of(np.random.default_rng(seed).normal(size=(n, 6)), "features", "f", "npy")

    real = features(30, 0)
    made = Evidence(
        subject_of_samples(features(20, 1)),
        Reference.of("r", "npy", {"test": real}, seen={"test": "unknown"}, rule="one"),
        Identity(ExtractorOptions((6,))),
        EvidencePlan(samples=20, seed=0, against="test"),
        Store(None),
        Silent(),
    )
    for node, samples in (("features/real", real), ("features/fake", made.subject.samples)):
        assert made.node(node).dtype == torch.float64
        assert np.array_equal(made.node(node).numpy(), samples.array)
    for side in SIDES:
        assert "holds rows of features" in made.missing(f"values/{side}")


# --- the null


@pytest.mark.parametrize(
    ("sizes", "against", "n_fake", "rule", "sizes_of_null"),
    [
        ({"train": 60, "test": 50}, "test", 40, "40 train reals against 50 test reals", (40, 50)),
        ({"train": 60, "test": 50}, "test", 60, "60 train reals against 50 test reals", (60, 50)),
        # Too short a pool still serves, and the rule says so.
        ({"train": 60, "test": 50}, "test", 70, "60 train reals against 50 test reals, fewer than the 70", (60, 50)),
        ({"train": 20, "calibration": 60, "test": 50}, "test", 40, "40 calibration reals against 50 test", (40, 50)),
        ({"train": 30, "calibration": 35, "test": 50}, "test", 40, "35 calibration reals against 50", (35, 50)),
        ({"train": 60, "calibration": 60, "test": 50}, "test", 40, "40 train reals", (40, 50)),
        ({"train": 60, "test": 50}, "train", 40, "40 test reals against 60 train reals", (40, 60)),
        ({"calibration": 60, "test": 50}, "calibration", 40, "40 test reals against 60 calibration", (40, 60)),
        # A pool of less than half of the audited split is worse than two halves of it.
        ({"train": 10, "test": 50}, "test", 40, "25 of the 50 test reals against 25 others of them", (25, 25)),
        ({"test": 50}, "test", 10, "10 of the 50 test reals against 25 others of them", (10, 25)),
        ({"test": 51}, "test", 40, "25 of the 51 test reals against 26 others of them", (25, 26)),
        ({"train": 60, "test": 50}, "all", 40, "40 of the 110 all reals against 55 others of them", (40, 55)),
        ({"test": 3}, "test", 10, "3 reals are too few to compare with each other", None),
        ({"test": 4}, "test", 10, "2 of the 4 test reals against 2 others of them", (2, 2)),
    ],
)
def test_which_reals_stand_in_for_generated_ones(sizes, against, n_fake, rule, sizes_of_null):
    made = reference(**sizes)
    null = null_design(made, against, n_fake, seed=0)
    assert null.rule.startswith(rule)
    if sizes_of_null is None:
        assert null.fake is None
        assert null.real is None
        return
    assert (len(null.fake), len(null.real)) == sizes_of_null
    ours = {row.tobytes() for row in null.fake.array}
    theirs = {row.tobytes() for row in null.real.array}
    assert not ours & theirs  # disjoint
    assert len(ours) == len(null.fake)
    again = null_design(made, against, n_fake, seed=0)
    assert again.fake.digest == null.fake.digest
    # A seed draws other rows wherever there is a choice.
    other = null_design(made, against, n_fake, seed=1)
    assert (other.fake.digest != null.fake.digest) == (len(null.fake) not in sizes.values())


# --- values


class Told(torch.nn.Module):
    def forward(self, x, labels):
        return x.mean((1, 2, 3)) + labels


@pytest.mark.parametrize("side", ["fake", "train", "calibration", "test"])
def test_values_are_what_scores_were_taken_of(side):
    for subject in (None, Subject.from_modules(Convolving(), Told(), latent=16, classes=10)):
        made = evidence(subject)
        rows = [0, 37, 5, 39]
        x, labels = made.values(f"values/{side}", rows)
        assert x.dtype == torch.float32
        assert (labels is None) == (subject is None)
        torch.testing.assert_close(made.subject.discriminate(x, labels), made.node(f"scores/{side}")[rows])


def test_values_need_no_discriminator_and_are_those_of_the_features():
    made = evidence(Subject.from_modules(Convolving(), latent=16))
    for split in ("train", "calibration", "test"):
        assert made.missing(f"values/{split}") is None
        assert torch.equal(made.values(f"values/{split}", [2])[0], made.reference.splits[split].values([2], -1.0, 1.0))
    sources = {"real": made.reference.split("test"), "null-real": made.null.real, "null-fake": made.null.fake}
    for side, samples in sources.items():
        x, labels = made.values(f"values/{side}", [3, 0])
        assert labels is None
        assert torch.equal(x, samples.values([3, 0], -1.0, 1.0))
        assert View(made, [f"values/{side}"]).count(f"values/{side}") == len(samples) == made.count(f"features/{side}")
    x, _ = made.values("values/fake", [3, 0])
    assert torch.equal(to_uint8(x, -1.0, 1.0), made.fake_shown([3, 0]))
    with pytest.raises(EvidenceError, match="without being declared"):
        View(made, ["values/real"]).count("values/fake")


def test_values_are_asked_for_by_rows():
    made = evidence()
    with pytest.raises(EvidenceError, match="some samples at a time"):
        made.node("values/test")
    with pytest.raises(EvidenceError, match="is not read in blocks"):
        next(made.blocks("values/test"))
    with pytest.raises(EvidenceError, match="has no train split"):
        evidence(test=50).values("values/train", [0])


def test_the_subject_is_lent_to_those_who_declare_values():
    made = evidence()
    assert View(made, ["values/test"]).subject is made.subject
    with pytest.raises(EvidenceError, match="without any values/SET being declared"):
        _ = View(made, ["scores/test"]).subject
    with pytest.raises(EvidenceError, match="read without being declared"):
        View(made, ["values/test"]).values("fake", [0])


def test_scores_have_gradients_where_they_are_asked_for_so():
    subject = evidence().subject
    x = torch.rand(3, 3, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(subject.score(x).sum(), x)
    assert float(gradient.abs().sum()) > 0
    torch.testing.assert_close(subject.score(x).detach().double(), subject.discriminate(x))


def test_features_of_samples_of_ones_own_are_those_of_the_node():
    made = evidence()
    x, _ = made.values("values/fake", list(range(20)))
    view = View(made, ["values/fake", "features/fake"])
    assert torch.equal(view.features_of(x), view["features/fake"][:20])
    # A step far below a level is seen only where nothing is quantised.
    assert torch.equal(view.features_of(x + 1e-6), view["features/fake"][:20])
    assert not torch.equal(view.features_of(x + 1e-6, "none"), view.features_of(x, "none"))
    with pytest.raises(EvidenceError, match="without any values/SET"):
        View(made, ["features/fake"]).features_of(x)
