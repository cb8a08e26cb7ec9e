import hashlib
import math

import numpy as np
import pytest
from scipy import ndimage, stats

from ganaudit.data.glyphs import GLYPHS, STACKED, Drawing, draw_glyphs, load_glyphs, load_stacked_glyphs, render_glyphs
from ganaudit.data.oracles.glyphs import glyphs_attributes, stacked_attributes
from ganaudit.data.strokes import segments
from ganaudit.document.errors import SourceError

# Of the first 32 samples of each split at 16 pixels. Trained models depend on these values.
GOLDEN = {
    "train": "d4c3a5c0b9e6f1d835dd395a1adda539",
    "calibration": "e3012bdd52ace05355688cdd21a93336",
    "test": "6f3fa1e09627037b5293d5c3e23d0caa",
}


@pytest.fixture(scope="module")
def glyphs():
    return load_glyphs()


@pytest.fixture(scope="module")
def stacked():
    return load_stacked_glyphs()


@pytest.fixture(scope="module")
def drawn():
    return draw_glyphs("glyphs/test", 0, 2000)


@pytest.fixture(scope="module")
def images(glyphs):
    return glyphs.split("test").array[:2000]


def test_golden_digests(glyphs):
    for split, digest in GOLDEN.items():
        assert hashlib.sha256(glyphs.split(split).array[:32].tobytes()).hexdigest()[:32] == digest


def test_what_it_says_of_itself(glyphs, stacked):
    assert (glyphs.name, glyphs.form, glyphs.overlap, glyphs.shape) == ("glyphs", "built-in", 0, (1, 16, 16))
    assert (stacked.name, stacked.form, stacked.overlap, stacked.shape) == (
        "glyphs-stacked",
        "built-in",
        0,
        (3, 16, 16),
    )
    for reference in (glyphs, stacked):
        assert reference.seen == {"train": "seen", "calibration": "unseen", "test": "unseen"}
        assert [len(samples) for samples in reference.splits.values()] == [10_000, 2_000, 5_000]
    assert glyphs.split("test").classes == tuple(GLYPHS)
    assert 20 <= len(GLYPHS) <= 26
    classes = stacked.split("test").classes
    assert (len(set(classes)), classes[0], classes[359]) == (1000, STACKED[0] * 3, STACKED[3] + STACKED[5] + STACKED[9])


def test_samples_follow_the_laws(glyphs):
    counts = np.bincount(glyphs.split("train").labels, minlength=len(GLYPHS))
    assert stats.chisquare(counts).pvalue > 1e-3
    some = draw_glyphs("glyphs/train", 0, 10_000)
    assert some.glyph.tolist() == glyphs.split("train").labels.tolist()
    ranges = {
        "slant": (-0.2, 0.2),
        "thickness": (0.085, 0.13),
        "scale": (0.85, 1.0),
        "x": (0.44, 0.56),
        "y": (0.44, 0.56),
    }
    for name, (low, high) in ranges.items():
        assert stats.kstest(getattr(some, name), "uniform", (low, high - low)).pvalue > 1e-3


def test_all_modes_of_the_stacked_set_occur(stacked):
    labels = stacked.split("train").labels
    # 10,000 draws miss 1000 exp(-10) = 0.05 modes on average.
    assert len(set(labels.tolist())) >= 999
    for digit in (labels // 100, labels // 10 % 10, labels % 10):
        assert stats.chisquare(np.bincount(digit, minlength=10)).pvalue > 1e-3


def test_a_sample_depends_on_its_split_and_number_alone(drawn, images):
    part = draw_glyphs("glyphs/test", 700, 30)
    for name in Drawing.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(part, name), getattr(drawn, name)[700:730])
    np.testing.assert_array_equal(render_glyphs(part, 16), images[700:730, :, :, 0])


@pytest.mark.parametrize("side", [16, 48])
def test_pen_against_points_along_the_strokes(drawn, side):
    for row in range(0, 60, 4 if side == 16 else 15):
        one = drawn.take(np.array([row]))
        grow, points = 0.68 * side * one.scale[0], []
        for ax, ay, bx, by in segments(GLYPHS[one.glyph[0]]):
            t = np.linspace(0, 1, 40 * side)
            x, y = ax + t * (bx - ax), ay + t * (by - ay)
            points.append(np.stack([side * one.x[0] + grow * (x - one.slant[0] * y), side * one.y[0] + grow * y], 1))
        cloud, image = np.concatenate(points), render_glyphs(one, side)[0]
        pen = one.thickness[0] * side / 2
        for i in range(0, side, 3):
            for j in range(side):
                d = math.sqrt(((cloud - [j + 0.5, i + 0.5]) ** 2).sum(1).min())
                share = min(1.0, max(0.0, pen + 0.5 - d))
                # Points 1/40 pixel apart: where it counts, d >= pen - 1/2 > 0.1, off by less than (1/80)^2/0.2 = 0.001.
                assert abs(image[i, j] - 255 * share) <= 0.5 + 255 * 0.001


