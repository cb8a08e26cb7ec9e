"""The inception score against known answers, torch-fidelity and itself at other sizes."""

import math

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from ganaudit.evaluators.inception_score import InceptionScore
from ganaudit.numerics.entropy import class_entropies


class Logits:
    """A view that holds the logits it is given."""

    null_rule = "a made-up null"
    against = "test"
    classes = ()

    def __init__(self, fake, null=None):
        self.nodes = {"logits/fake": fake, "logits/real": fake, "logits/null-fake": null}

    def missing(self, node):
        return None if self.nodes[node] is not None else "no reals are left over"

    def __getitem__(self, node):
        assert node in InceptionScore.spec.needs
        return self.nodes[node]


def drawn(n, c=10, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((n, c))
    logits[np.arange(n), rng.integers(0, c, n)] += 6 * rng.gamma(2, 0.5, n)
    return torch.from_numpy(logits).float()


def measured(fake, null=None, seed=0, **options):
    found = InceptionScore(**options).evaluate(Logits(fake, null), np.random.default_rng(seed))
    return {m.key: m for m in found.measurements}, found


def test_the_same_logits_give_one_class():
    found, _ = measured(torch.full((60, 7), 0.25), torch.full((30, 7), 0.25))
    assert found["is"].value == pytest.approx(1, rel=1e-12)
    assert found["is-corrected"].value == pytest.approx(1, rel=1e-12)
    assert found["class-entropy"].value == pytest.approx(math.log(7), rel=1e-12)
    assert found["class-entropy-share"].value == pytest.approx(1, rel=1e-12)
    assert found["is"].null.value == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("c", [2, 10, 100])
def test_certain_classes_in_equal_numbers_give_all_of_them(c):
    found, _ = measured(1e4 * torch.eye(c).repeat(20, 1), splits=1)
    for key, value in (("is", c), ("is-corrected", c), ("class-entropy", math.log(c)), ("class-entropy-share", 1)):
        assert found[key].value == pytest.approx(value, rel=1e-12)
        if key != "is":
            # No correction leaves the possible values, and none pretends to know more than the samples do.
            assert found[key].interval.high <= value * (1 + 1e-12)
    # Every sample counts the same: leaving one out tells nothing.
    assert found["is"].interval is None
    assert found["is-corrected"].interval.low < c


def test_a_generator_that_knows_one_class_has_no_entropy():
    logits = torch.zeros(40, 5)
    logits[:, 3] = 1e4
    found, _ = measured(logits)
    assert [
        found[key].value for key in ("is", "is-corrected", "class-entropy", "class-entropy-share")
    ] == pytest.approx([1, 1, 0, 0], abs=1e-12)


@pytest.mark.parametrize("splits", [1, 10])
@pytest.mark.parametrize("logits", [[0.3, 0.3, 0.3], [2.0, -1.0, 0.5], [1e4, 0.0, 0.0]])
def test_copies_of_one_image_are_no_certainty(splits, logits):
    copies = torch.tensor(logits).repeat(40, 1)
    found, _ = measured(copies, copies, splits=splits)
    for m in found.values():
        assert m.interval is None, m.key
        assert "equal in their class probabilities" in m.interval_reason
        assert (m.null.low, m.null.high) == (None, None)


def test_the_words_compare_with_the_null():
    real = drawn(300, seed=4)
    collapsed = real.clone()
    collapsed[:, 3] += 12.0
    text = measured(collapsed, real)[1].details[0].text
    for named in ("The score,", "The score without its bias,", "The class entropy,"):
        assert named in text
    assert text.count("is below the") == 3
    assert "cannot be told from" in measured(drawn(300, seed=5), real)[1].details[0].text
    unlike = measured(collapsed, real[:150])[1].details[0].text
    assert "that of 150 reals" in unlike
    assert "say nothing of each other" in unlike
    assert unlike.count("is below the") == 2
    assert "without a null nothing says" in measured(real)[1].details[0].text


@pytest.mark.parametrize(("n", "splits"), [(500, 10), (103, 7), (60, 1)])
def test_torch_fidelitys_order_gives_torch_fidelitys_score(n, splits):
    logits = drawn(n)
    peer = isc_features_to_metric(logits, splits=splits, shuffle=True, rng_seed=2020)
    found, findings = measured(logits, splits=splits, order="torch-fidelity")
    assert found["is"].value == pytest.approx(peer["inception_score_mean"], rel=1e-12)
    published = f"{peer['inception_score_mean']:.4f} ± {peer['inception_score_std']:.4f}"
    assert any(published in d.text for d in findings.details if d.kind == "note")


def test_the_order_of_splits_is_the_one_asked_for():
    logits = drawn(200)
    peer = isc_features_to_metric(logits, splits=10, shuffle=False)
    assert measured(logits, order="as-given")[0]["is"].value == pytest.approx(peer["inception_score_mean"], rel=1e-12)
    first, same, other = (measured(logits, seed=seed)[0]["is"].value for seed in (0, 0, 1))
    assert first == same != other
    corrected = [measured(logits, seed=seed)[0]["is-corrected"].value for seed in (0, 1)]
    assert corrected[0] == corrected[1]


def test_the_corrected_score_compares_across_sizes_where_the_published_one_does_not():
    small, large = measured(drawn(200, seed=1))[0], measured(drawn(20_000, seed=2))[0]
    assert small["is"].interval.high < large["is"].interval.low
    inside = small["is-corrected"].interval
    assert inside.low < large["is-corrected"].value < inside.high
    assert large["is-corrected"].value > large["is"].value
    assert "20 samples per split" in small["is"].interval.covers
    assert "endless samples" in inside.covers


def test_nulls_are_the_same_numbers_of_reals():
    fake, real = drawn(300, seed=3), drawn(150, seed=4)
    found, _ = measured(fake, real)
    alone, _ = measured(real)
    for key in ("is-corrected", "class-entropy", "class-entropy-share"):
        null, own = found[key].null, alone[key]
        assert (null.value, null.low, null.high) == (own.value, own.interval.low, own.interval.high)
        assert null.n == 150
        assert "150 reals in place of generated samples (a made-up null)" in null.rule
    assert found["is"].null.low < found["is"].null.value < found["is"].null.high
    without, _ = measured(fake)
    assert all(m.null is None and m.null_reason == "a made-up null" for m in without.values())
    tiny, _ = measured(fake, real[:2])
    assert all("needs 3 reals" in m.null_reason for m in tiny.values())


@pytest.mark.parametrize(
    ("n", "asked", "made"), [(20, 10, 10), (13, 10, 6), (8, 10, 2), (7, 4, 2), (3, 10, 1), (50, 3, 3)]
)
def test_splits_are_fewer_where_samples_are(n, asked, made):
    found, _ = measured(drawn(n), splits=asked)
    expected = f"over {made} splits" if made >= 5 else "by the jackknife"
    assert expected in found["is"].interval.method
    assert f"{n // made} samples per split" in found["is"].interval.covers
    assert found["is"].interval.low <= found["is"].value <= found["is"].interval.high


def test_samples_too_few_for_their_classes_are_said_to_be():
    few = 1e4 * torch.eye(500)[torch.from_numpy(np.random.default_rng(0).integers(0, 500, 200))]
    found, findings = measured(few)
    assert "200 samples are few for the classes they reach (500 in all)" in findings.warnings[0]
    assert found["is-corrected"].interval.low <= 500
    assert found["is-corrected"].interval.high == pytest.approx(500)  # nothing above is possible, and 500 is the truth
    information = class_entropies(few).information
    assert information.standard_error > abs(information.second_order) > 0
    assert not measured(drawn(400))[1].warnings


def test_one_class_is_no_scale():
    found, _ = measured(torch.ones(30, 1))
    assert found["is"].value == 1
    assert found["class-entropy-share"].value is None
    assert "1 class" in found["class-entropy-share"].reason


@pytest.mark.parametrize("options", [{"splits": 0}, {"order": "sorted"}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        InceptionScore(**options)
