"""Evidence: the same bits for every batch size, each node once, and honest words for what cannot be had."""

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.document.errors import EvidenceError
from ganaudit.evidence.evidence import Evidence, EvidencePlan, node_names
from ganaudit.evidence.null import null_design, rows
from ganaudit.evidence.store import Store
from ganaudit.evidence.view import View
from ganaudit.features.extractor import Activations, ExtractorOptions
from ganaudit.features.pixels import Pixels
from ganaudit.features.random_conv import RandomConv
from ganaudit.numerics.quantise import to_uint8
from ganaudit.progress import Silent
from ganaudit.subjects.samples import subject_of_samples
from ganaudit.subjects.subject import Subject

SHAPE = (3, 8, 8)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def reals(n, seed, name="test"):
    array = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return Samples.of(array, "images", name, "npy")


def reference(**sizes):
    splits = {name: reals(n, i, name) for i, (name, n) in enumerate(sizes.items())}
    return Reference.of("r", "npz", splits, seen=dict.fromkeys(splits, "unknown"), rule="a test made them")


class Convolving(nn.Module):
    """A generator whose float32 convolutions would differ with the batch, if it were let."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(16, 64 * 16)
        self.layers = nn.Sequential(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 3, 3, padding=1))
        self.gain = 1.0

    def forward(self, z):
        return torch.tanh(self.gain * self.layers(self.first(z).view(-1, 64, 4, 4)))


class Judging(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 64, 1))

    def forward(self, x):
        return self.layers(x)


class Classifying(RandomConv):
    """Random features with logits, to have every kind of node."""

    classes = 10

    def extract(self, images):
        features = super().extract(images).features
        return Activations(features, features[:, :10].contiguous())


def evidence(subject=None, *, batch=512, samples=75, seed=3, against="test", store=None, extractor=None, **sizes):
    subject = subject or Subject.from_modules(Convolving(), Judging(), latent=16)
    return Evidence(
        subject,
        reference(**(sizes or {"train": 60, "calibration": 40, "test": 50})),
        extractor or Classifying(ExtractorOptions(SHAPE)),
        EvidencePlan(samples=samples, seed=seed, against=against, batch=batch),
        store or Store(None),
        Silent(),
    )


@pytest.fixture(scope="module")
def whole():
    made = evidence(batch=500)
    return {name: made.node(name) for name in node_names()}


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
    }
    assert whole["scores/train"].dtype == torch.float64
    assert whole["logits/real"].shape == (50, 10)


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
    images = made.fake_images(indices)
    assert images.dtype == torch.uint8
    assert images.shape == (5, *SHAPE)
    blocks = [made.subject.generate(made.subject.latents(3, start, 16)) for start in range(0, 80, 16)]
    assert torch.equal(images, to_uint8(torch.cat(blocks)[indices], -1.0, 1.0))
    features = made.extractor.extract(made.fake_images(list(range(16, 32)))).features
    assert torch.equal(features, whole["features/fake"][16:32])
    assert torch.equal(evidence(samples=10).fake_images([3]), made.fake_images([3]))


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
    assert made.fake_images([24, 0]).shape == (2, *SHAPE)
    expected = evidence(samples=25).node("features/fake")
    torch.testing.assert_close(made.node("features/fake"), expected, rtol=1e-4, atol=1e-5)


# --- the store


def ask(made):
    return [made.node(name) for name in ("features/fake", "scores/fake", "features/real", "scores/test", "logits/real")]


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
    assert view.classes == ()
    assert view.missing("features/real") is None


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
    assert torch.equal(made.fake_images([0, 39]), samples.images([0, 39]))
    assert torch.equal(made.node("features/fake"), evidence(subject, samples=40, batch=1).node("features/fake"))
    some = evidence(subject, samples=10)
    picked = rows(40, 10, 3, "fake")
    assert list(picked) == sorted(set(picked))
    assert torch.equal(some.fake_images(list(range(10))), samples.images(picked))
    torch.testing.assert_close(some.node("features/fake"), made.node("features/fake")[torch.from_numpy(picked)])
    assert not np.array_equal(picked, rows(40, 10, 4, "fake"))
    assert "no discriminator" in made.missing("scores/fake")


def test_features_are_used_as_they_stand():
    from ganaudit.features.identity import Identity

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
    assert made.node("features/real").dtype == torch.float64
    assert np.array_equal(made.node("features/real").numpy(), real.array)


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
