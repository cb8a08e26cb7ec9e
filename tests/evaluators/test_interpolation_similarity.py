"""Ways from generated samples to reals, and through the latent, of linear subjects whose answers are formulas."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import nn

from ganaudit.auditing import audit
from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.evaluators.interpolation_similarity import InterpolationSimilarity
from ganaudit.evidence.blends import blend_readings, blended
from ganaudit.numerics.detection import conformal_threshold
from ganaudit.subjects.subject import LatentSpec, Subject
from tests.evaluators.linear_subjects import LATENT, SHAPE, Told, Weighs, audited, weights
from tests.evaluators.test_contract import FakeView

NAME = "interpolation-similarity"
P = math.prod(SHAPE)
W = weights(P)
SMALL = {"pairs": 40, "points": 5, "paths": 20}
SCALE = 0.25
"""The spread of every value, in a range of -1..1."""


class Linear(nn.Module):
    """Samples of the law N(shift, SCALE^2 I): as many latents as values, turned."""

    def __init__(self, shift=0.0, spread=1.0, latent=P):
        super().__init__()
        turned = np.linalg.qr(np.random.default_rng(5).standard_normal((P, P)))[0][:latent]
        self.register_buffer("mix", torch.from_numpy(spread * SCALE * turned).float())
        self.shift = shift

    def forward(self, z, labels=None):
        return (z @ self.mix + self.shift).view(-1, *SHAPE)


class Levels(Linear):
    def forward(self, z, labels=None):
        x = super().forward(z, labels).clamp(-1, 1)
        return ((x + 1) * 127.5).round() / 127.5 - 1


class Breaking(Linear):
    """Fails where the first latent is farther out than any of the audit's own."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, z, labels=None):
        x = super().forward(z, labels)
        return torch.where((z[:, 0].abs() > self.limit).view(-1, 1, 1, 1), torch.nan, x)


class Still(Linear):
    def forward(self, z, labels=None):
        return super().forward(z * 0, labels)


def reals(n, seed):
    return (SCALE * np.random.default_rng(seed).standard_normal((n, *SHAPE))).astype(np.float32)


def reference(labels=None, **sizes):
    told = {} if labels is None else {"classes": tuple("abc")}
    sizes = sizes or {"test": 180, "calibration": 100, "train": 60}
    splits = {
        name: Samples.of(reals(n, seed), "floats", name, "npy", value_range=(-1.0, 1.0),
                         **(told | ({} if labels is None else {"labels": np.arange(n) % labels})))
        for seed, (name, n) in enumerate(sizes.items())
    }  # fmt: skip
    return Reference.of("r", "npy", splits, seen=dict.fromkeys(splits, "unknown"), rule="a test made them")


def subject(generator=None, discriminator=None, **options):
    return Subject.from_modules(generator or Linear(), discriminator, **({"latent": P} | options))


def measured(made, real=None, **options):
    row, found = audited(made, real or reference(), NAME, **(SMALL | options))
    assert row.status == "measured", row.reason
    return row, found


@pytest.fixture(scope="module")
def perfect():
    return measured(subject(discriminator=Weighs(W)))


def detail(row, title):
    return next(d for d in row.details if getattr(d, "title", "").startswith(title))


