"""The Fréchet evaluator on made-up evidence: known truths, few samples, published reals, classes, worlds."""

import numpy as np
import pytest
import torch

from ganaudit.document.model import Curve, EvaluatorResult, Note, Table
from ganaudit.document.spec import NotAssessable
from ganaudit.evaluators.frechet_distance import FrechetDistance
from ganaudit.evidence.nodes import node_names
from ganaudit.numerics.frechet import frechet_bias, frechet_distance
from ganaudit.numerics.frechet_extrapolation import samples_needed
from ganaudit.numerics.moments import GroupedMoments, Moments
from ganaudit.numerics.world import ALONE
from tests.numerics.test_moments import in_worlds

PARTNER = {"real": "fake", "fake": "real", "null-real": "null-fake", "null-fake": "null-real"}


class FakeView:
    """Hands out given features and labels as the evidence would; refuses what the spec does not declare."""

    null_rule = "made-up reals against others"
    against = "test"

    def __init__(self, features, labels=None, published=None, world=ALONE, classes=()):
        self.features, self.labels, self.published = features, labels or {}, published
        self.world, self.classes = world, classes
        self.declared = {*FrechetDistance.spec.needs, *FrechetDistance.spec.wants}
        assert self.declared <= set(node_names())

    def missing(self, node):
        assert node in self.declared
        kind, _, side = node.partition("/")
        if kind == "moments" and side == "real" and self.published is not None:
            return None
        held = self.labels if kind == "labels" else self.features
        return None if side in held else "not made up"

    def __getitem__(self, node):
        assert self.missing(node) is None
        kind, _, side = node.partition("/")
        return (self.labels if kind == "labels" else self.features)[side]

    def blocks(self, node, rows=37):
        x = self[node]
        return ((start, x[start : start + rows]) for start in range(0, len(x), rows))

    def moments(self, side):
        assert self.missing(f"moments/{side}") is None
        if side == "real" and self.published is not None:
            return GroupedMoments((self.published,))
        x, other = self.features[side], self.features.get(PARTNER[side])
        core = min(len(x), len(x) if other is None else len(other))
        groups = GroupedMoments.groups_for(core, x.shape[1])
        rng = np.random.default_rng(len(side))
        return GroupedMoments.gather(self.blocks(f"features/{side}"), len(x), groups, rng, self.world, core)


def drawn(n, d, seed, shift=0.0, scale=1.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) * scale + shift)


def sides(d=4, shift=0.0, scale=1.0, n=300, m=250, null=True):
    made = {"real": drawn(n, d, 1), "fake": drawn(m, d, 2, shift, scale)}
    return made | ({"null-real": made["real"], "null-fake": drawn(m, d, 3)} if null else {})


def evaluated(view, seed=0):
    found = FrechetDistance().evaluate(view, np.random.default_rng(seed))
    row = EvaluatorResult(
        evaluator="e",
        title="t",
        question="q?",
        status="measured",
        measurements=found.measurements,
        details=found.details,
    )
    assert EvaluatorResult.model_validate_json(row.model_dump_json()) == row
    return found, {m.key: m for m in found.measurements}


def words(found):
    return next(d.text for d in found.details if isinstance(d, Note))


def test_a_known_difference_is_measured_and_lies_in_the_intervals():
    found, by_key = evaluated(FakeView(sides(shift=0.5, scale=1.2)))
    truth = 4 * (0.5**2 + 0.2**2)
    features = sides(shift=0.5, scale=1.2)
    assert by_key["fd"].value == pytest.approx(frechet_distance(features["real"], features["fake"]), rel=1e-9)
    for key in ("fd-corrected", "fd-infinity"):
        interval = by_key[key].interval
        # One draw: within four standard errors, twice the half-width of the interval.
        assert abs(by_key[key].value - truth) <= interval.high - interval.low
        assert "both" in interval.covers
        assert by_key[key].null.low < 0 < by_key[key].null.high
        assert by_key[key].null.n == 250
    assert by_key["fd"].sizes == {"real": 300, "fake": 250}
    assert "more than chance" in words(found)
    assert "at the same n" in words(found)