def test_no_character_leaves_the_image():
    some = draw_glyphs("glyphs/train", 0, 10_000)
    for glyph in range(len(GLYPHS)):
        part = some.take(np.flatnonzero(some.glyph == glyph))
        for x, y in segments(GLYPHS[glyph]).reshape(-1, 2):
            grow, pen = 0.68 * part.scale, part.thickness / 2
            for at in (part.x + grow * (x - part.slant * y), part.y + grow * y):
                assert (at - pen).min() > 0
                assert (at + pen).max() < 1


def test_scales_show_the_same_characters(images):
    large = load_glyphs(size=(32, 32))
    assert large.shape == (1, 32, 32)
    small = large.split("test").array[:2000, :, :, 0].reshape(-1, 16, 2, 16, 2).mean((2, 4))
    # Not one and the same rendering: an edge is softened over a pixel of its own size.
    assert np.corrcoef(small.ravel(), images.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("load", [load_glyphs, load_stacked_glyphs])
@pytest.mark.parametrize("size", [(28, 28), (16, 32), (0, 0), (512, 512), (1, 4096), (4096,)])
def test_sizes_that_do_not_exist(load, size):
    with pytest.raises(SourceError, match="squares of 16, 32, 48"):
        load(size=size)


@pytest.mark.parametrize("scale", [0, 17, -1, 1.5, True])
def test_scales_that_do_not_exist(scale):
    with pytest.raises(SourceError, match="from 1 to 16"):
        load_glyphs(scale)


def test_oracle_reads_real_samples(images, drawn):
    found = glyphs_attributes(images)
    assert ((found.glyph == drawn.glyph) & ~found.is_mirrored).mean() >= 0.999
    assert found.confidence.min() > 0.95
    assert (found.margin > 0).all()


def test_oracle_sees_every_flip(images, drawn):
    found = glyphs_attributes(images[:, :, ::-1])
    assert ((found.glyph == drawn.glyph) & found.is_mirrored).mean() >= 0.999


def test_oracle_reads_larger_samples(drawn):
    part = drawn.take(slice(0, 600))
    found = glyphs_attributes(render_glyphs(part, 48))
    assert ((found.glyph == part.glyph) & ~found.is_mirrored).all()


@pytest.mark.parametrize(
    ("blur", "noise", "least"), [(0.7, 0, 0.999), (1.0, 0, 0.99), (0, 20, 0.99), (0.7, 20, 0.99), (0, 40, 0.9)]
)
def test_oracle_bears_blur_and_noise(images, drawn, blur, noise, least):
    rng = np.random.default_rng(5)
    soft = ndimage.gaussian_filter(images[..., 0].astype(np.float64), (0, blur, blur))
    worn = np.clip(soft + rng.normal(0, noise, soft.shape), 0, 255).round().astype(np.uint8)
    found = glyphs_attributes(worn)
    assert ((found.glyph == drawn.glyph) & ~found.is_mirrored).mean() >= least
    assert found.is_mirrored.mean() < 0.01


def test_oracle_says_unknown():
    rng = np.random.default_rng(0)
    for nothing in (
        rng.integers(0, 256, (50, 16, 16), dtype=np.uint8),
        np.full((50, 16, 16), 255, dtype=np.uint8),
        np.zeros((50, 32, 32), dtype=np.uint8),
    ):
        found = glyphs_attributes(nothing)
        assert (found.glyph == -1).all()
        assert not found.is_mirrored.any()


def test_oracle_reads_stacked_samples(stacked):
    images, labels = stacked.split("test").array[:2000], stacked.split("test").labels[:2000]
    found = stacked_attributes(images)
    assert (found.mode == labels).mean() >= 0.995
    assert (stacked_attributes(images[:, :, ::-1]).mode[:200] == -1).all()
    images = images[:20].copy()
    images[:, :, :, 1] = 0
    images[:10, :, :, 2] = render_glyphs(draw_glyphs("others", 0, 10, "LN"), 16)
    found = stacked_attributes(images)
    assert (found.mode == -1).all()
    assert (found.confidence == 0).all()
    assert {GLYPHS[glyph] for glyph in found.channels[2].glyph[:10]} <= set("LN")


@pytest.mark.parametrize(
    "images", [np.zeros((2, 16, 16, 3), np.uint8), np.zeros((2, 20, 20), np.uint8), np.zeros((2, 16, 16))]
)
def test_oracle_refuses(images):
    with pytest.raises(ValueError, match="allowed: uint8"):
        glyphs_attributes(images)
    with pytest.raises(ValueError, match="allowed"):
        stacked_attributes(images[..., :1])
