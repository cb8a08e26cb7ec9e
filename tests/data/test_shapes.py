import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage, stats

from ganaudit.data.oracles.shapes import shapes_attributes, total_variation
from ganaudit.data.shapes import (
    HUES,
    LAW,
    PERIODS,
    SHAPES,
    ShapeAttributes,
    colours,
    coverages,
    draw_shapes,
    load_shapes,
    render_shapes,
)
from ganaudit.document.errors import SourceError

# Of the first 32 samples of each split at 32 pixels. Trained models depend on these values.
GOLDEN = {
    "train": "c538ae3a020500c7d1c23881a9b7a201",
    "calibration": "832545e517d3214357940da93f0af56c",
    "test": "8a773a9f380baa988f2a1572a2d8f8d3",
}


@pytest.fixture(scope="module")
def shapes():
    return load_shapes()


@pytest.fixture(scope="module")
def drawn():
    return draw_shapes("test", 0, 2000)


@pytest.fixture(scope="module")
def images(shapes):
    return shapes.split("test").array[:2000]


def test_golden_digests(shapes):
    for split, digest in GOLDEN.items():
        assert hashlib.sha256(shapes.split(split).array[:32].tobytes()).hexdigest()[:32] == digest


def test_what_it_says_of_itself(shapes):
    assert (shapes.name, shapes.form, shapes.overlap, shapes.shape) == ("shapes", "built-in", 0, (3, 32, 32))
    assert shapes.seen == {"train": "seen", "calibration": "unseen", "test": "unseen"}
    assert {name: len(samples) for name, samples in shapes.splits.items()} == {
        "train": 10_000,
        "calibration": 2_000,
        "test": 5_000,
    }
    assert shapes.split("test").classes == SHAPES
    assert shapes.split("train").labels.tolist() == draw_shapes("train", 0, 10_000).shape.tolist()


def test_the_law_is_one_and_has_what_it_says():
    assert LAW.sum() == pytest.approx(1, abs=1e-15)
    assert LAW[0, 0] / LAW[:, 0].sum() == pytest.approx(0.8)
    assert LAW[1, 4] / LAW[:, 4].sum() == pytest.approx(0.6)
    assert np.sort(LAW.ravel())[:2] == pytest.approx([0.005, 0.02])


def test_samples_follow_the_law(shapes):
    several = [draw_shapes(split, 0, 5000) for split in GOLDEN]
    cells = sum(np.bincount(found.shape * 6 + found.hue, minlength=24) for found in several)
    assert stats.chisquare(cells, LAW.ravel() * 15_000).pvalue > 1e-3
    low = {"size": 0.12, "x": 0.35, "y": 0.35}
    for name, high in {"size": 0.20, "x": 0.65, "y": 0.65}.items():
        values = np.concatenate([getattr(found, name) for found in several])
        assert stats.kstest(values, "uniform", (low[name], high - low[name])).pvalue > 1e-3
    squares = several[0].rotation[several[0].shape == 1]
    assert stats.kstest(squares, "uniform", (0, 90)).pvalue > 1e-3
    assert np.isnan(several[0].rotation[several[0].shape == 0]).all()
    grounds = np.concatenate([found.background for found in several])
    assert set(grounds.tolist()) == set(range(40, 217))


def test_another_law(shapes):
    law = np.zeros((4, 6))
    law[1, 2], law[3, 5] = 0.25, 0.75
    found = draw_shapes("train", 0, 4000, law)
    cells = set(zip(found.shape.tolist(), found.hue.tolist(), strict=True))
    assert cells == {(1, 2), (3, 5)}
    assert stats.binomtest(int((found.shape == 1).sum()), 4000, 0.25).pvalue > 1e-3


@pytest.mark.parametrize("law", [np.ones((4, 6)), np.full((6, 4), 1 / 24), -LAW, LAW * np.nan, [[1.0]]])
def test_no_laws(law):
    with pytest.raises(SourceError, match="joint law"):
        draw_shapes("train", 0, 1, law)


def test_a_sample_depends_on_its_split_and_number_alone(drawn):
    part = draw_shapes("test", 700, 30)
    for name in ShapeAttributes.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(part, name), getattr(drawn, name)[700:730])
    whole = render_shapes(drawn.take(slice(690, 740)), 32)
    np.testing.assert_array_equal(render_shapes(part, 32), whole[10:40])
    assert (draw_shapes("train", 0, 100).x != drawn.x[:100]).all()


def corners(shape: int, r: float) -> np.ndarray:
    """The polygon of the shape with the area pi r^2, unrotated, x to the right and y down."""
    if shape == 1:
        h = r * np.sqrt(np.pi) / 2
        return np.array([[-h, -h], [h, -h], [h, h], [-h, h]])
    if shape == 2:  # one corner up
        edge = r * np.sqrt(4 * np.pi / np.sqrt(3))
        turn = np.deg2rad([-90, 30, 150])
        return edge / np.sqrt(3) * np.stack([np.cos(turn), np.sin(turn)], 1)
    a = r * np.sqrt(np.pi / 20)
    points = [
        (-1, -3),
        (1, -3),
        (1, -1),
        (3, -1),
        (3, 1),
        (1, 1),
        (1, 3),
        (-1, 3),
        (-1, 1),
        (-3, 1),
        (-3, -1),
        (-1, -1),
    ]
    return a * np.array(points, dtype=float)