def test_equal_laws_show_no_difference():
    found, by_key = evaluated(FakeView(sides()))
    interval = by_key["fd-corrected"].interval
    assert interval.low < 0 < interval.high
    assert "no difference is seen" in words(found)
    expected = frechet_bias(Moments.of(sides()["real"]).covariance, 300, 250)
    assert by_key["bias-floor"].value == pytest.approx(expected, rel=1e-9)


def test_without_a_null_the_words_and_reasons_say_so():
    found, by_key = evaluated(FakeView(sides(null=False)))
    assert all(m.null is None and m.null_reason for m in by_key.values())
    assert "equal distributions would show" in words(found)


def test_the_curve_and_the_table_hold_what_the_values_rest_on():
    found, by_key = evaluated(FakeView(sides(shift=0.3)))
    curve = next(d for d in found.details if isinstance(d, Curve))
    assert [s.name for s in curve.series] == ["generated", "null: real against real"]
    assert curve.series[0].x[-1] == 250
    table = next(d for d in found.details if isinstance(d, Table))
    cells = {row[0]: row[1] for row in table.rows}
    assert cells["of fd, from the means"] + cells["of fd, from the covariances"] == pytest.approx(by_key["fd"].value)
    assert cells["bias removed by fd-corrected"] == pytest.approx(by_key["fd"].value - by_key["fd-corrected"].value)
    assert cells["samples per dimension, smaller side"] == 62.5
    assert 0.9 < cells["R² of the line over 1/n"] <= 1


@pytest.mark.parametrize(("n", "m"), [(20, 15), (300, 15), (15, 300), (41, 42)])
def test_too_few_samples_for_the_features_leave_the_plug_in_distance_alone(n, m):
    features = sides(d=40, n=n, m=m)
    found, by_key = evaluated(FakeView(features))
    assert by_key["fd"].value == pytest.approx(frechet_distance(features["real"], features["fake"]), rel=1e-9)
    for key in ("fd-corrected", "fd-infinity"):
        assert by_key[key].value is None
        assert "40 features" in by_key[key].reason
    assert str(samples_needed(40)) in by_key["fd-corrected"].reason
    assert (by_key["bias-floor"].value is None) == (n <= 40)
    assert "mostly bias" in words(found)
    curve = next(d for d in found.details if isinstance(d, Curve))
    assert curve.series[0].x[-1] == m
    assert curve.series[0].y[-1] == pytest.approx(by_key["fd"].value, rel=1e-9)
    assert found.exhibits == []


def test_published_reals_give_all_but_what_needs_their_samples():
    truth = 4 * (0.5**2 + 0.2**2)
    published = Moments.from_statistics(5000, torch.zeros(4), torch.eye(4))
    fake = drawn(400, 4, 2, 0.5, 1.2)
    found, by_key = evaluated(FakeView({"fake": fake}, published=published))
    assert by_key["fd"].value == pytest.approx(frechet_distance(published, fake), rel=1e-9)
    m = by_key["fd-corrected"]
    # One draw: within four standard errors, twice the half-width of the interval.
    assert abs(m.value - truth) <= m.interval.high - m.interval.low
    assert "published reals as if their features were normal" in m.interval.covers
    assert by_key["bias-floor"].value == pytest.approx(frechet_bias(torch.eye(4), 5000, 400), rel=1e-9)
    assert by_key["fd"].sizes == {"real": 5000, "fake": 400}
    assert [e.side for e in found.exhibits] == ["fake"]
    assert "more than chance, if the features of the published reals are near normal." in words(found)


def test_few_published_reals_widen_the_interval():
    fake = drawn(400, 4, 2, 0.5, 1.2)
    widths = []
    for n in (60, 400, 10**9):
        published = Moments.from_statistics(n, torch.zeros(4), torch.eye(4))
        view = FakeView({"fake": fake}, published=published)
        view.features["real"] = drawn(n, 4, 9) if n < 400 else fake  # the size of the core alone
        view.missing = lambda node: None if node in ("features/fake", "moments/real", "moments/fake") else "no reals"
        interval = evaluated(view)[1]["fd-corrected"].interval
        widths.append(interval.high - interval.low)
    # 1/n of both sides: to first order the root of 1/60 + 1/400 over that of 2/400, at these unlike scales about 2.
    assert widths[0] > 1.5 * widths[1] > 1.5 * widths[2]