def squared_speed(path, t, d, n=400_000):
    """E|dx/dt|^2 of the path between standard normal latents, by its derivative."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((n // d, d)), rng.standard_normal((n // d, d))
    if path == "lerp":
        return float(((b - a) ** 2).sum(1).mean())
    t = rng.random((len(a), 1)) if t else np.zeros((len(a), 1))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    angle = np.arccos((a * b).sum(1) / norms)[:, None]
    speed = angle / np.sin(angle) * (np.cos(t * angle) * b - np.cos((1 - t) * angle) * a)
    return float((speed**2).sum(1).mean())


def test_path_lengths_of_a_linear_generator_are_their_formulas():
    row, found = measured(subject(Linear(latent=LATENT), latent=LATENT), paths=2000, distance="pixels")
    table = {line[0]: line[1:] for line in detail(row, "Path length by convention").rows}
    size = float(Linear(latent=LATENT).mix.double().square().sum()) / LATENT / 4  # as shares of a range 2 wide
    for path in ("slerp", "lerp"):
        for where, inside in (("t even on 0..1", True), ("t = 0", False)):
            expected = size * squared_speed(path, inside, LATENT)
            # 2,000 paths: |v|^2 varies by half of itself, and the formula's own mean of 25,000 by less.
            assert table[f"{path}, {where}"][1] == pytest.approx(expected, rel=0.06), path
    assert found["path-length"].value == table["slerp, t even on 0..1"][1]
    assert table["lerp, t = 0"][1] == pytest.approx(2 * size * LATENT, rel=0.06)
    sweep = detail(row, "Path length over the step").series[0]
    assert sweep.x == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert sweep.y[0] == pytest.approx(sweep.y[2], rel=0.01)
    assert not row.warnings


def test_uniform_latents_go_by_lerp():
    row, found = measured(subject(Linear(latent=LATENT), latent=LatentSpec(LATENT, "uniform")), distance="pixels")
    assert detail(row, "Path length by convention").rows[0][0] == "lerp, t even on 0..1"
    # Variance 1/3 of every coordinate.
    size = float(Linear(latent=LATENT).mix.double().square().sum()) / 4
    assert found["path-length"].interval.low < 2 / 3 * size < found["path-length"].interval.high


def test_a_perfect_generator_is_as_alike_as_reals_and_all_curves_end_together(perfect):
    row, found = perfect
    one = found["similarity"]
    assert one.interval.high == pytest.approx(1.0, abs=0.05)
    assert one.value > 0.8
    assert one.null.low <= one.value <= 1.0
    assert one.null.n == 40  # as many calibration reals as generated samples
    assert "calibration reals" in one.null.rule
    table = detail(row, "Along the way to reals")
    last = dict(zip(table.columns, table.rows[-1], strict=True))
    assert last["FD, generated into reals"] == last["FD, reals into reals"] == last["FD, noise into reals"]
    assert last["AUC, generated into reals"] == last["AUC, noise into reals"]


def test_similarity_falls_with_the_shift_and_ends_at_noise():
    values = []
    for generator in (Linear(), Linear(shift=0.3), Linear(shift=0.8)):
        values.append(measured(subject(generator))[1]["similarity"].value)
    assert values[0] > values[1] > values[2]

    class Noise(nn.Module):
        def forward(self, z):
            return (2 * torch.special.ndtr(z) - 1).view(-1, *SHAPE)

    assert measured(subject(Noise()))[1]["similarity"].value < 0.2


def test_a_linear_score_is_straight_and_crosses_where_its_formula_says(perfect):
    # Scores are of float32 mixtures: rounding against a range that is no smaller than about 0.01.
    assert perfect[1]["curvature"].value < 1e-4
    view = FakeView({"real": 120, "fake": 100})
    blend = blended(view, 64, "random", 11, 0.05, np.random.default_rng(0))
    tau = conformal_threshold(view["scores/calibration"], 0.05)
    blend = replace(blend, threshold=0.01)
    first, last = blend.fake.scores[0], blend.fake.scores[-1]
    exact = ((0.01 - first) / (last - first))[(first < 0.01) & (last >= 0.01)].sort().values
    reading = blend_readings(blend)["crossing"]
    assert reading.sizes == {"fake": len(exact)}
    assert reading.value == pytest.approx(float(exact[(len(exact) + 1) // 2 - 1]), abs=1e-5)
    assert blended(view, 64, "random", 11, 0.05, np.random.default_rng(0)).threshold == tau


def test_areas_along_the_way_are_those_of_gaussians():
    """K18 through an audit: D is a coordinate in units of its spread, reals at 1, generated samples at 0."""
    unit = np.zeros(P)
    unit[0] = 1 / SCALE

    class Off(Linear):
        def forward(self, z, labels=None):
            x = super().forward(z, labels).clone()
            x[:, 0, 0, 0] -= SCALE
            return x

    made, n = subject(Off(), Weighs(unit)), 600
    found = audit(made, reference(test=3 * n), evaluators={NAME: {"pairs": n, "points": 3, "paths": 2}}, samples=n,
                  cache=False, extractor="pixels")  # fmt: skip
    row = next(r for r in found.results if r.evaluator == NAME)
    series = detail(row, "Fresh reals against mixtures").series[0]
    for t, area in zip(series.x, series.y, strict=True):
        expected = stats.norm.cdf((1 - t) / math.sqrt(1 + (1 - t) ** 2 + t**2))
        # 600 against 600: a standard error of 0.0165 at most, four of them.
        assert area == pytest.approx(expected, abs=0.066)


def test_without_a_discriminator_distances_stay_and_scores_are_told():
    _, found = measured(subject())
    for key in ("crossing", "similarity-by-score", "curvature", "holes", "holes-lerp"):
        assert "no discriminator" in found[key].reason
    for key in ("path-length", "smoothness", "similarity"):
        assert found[key].value is not None


def test_samples_alone_have_no_latents_and_keep_the_rest(tmp_path):
    np.save(tmp_path / "fake.npy", ((reals(60, 9) + 1) * 127.5).clip(0, 255).round().astype(np.uint8)[:, 0, :, :, None])
    row, found = audited(str(tmp_path / "fake.npy"), reference(), NAME, **SMALL)
    assert row.status == "measured", row.reason
    for key in ("path-length", "smoothness"):
        assert "no generator" in found[key].reason
    assert found["similarity"].value > 0.7


def test_samples_on_levels_have_no_path_length():
    row, found = measured(subject(Levels(), Weighs(W)))
    assert "256 levels" in found["path-length"].reason
    assert any("no path length" in w for w in row.warnings)
    assert found["smoothness"].value is not None


class Mostly(Linear):
    """On levels but for the samples whose first latent is among the largest: about one in ten, or four in ten."""

    def __init__(self, share):
        super().__init__()
        self.cut = float(stats.norm.isf(share))

    def forward(self, z, labels=None):
        fine = super().forward(z, labels)
        coarse = ((fine.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
        return torch.where((z[:, 0] > self.cut).view(-1, 1, 1, 1), fine, coarse)


def test_most_samples_on_levels_are_enough_to_have_no_path_length():
    row, found = measured(subject(Mostly(0.1)), paths=100)
    told = found["path-length"].reason
    assert found["path-length"].value is None
    count = int(told.split(" of 100 generated samples lie on 256 levels")[0])
    assert 80 <= count < 100
    assert any("no path length" in w for w in row.warnings)


def test_some_samples_on_levels_are_warned_of():
    row, found = measured(subject(Mostly(0.8)), paths=100)
    assert found["path-length"].value > 0
    assert found["path-length"].interval.low >= 0
    assert "cut at 0" in found["path-length"].interval.method
    assert any("of 100 generated samples lie on 256 levels" in w for w in row.warnings)


def test_a_step_of_rounded_noise_has_no_plateau():
    class Coarse(Linear):
        """Rounds its latents to multiples of 1/64: small steps are none or a jump."""

        def forward(self, z, labels=None):
            return super().forward((z * 64).round() / 64, labels)

    row, _ = measured(subject(Coarse()), distance="pixels")
    assert any("no plateau" in w for w in row.warnings)


def test_a_generator_that_ignores_its_latent_does_not_move():
    _, found = measured(subject(Still()), distance="pixels")
    assert found["path-length"].value == 0.0
    assert "0 of 20 paths move" in found["smoothness"].reason
    assert found["similarity"].value is not None


def test_latents_at_which_the_generator_fails_are_counted_and_located():
    plain = subject()
    limit = float(plain.latents(0, 0, 64)[:, 0].abs().max()) + 1e-3
    row, found = measured(subject(Breaking(limit)), paths=300)
    warning = next(w for w in row.warnings if "fails on" in w)
    assert "latents of seed" in warning
    assert "first of them path" in warning
    lost = int(warning.split("fails on ")[1].split()[0])
    assert 0 < lost < 60
    assert 300 - lost <= found["smoothness"].n < 300


@pytest.mark.parametrize("pairing", ["nearest", "transport"])
def test_other_pairings_shorten_the_way(pairing, perfect):
    row, found = measured(subject(discriminator=Weighs(W)), pairing=pairing)
    title = "Distance of mixtures"
    ours, theirs = (detail(r, title).series[0].y[0] for r in (row, perfect[0]))
    assert ours < theirs
    assert found["similarity"].null is not None


def test_a_critic_of_classes_is_asked_within_a_class():
    told = Told(np.stack([W, weights(P, 2), weights(P, 3)]))
    _, found = measured(subject(discriminator=told, classes=3), reference(labels=3))
    assert found["curvature"].value < 1e-4  # a score by another class's weights would be no straight line
    assert found["crossing"].n > 0


def test_a_critic_without_a_score_for_noise_is_told_and_the_rest_goes_on():
    class Picky(Weighs):
        def forward(self, x):
            score = super().forward(x)
            return torch.where(x.flatten(1).std(1) > 2 * SCALE, torch.nan, score)

    _, found = measured(subject(discriminator=Picky(W)))
    for key in ("crossing", "similarity-by-score", "curvature", "holes", "holes-lerp"):
        assert "NaN or infinity" in found[key].reason
    assert found["similarity"].value > 0.5


class Hollow(Linear):
    """Far below any real where ``inside`` says so of the latents."""

    def __init__(self, inside):
        super().__init__()
        self.inside = inside
        self.register_buffer("down", torch.from_numpy(10 * SCALE * W / np.linalg.norm(W)).float())

    def forward(self, z, labels=None):
        poor = self.inside(z)[:, None]
        return (z @ self.mix - poor * self.down).view(-1, *SHAPE)


def hollow_share(path, inside, points, n=20_000):
    """The share of paths with a point inside, of those with both ends outside, by plain trigonometry."""
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((n, P)), rng.standard_normal((n, P))
    angle = np.arccos((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))[:, None]

    def at(t):
        if path == "lerp":
            return (1 - t) * a + t * b
        return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)

    hit = np.stack([inside(torch.from_numpy(at(i / (points - 1)))).numpy() for i in range(points)])
    kept = ~(hit[0] | hit[-1])
    return float(hit[1:-1, kept].any(0).mean())


@pytest.mark.parametrize(
    ("inside", "on_the_arc"),
    [(lambda z: z.square().sum(1) < 0.6 * P, False), (lambda z: z[:, 0].abs() < 0.15, True)],
    ids=["off the shell", "across the shell"],
)
def test_a_hole_is_found_at_the_share_of_paths_that_lead_through_it(inside, on_the_arc):
    made = subject(Hollow(inside), Weighs(W))
    row, found = measured(made, reference(test=180, calibration=400), paths=400, points=9)
    for key, path in (("holes", "slerp"), ("holes-lerp", "lerp")):
        one, expected = found[key], hollow_share(path, inside, 9)
        # Beside the hole an ordinary sample may score below the cut, as often as reals do.
        assert one.interval.low - one.null.value <= expected <= one.interval.high, key
        assert (one.interval.low > one.null.high) == (path == "lerp" or on_the_arc), key
    assert {line[0] for line in detail(row, "Holes by path").rows} == {"slerp", "lerp"}


@pytest.mark.parametrize("calibration", [60, 800])
def test_the_note_says_how_many_reals_score_as_low_as_a_hole(calibration):
    """Number k from below of n calibration reals is the cut: k - 1 of them lie lower, more than none of many."""
    made = subject(Hollow(lambda z: z[:, 0].abs() < 0.15), Weighs(W))
    row, found = measured(made, reference(test=180, calibration=calibration), paths=60, points=9)
    note = next(d.text for d in row.details if d.kind == "note")
    told = re.search(r"scores lower than all but ([\d.]+)% of reals \(below (.+) of (\d+) calibration reals\)", note)
    assert int(told[3]) == calibration
    rank = 1 if told[2] == "the lowest" else int(told[2].removeprefix("number ").removesuffix(" from below"))
    assert (rank > 1) == (calibration == 800)
    scores = np.sort(Weighs(W)(torch.from_numpy(reals(calibration, 1))).numpy())
    cut = float(re.search(r"reals scores below (\S+),", found["holes"].null.rule)[1])
    assert cut == pytest.approx(scores[rank - 1], rel=1e-3)
    # A new real takes any of n + 1 places among n known ones with equal chance: k of them are below the cut.
    assert float(told[1]) == pytest.approx(100 * rank / (calibration + 1), abs=0.006)
    assert "straight paths between good samples lead through one that scores so low" in note
    assert "no real does" not in note


def test_without_a_hole_paths_are_broken_no_more_often_than_unrelated_reals(perfect):
    for key in ("holes", "holes-lerp"):
        one = perfect[1][key]
        assert one.interval.low <= one.null.high
        assert one.null.n == 100  # calibration reals


class Same(Weighs):
    """One score for all."""

    def forward(self, x):
        return 0 * super().forward(x)


class Reversed(Weighs):
    """Scores noise, and what lies far below reals, above them."""

    def forward(self, x):
        return x.flatten(1).square().sum(1)


class Stepped(Weighs):
    """Behind a step: half of the reals have the least score that there is."""

    def forward(self, x):
        return super().forward(x).sign()


@pytest.mark.parametrize("critic", [Same, Reversed, Stepped])
def test_a_blind_discriminator_sees_no_holes_and_says_so(critic):
    inside = lambda z: z[:, 0].abs() < 0.15  # noqa: E731
    row, found = measured(subject(Hollow(inside), critic(W)), reference(test=180, calibration=400))
    for key in ("holes", "holes-lerp"):
        assert found[key].value is None
        assert "blind to holes: 0 of" in found[key].reason
        assert "40 generated samples score below" in found[key].reason
    note = next(d.text for d in row.details if d.kind == "note")
    assert "paths between good samples" not in note


def test_why_nothing_crosses_is_said_in_words():
    _, found = measured(subject(discriminator=Same(W)))
    assert "40 pairs start with one score, 0" in found["crossing"].reason
    far = Linear(shift=0.0)
    far.register_buffer("up", torch.from_numpy(20 * SCALE * W / np.linalg.norm(W)).float())
    far.forward = lambda z, labels=None: Linear.forward(far, z, labels) + far.up.view(SHAPE)
    _, found = measured(subject(far, Weighs(W)))
    assert "0 of 40 pairs start below the threshold" in found["crossing"].reason
    assert "passes as real already (lowest score" in found["crossing"].reason


def test_the_similarity_is_told_as_its_distance_from_other_reals(perfect):
    row, found = perfect
    note = next(d.text for d in row.details if d.kind == "note")
    assert row.measurements[0].key == "similarity"
    assert "not told from them" in note
    one = found["similarity"]
    assert one.interval.high == 1.0  # value ± q s, cut: the half below is the whole one
    assert one.value < one.null.value
    half = math.hypot(one.value - one.interval.low, max(one.null.value - one.null.low, 0.0))
    assert f"({(one.null.value - one.value) / half * stats.norm.ppf(0.975):+.2g} standard errors below" in note
    row, found = measured(subject(Linear(shift=0.15)))
    one, note = found["similarity"], next(d.text for d in row.details if d.kind == "note")
    half = math.hypot(one.interval.high - one.value, one.null.value - one.null.low)
    far = (one.null.value - one.value) / half * stats.norm.ppf(0.975)
    assert far > 2
    assert f"{one.value:.4g} where other reals in their place have {one.null.value:.4g}, {far:.2g} standard" in note
    assert f"stray {(1 - one.value) / (1 - one.null.value):.3g} times as far" in note


def test_holes_need_reals_that_the_discriminator_has_not_seen():
    _, found = measured(subject(discriminator=Weighs(W)), reference(test=180, train=60))
    for key in ("holes", "holes-lerp"):
        assert "calibration" in found[key].reason


def test_too_few_reals_are_told():
    row, _ = audited(subject(), reference(test=11), NAME, **SMALL)
    assert row.status == "not_assessable"
    assert "12" in row.reason
    assert "11" in row.reason


def test_strips_are_written_beside_the_document(tmp_path):
    found = audit(subject(discriminator=Weighs(W)), reference(), evaluators={NAME: SMALL}, samples=40, cache=False,
                  extractor="pixels", out=tmp_path)  # fmt: skip
    row = next(r for r in found.results if r.evaluator == NAME)
    shown = [d for d in row.details if d.kind == "gallery"]
    assert [g.side for g in shown] == ["real", "fake", "real"]
    assert all(len(g.items) % 8 == 0 for g in shown)
    names = [item.file for g in shown for item in g.items]
    assert len(set(names)) == len(names)
    assert all(name.startswith(f"samples/{NAME}-") for name in names)
    # The first frame of a strip is the start of the way, the last its end: different pictures of the right size.
    first, last = (np.asarray(Image.open(tmp_path / names[i])) for i in (0, 7))
    assert first.shape == SHAPE[1:]
    assert not np.array_equal(first, last)


def test_options_are_checked():
    for name, value in (("pairs", 3), ("paths", 1), ("points", 2), ("eps", 0.0), ("eps", 0.1), ("fpr", 1.0)):
        with pytest.raises(ValueError, match=name):
            InterpolationSimilarity(**{name: value})
    for name in ("pairing", "distance"):
        with pytest.raises(ValueError, match=f"{name}: found 'x'; allowed: "):
            InterpolationSimilarity(**{name: "x"})


class Cubed(nn.Module):
    def forward(self, z):
        return z**3


class Weighed(nn.Module):
    def __init__(self):
        super().__init__()
        self.whole = Linear(latent=LATENT, spread=0.1)

    def forward(self, w):
        return self.whole(w)


class Mapping(nn.Module):
    """In two parts: w is the cube of z, coordinate by coordinate."""

    def __init__(self):
        super().__init__()
        self.mapping, self.synthesis = Cubed(), Weighed()

    def forward(self, z):
        return self.synthesis(self.mapping(z))


def test_the_path_length_in_w_is_its_formula():
    row, found = measured(subject(Mapping(), latent=LATENT), paths=2000, distance="pixels")
    # E|A(w' - w)|^2 = 2 Var(z^3) |A|^2, with E z^6 = 15; as shares of a range 2 wide.
    known = 2 * 15 * float(Weighed().whole.mix.double().square().sum()) / 4
    one = found["path-length-w"]
    # z^6 has a heavy tail: one path is off by 3.4 times the mean over the root of the number of latents.
    assert one.value == pytest.approx(known, rel=4 * 3.4 / math.sqrt(2000 * LATENT))
    assert one.interval.low < known < one.interval.high
    table = {line[0]: line[2] for line in detail(row, "Path length by convention").rows}
    assert table["lerp in w, t even on 0..1"] == one.value
    # A chord has one speed: where on it does not matter.
    assert table["lerp in w, t = 0"] == pytest.approx(one.value, rel=1e-3)
    assert any("which the mapping network makes" in d.text for d in row.details if d.kind == "note")


def test_without_a_mapping_there_is_no_w_in_words(perfect):
    row, found = perfect
    assert found["path-length-w"].value is None
    assert "no w space" in found["path-length-w"].reason
    assert any("There is no w space" in d.text for d in row.details if d.kind == "note")


def test_reals_are_found_in_the_latent_of_a_linear_generator_but_for_what_it_lacks():
    """Descent against a projection: of P values of one variance the share (P - L)/P is out of reach of L latents."""
    whole = measured(subject(discriminator=Weighs(W)), inversion=12)
    lacking = measured(subject(Linear(latent=LATENT), latent=LATENT), inversion=12)
    found, less = whole[1]["inversion-error"], lacking[1]["inversion-error"]
    assert found.n == less.n == 12
    # 80 steps end within a hundredth of the distance of two reals.
    assert found.value < 0.01
    assert found.null.value < 0.01
    # |x - Px|^2 over E|x - y|^2 = 2P Var: a half of (P - L)/P, here for both terms, which are of values.
    share = (P - LATENT) / P / 2
    spread = math.sqrt(2 / (P - LATENT)) * share
    assert less.value == pytest.approx(share, abs=4 * spread / math.sqrt(12) + 0.02)
    assert less.null.value < 0.01
    way = detail(whole[0], "Along the latent to samples found in it")
    assert {one.name for one in way.series} == {"to reals", "to generated"}
    assert all(one.y[-1] < 0.02 < one.y[0] for one in way.series)
    assert len(detail(whole[0], "Scores along the latent to samples found").series) == 2
    assert not any(getattr(d, "title", "").startswith("Scores along the latent") for d in lacking[0].details)


def test_looking_in_the_latent_is_off_in_quick_and_moves_no_other_number(perfect):
    _, quick = measured(subject(discriminator=Weighs(W)), profile="quick")
    assert quick["inversion-error"].value is None
    assert "0 reals are looked for" in quick["inversion-error"].reason
    assert {k: m.value for k, m in quick.items() if k != "inversion-error"} == {
        k: m.value for k, m in perfect[1].items() if k != "inversion-error"
    }
    with pytest.raises(ValueError, match="inversion"):
        InterpolationSimilarity(inversion=-1)
    with pytest.raises(ValueError, match="profile"):
        InterpolationSimilarity(profile="slow")


class Stepped(Linear):
    """No gradient passes, as in a program of another runtime."""

    def forward(self, z, labels=None):
        return super().forward(z.detach(), labels)


def test_a_generator_without_gradients_has_all_else(perfect):
    _, found = measured(subject(Stepped(), discriminator=Weighs(W)))
    assert found["inversion-error"].value is None
    assert "gives no gradients on 2 latents tried" in found["inversion-error"].reason
    assert found["path-length"].value == perfect[1]["path-length"].value


def test_a_generator_that_is_told_the_class_looks_for_a_real_of_its_class():
    _, found = measured(subject(classes=3), reference(labels=3), inversion=6)
    assert found["inversion-error"].value < 0.01
    _, unlabelled = measured(subject(classes=3), reference(), inversion=6)
    assert "is told one of 3 classes, and that of the reals is not known" in unlabelled["inversion-error"].reason
    _, more = measured(subject(classes=2), reference(labels=3), inversion=9)
    assert "told one of 2 classes" in more["inversion-error"].reason
    assert "of 9 reals have another or none" in more["inversion-error"].reason


def test_latents_that_fail_cost_themselves_when_reals_are_looked_for():
    # Of standard normal numbers a share of 0.13 is that far out.
    row, found = measured(subject(Breaking(1.5), discriminator=Weighs(W)), inversion=40)
    one = found["inversion-error"]
    assert one.n == 40
    assert 20 < one.null.n < 40
    assert one.value < 0.05
    assert one.null.value < 0.01
    told = next(d.text for d in row.details if d.kind == "note" and "samples to look for are made" in d.text)
    assert f"fails on {40 - one.null.n} of 40 latents" in told
    way = detail(row, "Along the latent to samples found in it")
    assert all(np.isfinite(series.y).all() for series in way.series)