def polygon_of(one: ShapeAttributes, side: int) -> np.ndarray:
    """The shape's corners in the image; a disc as a polygon of 180."""
    r = float(one.size[0]) * side
    if one.shape[0] == 0:
        turn = np.linspace(0, 2 * np.pi, 180, endpoint=False)
        points = r * np.stack([np.cos(turn), np.sin(turn)], 1)
    else:
        turn = np.deg2rad(float(one.rotation[0]))
        points = corners(int(one.shape[0]), r) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return points + side * np.array([one.x[0], one.y[0]])


def inside(points: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd rule."""
    found = np.zeros(x.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if ay != by:
            found ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return found


@pytest.mark.parametrize("shape", range(4))
def test_coverage_against_counting_points_inside_a_polygon(drawn, shape):
    fine = 24
    places = (np.arange(32 * fine) + 0.5) / fine
    x, y = np.meshgrid(places, places)
    for row in np.flatnonzero(drawn.shape == shape)[:4]:
        one = drawn.take(np.array([row]))
        counted = inside(polygon_of(one, 32), x, y).reshape(32, fine, 32, fine).mean((1, 3))
        cover = coverages(one, 32)[0]
        centres = np.stack(np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5), -1)
        away = np.ones((32, 32), dtype=bool)
        if shape:
            gaps = np.linalg.norm(centres[:, :, None] - polygon_of(one, 32), axis=-1)
            away = gaps.min(-1) > 1.5
        # 1/2 - d against the area cut from a square: worst at 45 degrees and d = 1/2, (sqrt(1/2) - 1/2)^2 = 0.043. A
        # disc of radius 3.8 or more bends by 1/(8 r) within a pixel; counting is off by half a line of points along
        # the edge.
        assert np.abs(counted - cover)[away].max() < 0.043 + 1 / (8 * 3.8) * (shape == 0) + 1 / fine
        # Along a straight edge the errors cancel; at a corner at most its own pixel is wrong.
        area = np.pi * (32 * one.size[0]) ** 2
        assert abs(cover.sum() - area) < (0.02 * area if shape == 0 else 0.25 * len(corners(shape, 1.0)))


def test_a_pixel_is_background_plus_coverage_times_colour(drawn):
    part = drawn.take(slice(0, 6))
    cover = coverages(part, 32).astype(np.float64)
    for image, share, hue, ground in zip(render_shapes(part, 32), cover, part.hue, part.background, strict=True):
        for channel in range(3):
            exact = ground + share * (float(colours()[hue, channel]) - ground)
            # float32 products up to 220 are off by less than 1e-4.
            assert (np.abs(image[..., channel] - exact) <= 0.5 + 1e-4).all()


def test_every_shape_lies_within_the_image():
    assert (coverages(draw_shapes("train", 0, 5000), 32)[:, [0, -1]] == 0).all()
    assert (coverages(draw_shapes("train", 0, 5000), 32)[:, :, [0, -1]] == 0).all()


def test_size_decides_the_scale():
    twice = load_shapes(size=(64, 64))
    assert twice.shape == (3, 64, 64)
    np.testing.assert_array_equal(twice.split("test").labels, draw_shapes("test", 0, 5000).shape)


@pytest.mark.parametrize("size", [(28, 28), (32, 64), (0, 0), (512, 512), (1, 4096), (4096,)])
def test_sizes_that_do_not_exist(size):
    with pytest.raises(SourceError, match="squares of 32, 64, 96"):
        load_shapes(size=size)


@pytest.mark.parametrize("scale", [0, 9, -1, 1.5, True])
def test_scales_that_do_not_exist(scale):
    with pytest.raises(SourceError, match="from 1 to 8"):
        load_shapes(scale)


def right(found: ShapeAttributes, drawn: ShapeAttributes) -> np.ndarray:
    return (found.shape == drawn.shape) & (found.hue == drawn.hue)


def turns(found: ShapeAttributes, drawn: ShapeAttributes) -> np.ndarray:
    """Errors of the rotation in degrees; a disc has none."""
    period = np.array(PERIODS)[drawn.shape]
    return np.abs((found.rotation - drawn.rotation + period / 2) % period - period / 2)[drawn.shape > 0]


def test_oracle_reads_real_samples(images, drawn):
    found = shapes_attributes(images)
    assert right(found, drawn).mean() >= 0.999
    assert np.abs(found.size - drawn.size).max() * 32 < 0.3
    assert max(np.abs(found.x - drawn.x).max(), np.abs(found.y - drawn.y).max()) * 32 < 0.3
    assert np.median(turns(found, drawn)) < 0.5
    assert turns(found, drawn).max() < 7
    assert np.isnan(found.rotation[drawn.shape == 0]).all()
    np.testing.assert_array_equal(found.background, drawn.background)
    assert found.confidence.min() > 0.8


def test_oracle_reads_larger_samples(drawn):
    part = drawn.take(slice(0, 500))
    found = shapes_attributes(render_shapes(part, 96))
    assert right(found, part).all()
    assert np.abs(found.size - part.size).max() * 96 < 0.3


@pytest.mark.parametrize(
    ("blur", "noise", "least"), [(0.7, 0, 0.999), (0, 10, 0.999), (0, 20, 0.75), (0.7, 10, 0.999), (1.3, 0, 0.999)]
)
def test_oracle_bears_blur_and_noise(images, drawn, blur, noise, least):
    rng = np.random.default_rng(5)
    soft = ndimage.gaussian_filter(images[:1000].astype(np.float64), (0, blur, blur, 0))
    worn = np.clip(soft + rng.normal(0, noise, soft.shape), 0, 255).round().astype(np.uint8)
    part = drawn.take(slice(0, 1000))
    found = shapes_attributes(worn)
    assert right(found, part).mean() >= least
    assert ((found.shape == -1) == (found.hue == -1)).all()
    assert (found.shape == -1).mean() < (0.15 if noise == 20 else 0.001)
    assert np.median(np.abs(found.size - part.size)) * 32 < 0.15


def test_oracle_turns_with_the_image(images, drawn):
    found, turned = shapes_attributes(images[:300]), shapes_attributes(np.rot90(images[:300], -1, (1, 2)).copy())
    np.testing.assert_array_equal(turned.shape, found.shape)
    np.testing.assert_allclose(turned.x, 1 - found.y, atol=1e-6)
    np.testing.assert_allclose(turned.y, found.x, atol=1e-6)
    triangles = found.shape == 2
    turn = (turned.rotation - found.rotation - 90)[triangles]
    assert np.abs((turn + 60) % 120 - 60).max() < 1e-3


def test_oracle_says_unknown():
    rng = np.random.default_rng(0)
    for nothing in (
        rng.integers(0, 256, (50, 32, 32, 3), dtype=np.uint8),
        np.full((50, 32, 32, 3), 90, dtype=np.uint8),
        np.tile(np.uint8([220, 30, 30]), (50, 32, 32, 1)),
    ):
        found = shapes_attributes(nothing)
        assert (found.shape == -1).all()
        assert (found.hue == -1).all()
        assert found.confidence.max() < 0.65
    pair = draw_shapes("test", 0, 2)
    pair = replace(pair, hue=np.array([0, 0]), x=np.array([0.2, 0.8]), background=np.array([90.0, 90.0]))
    both = np.where(np.arange(32)[:, None] < 16, *render_shapes(pair, 32))
    assert shapes_attributes(both[None]).shape.tolist() == [-1]


@pytest.mark.parametrize(
    "images", [np.zeros((2, 32, 32, 1), np.uint8), np.zeros((2, 32, 16, 3), np.uint8), np.zeros((2, 32, 32, 3))]
)
def test_oracle_refuses(images):
    with pytest.raises(ValueError, match="allowed: uint8"):
        shapes_attributes(images)


def test_oracle_of_no_images():
    assert len(shapes_attributes(np.zeros((0, 32, 32, 3), np.uint8))) == 0


def test_total_variation_against_a_loop(drawn):
    shape, hue = drawn.shape.copy(), drawn.hue.copy()
    shape[:100] = hue[:100] = -1
    expected = 100 / 2000
    for s in range(len(SHAPES)):
        for h in range(len(HUES)):
            share = sum(1 for a, b in zip(shape.tolist(), hue.tolist(), strict=True) if (a, b) == (s, h)) / 2000
            expected += abs(share - LAW[s, h])
    assert total_variation(replace(drawn, shape=shape, hue=hue)) == pytest.approx(expected / 2, abs=1e-12)
    assert total_variation(replace(drawn, shape=shape * 0 - 1, hue=hue)) == pytest.approx(1)
    point = np.zeros((4, 6))
    point[3, 1] = 1
    assert total_variation(replace(drawn, shape=shape * 0 + 3, hue=hue * 0 + 1), point) == 0


def test_total_variation_of_the_law_itself_is_as_large_as_it_says():
    values = [total_variation(draw_shapes(f"none-{i}", 0, 5000)) for i in range(40)]
    # The normal approximation is off by 1/(n p) at most in the rarest cell; the mean of 40 values scatters by 0.0006.
    assert np.mean(values) == pytest.approx(0.025, abs=0.0025)


def test_total_variation_refuses(drawn):
    with pytest.raises(ValueError, match="allowed: 1 or more"):
        total_variation(drawn.take(slice(0, 0)))
    with pytest.raises(ValueError, match="law"):
        total_variation(drawn, np.ones(24) / 24)