def test_published_reals_of_an_unknown_number_give_fd_alone():
    published = Moments.from_statistics(None, torch.zeros(4), torch.eye(4))
    # Not a sample of 400 but the mean of many: where n is unknown nothing may say that this is no chance.
    fake = drawn(400, 4, 2, 0.5, 1.2)
    found, by_key = evaluated(FakeView({"fake": fake}, published=published))
    assert by_key["fd"].value == pytest.approx(frechet_distance(published, fake), rel=1e-9)
    assert by_key["fd"].sizes == {"fake": 400}
    for key in ("fd-corrected", "fd-infinity", "bias-floor"):
        assert by_key[key].value is None
        assert "do not say how many samples they come from" in by_key[key].reason
        assert "array n beside mu and sigma" in by_key[key].reason
    assert "an unknown part is bias" in words(found)
    assert "chance." not in words(found)
    assert "nothing differed" not in words(found)
    assert found.exhibits == []


def test_the_null_of_fd_has_its_spread():
    # 120 nulls of fresh samples: as many lie within the spread of one null about their mean as it says.
    d, n = 4, 200
    values = [frechet_distance(drawn(n, d, 1000 + i), drawn(n, d, 2000 + i)) for i in range(120)]
    _, by_key = evaluated(FakeView(sides(d=d, n=n, m=n)))
    null = by_key["fd"].null
    half = (null.high - null.value) / 1.96
    # A standard deviation of 120 to 4 of its own errors, the spread of one draw to a quarter.
    assert half == pytest.approx(float(np.std(values, ddof=1)), rel=4 / np.sqrt(240) + 0.25)
    assert 0 <= null.low < null.value


def test_without_samples_enough_the_words_still_compare_and_the_rule_tells_why_there_is_no_spread():
    features = sides(d=40, n=20, m=15, shift=1.0)
    found, by_key = evaluated(FakeView(features))
    null = by_key["fd"].null
    assert null.low is None
    assert "its spread is not known: needs" in null.rule
    assert "found 20 real and 15 generated" in null.rule
    assert f"reals against reals show {null.value:.4g} at the same n: fd lies above that" in words(found)
    assert "one value alone does not tell chance" in words(found)
    assert "found 20 real and 15 generated" in by_key["fd-corrected"].reason
    features["null-fake"] = features["null-fake"][:9]
    found, _ = evaluated(FakeView(features))
    assert "at n = 9 instead of 15, with the larger bias of fewer samples" in words(found)


@pytest.mark.parametrize("value", [0.0, 0.1])
@pytest.mark.parametrize("constant", [("real", "fake", "null-real", "null-fake"), ("fake",)])
def test_one_sample_over_and_over_shows_no_scatter(value, constant):
    features = sides(n=60, m=60)
    features |= {side: torch.full((60, 4), value) for side in constant}
    found, by_key = evaluated(FakeView(features))
    for key in ("fd-corrected", "fd-infinity"):
        m = by_key[key]
        assert m.value is not None
        assert m.interval is None
        assert "samples are equal in their features" in m.interval_reason
        assert (m.null.low is None) == (len(constant) == 4)
    assert (by_key["fd"].null.low is None) == (len(constant) == 4)
    assert "samples are equal in their features" in words(found)
    assert "no difference" not in words(found) or len(constant) == 4


def test_features_at_the_ends_of_float64():
    features = sides(shift=0.5)
    _, usual = evaluated(FakeView(features))
    unit = 2.0**-498
    _, small = evaluated(FakeView({side: x * unit for side, x in features.items()}))
    for key, m in small.items():
        assert m.value == pytest.approx(usual[key].value * unit * unit, rel=1e-9)
    with pytest.raises(ValueError, match="allowed: below 1e100"):
        evaluated(FakeView({side: x * 1e150 for side, x in features.items()}))


def test_published_reals_and_few_generated_samples():
    published = Moments.from_statistics(None, torch.zeros(40), torch.eye(40))
    fake = drawn(10, 40, 2)
    _, by_key = evaluated(FakeView({"fake": fake}, published=published))
    # The nuclear norm with the identity's root: singular values of the centred fakes alone.
    x = (fake - fake.mean(0)).numpy() / 3
    expected = float(fake.mean(0).square().sum()) + 40 + (x**2).sum() - 2 * np.linalg.norm(x, "nuc")
    assert by_key["fd"].value == pytest.approx(expected, rel=1e-9)
    assert by_key["fd-corrected"].value is None


def test_a_published_single_real_is_not_assessable():
    class One(FakeView):
        def moments(self, side):
            return GroupedMoments((Moments.of(drawn(1, 4, 1)),)) if side == "real" else super().moments(side)

    with pytest.raises(NotAssessable, match="at least 2 real"):
        evaluated(One({"fake": drawn(60, 4, 2)}, published=True))


def test_the_samples_that_move_the_distance_most_are_shown():
    features = sides(shift=0.1, scale=1.5)
    features["fake"][17, 0] = 9.0
    features["real"][5, 1] = 0.0
    features["real"] *= torch.tensor([1.0, 3.0, 1.0, 1.0])
    features["real"][5, 1] = 15.0
    found, by_key = evaluated(FakeView(features))
    fakes, reals = found.exhibits
    assert (fakes.side, reals.side) == ("fake", "real")
    assert (fakes.indices[0], reals.indices[0]) == (17, 5)
    assert len(fakes.indices) == len(fakes.captions) == 16
    added = float(fakes.captions[0].split()[1])
    without = torch.cat([features["fake"][:17], features["fake"][18:]])
    moved = by_key["fd"].value - frechet_distance(features["real"], without)
    # To first order: the sample makes up a fifth of its feature's variance, so the next order is about a fifth.
    assert added == pytest.approx(moved, rel=0.3)
    assert f"{added / by_key['fd'].value:.0%}"[:-1] in fakes.captions[0]


def test_classes_are_compared_one_by_one():
    features = sides(n=300, m=300)
    labels = {side: torch.arange(300) % 3 for side in features}
    features["fake"][labels["fake"] == 1] += 2.0
    labels["real"][:7], labels["fake"][:1] = 3, 3
    found, _ = evaluated(FakeView(features, labels, classes=("ant", "bee", "cat", "dog")))
    table = next(d for d in found.details if isinstance(d, Table) and "class" in d.title)
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == ["ant", "bee", "cat", "dog"]
    for number, name in enumerate(("ant", "bee", "cat")):
        real, fake = (features[side][labels[side] == number] for side in ("real", "fake"))
        n, m, fd, null, corrected, low, high = rows[name]
        assert (n, m) == (len(real), len(fake))
        assert fd == pytest.approx(frechet_distance(real, fake), rel=1e-9)
        assert null < fd if name == "bee" else null < 1
        assert low < (16 if name == "bee" else 0) < high
        assert low < corrected < high
    assert rows["dog"] == [7, 1, None, None, None, None, None]


def test_labels_on_one_side_make_no_table_of_classes():
    found, _ = evaluated(FakeView(sides(), {"real": torch.zeros(300, dtype=torch.int64)}))
    assert not any(isinstance(d, Table) and "class" in d.title for d in found.details)


def test_a_hundred_classes_are_shown_and_the_rest_counted():
    features = sides(d=1, n=600, m=600, null=False)
    labels = {side: torch.arange(600) % 120 for side in ("real", "fake")}
    found, _ = evaluated(FakeView(features, labels))
    table = next(d for d in found.details if isinstance(d, Table) and "class" in d.title)
    assert len(table.rows) == 100
    assert "of 120" in table.title


@pytest.mark.parametrize("size", [2, 3])
def test_a_world_of_several_processes_finds_the_same_numbers(size):
    features = sides(shift=0.3)
    labels = {side: torch.arange(len(x)) % 4 for side, x in features.items()}
    _, alone = evaluated(FakeView(features, labels))
    made = in_worlds(size, lambda world: evaluated(FakeView(features, labels, world=world)))
    for found, by_key in made:
        for key, m in by_key.items():
            assert m.value == pytest.approx(alone[key].value, rel=1e-9)
            if m.interval is not None:
                assert m.interval.low == pytest.approx(alone[key].interval.low, rel=1e-9)
        assert found.exhibits == made[0][0].exhibits


def test_identical_samples_give_limits_not_nan():
    ones = {side: torch.ones(60, 3) for side in ("real", "fake", "null-real", "null-fake")}
    _, by_key = evaluated(FakeView(ones))
    assert all(m.value == 0 for m in by_key.values())
