import io
import struct
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from ganaudit.data.reading import ReadOptions, read_samples
from ganaudit.document.errors import SourceError

READ = ReadOptions()
FEATURES = ReadOptions(features=True)
RNG = np.random.default_rng(0)
UINT8 = RNG.integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
FLOAT = RNG.uniform(-1, 1, (4, 3, 6, 5)).astype(np.float32)
ROWS = RNG.normal(size=(7, 3))


def fails(path, options=READ):
    with pytest.raises(SourceError) as caught:
        read_samples(path, options)
    return str(caught.value)


# --- what is read ----------------------------------------------------------------------------------------------------


def test_uint8_images(npy):
    samples = read_samples(npy(UINT8), READ)
    np.testing.assert_array_equal(samples.array, UINT8)
    assert (samples.kind, samples.form, samples.shape, samples.value_range) == ("images", "npy", (3, 6, 5), None)


def test_uint8_without_channels_is_grey(npy):
    samples = read_samples(npy(UINT8[..., 0]), READ)
    assert samples.shape == (1, 6, 5)
    np.testing.assert_array_equal(samples.array[..., 0], UINT8[..., 0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", ">f8"])
def test_float_images(npy, dtype):
    samples = read_samples(npy(FLOAT.astype(dtype)), READ)
    assert samples.array.dtype == np.float32
    np.testing.assert_array_equal(samples.array, FLOAT.astype(dtype).astype(np.float32))
    assert samples.value_range == (-1, 1)
    assert samples.describe() == "3x6x5 float32 in -1..1"


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f8"])
def test_features_as_they_stand(npy, dtype):
    rows = ROWS.astype(dtype)
    samples = read_samples(npy(rows), FEATURES)
    assert samples.array.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(samples.array, rows)
    assert (samples.kind, samples.shape, samples.describe()) == ("features", (3,), f"3 features {samples.array.dtype}")


def test_other_numbers_as_features(npy):
    assert read_samples(npy(np.arange(12).reshape(4, 3)), FEATURES).array.dtype == np.float64
    assert read_samples(npy(ROWS.astype(np.float16)), FEATURES).array.dtype == np.float32


def test_fortran_order(npy):
    assert read_samples(npy(np.asfortranarray(UINT8)), READ).digest == read_samples(npy(UINT8, "b.npy"), READ).digest


@pytest.mark.parametrize("name", ["samples", "arr_0", "images", "x", "anything"])
def test_npz_names(npz, name):
    samples = read_samples(npz(**{name: UINT8, "latents": ROWS, "scores": FLOAT}), READ)
    assert samples.form == "npz"
    np.testing.assert_array_equal(samples.array, UINT8)


def test_the_preferred_name_that_can_be_used_wins(npz):
    path = npz(samples=UINT8, features=ROWS, other=UINT8)
    assert read_samples(path, READ).kind == "images"
    assert read_samples(path, FEATURES).kind == "features"


def test_compressed_npz(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", samples=UINT8)
    np.testing.assert_array_equal(read_samples(tmp_path / "a.npz", READ).array, UINT8)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
def test_labels(npz, dtype):
    samples = read_samples(npz(samples=UINT8, labels=np.array([2, 0, 1, 0], dtype)), READ)
    assert samples.labels.tolist() == [2, 0, 1, 0]
    assert samples.labels.dtype == np.int64
    assert samples.classes == ("0", "1", "2")


def test_arr_1_is_labels_when_it_looks_like_them(npz):
    assert read_samples(npz(UINT8, np.arange(4)), READ).labels.tolist() == [0, 1, 2, 3]
    assert read_samples(npz(UINT8, np.arange(5)), READ).labels is None
    assert read_samples(npz(UINT8, np.ones(4)), READ).labels is None


def test_what_sample_writes_is_read(npz):
    path = npz(samples=FLOAT, latents=np.zeros((4, 64), np.float32), scores=np.zeros(4, np.float32))
    np.testing.assert_array_equal(read_samples(path, READ).array, FLOAT)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64]),
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_features_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("round") / "a.npy"
    np.save(path, rows)
    samples = read_samples(path, FEATURES)
    assert torch.equal(samples.features(slice(None)), torch.from_numpy(rows))


def test_resize_of_uint8(npy):
    samples = read_samples(npy(UINT8), ReadOptions(resize=(4, 3)))
    expected = [np.asarray(Image.fromarray(image).resize((4, 3), Image.Resampling.BICUBIC)) for image in UINT8]
    np.testing.assert_array_equal(samples.array, np.stack(expected))
    assert read_samples(npy(UINT8[..., 0]), ReadOptions(resize=(4, 3))).shape == (1, 3, 4)


def test_resize_of_floats_stays_in_range(npy):
    samples = read_samples(npy(np.sign(FLOAT)), ReadOptions(resize=(11, 9)))
    assert samples.shape == (3, 9, 11)
    assert np.abs(samples.array).max() <= 1
    expected = np.asarray(Image.fromarray(np.sign(FLOAT)[2, 1]).resize((11, 9), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(samples.array[2, 1], expected.clip(-1, 1))


def test_a_little_beyond_the_range_is_allowed(npy):
    assert len(read_samples(npy(FLOAT * 0 + 1.0019), READ)) == 4


# --- what is refused -------------------------------------------------------------------------------------------------


def test_features_without_the_extractor(npy, npz):
    assert "--extractor identity" in fails(npy(ROWS))
    assert "--extractor identity" in fails(npz(features=ROWS))


@pytest.mark.parametrize("array", [UINT8, FLOAT, np.zeros(4), np.zeros((2, 3, 4))])
def test_the_extractor_without_features(npy, array):
    message = fails(npy(array), FEATURES)
    assert "(N, D)" in message
    assert str(array.shape) in message


def test_objects_are_never_unpickled(npy, npz):
    objects = np.array([[{"a": 1}, 2]], dtype=object)
    for path in (npy(objects, allow_pickle=True), npz(samples=objects)):
        message = fails(path)
        assert "Python objects" in message
        assert "pickle, which is never read" in message


def test_a_pickle_is_no_array(tmp_path):
    import pickle

    path = tmp_path / "a.npy"
    path.write_bytes(pickle.dumps(UINT8))
    assert "pickles are never read" in fails(path)


def test_uint8_in_the_order_of_torch(npy):
    message = fails(npy(np.zeros((4, 3, 6, 5), np.uint8)))
    assert "looks like (N, C, H, W)" in message
    assert "(N, H, W, C)" in message
    assert "transpose" in message


def test_floats_in_the_order_of_numpy(npy):
    message = fails(npy(np.zeros((4, 6, 5, 3), np.float32)))
    assert "looks like (N, H, W, C)" in message


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 6, 5, 4), np.uint8),
        np.zeros((4, 2, 6, 5), np.float32),
        np.zeros((4, 6, 5, 3), np.int64),
        np.zeros((4, 6, 5, 3), np.uint16),
        np.zeros((4, 6, 5, 3), bool),
        np.zeros((4, 6, 5), np.float32),
        np.zeros(4, np.uint8),
        np.zeros((1, 4, 6, 5, 3), np.uint8),
        np.zeros((4, 3, 6, 5), np.complex64),
        np.zeros((4, 3, 6, 5), np.longdouble),
        np.zeros((4, 3), [("a", "f4")]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_other_layouts(npy, array):
    message = fails(npy(array))
    assert str(array.shape) in message
    assert "allowed: uint8 images (N, H, W, C)" in message


def test_other_numbers_are_no_features(npy):
    assert "float32, float64 or whole numbers" in fails(npy(np.zeros((4, 3), complex)), FEATURES)


@pytest.mark.parametrize("shape", [(0, 6, 5, 3), (4, 0, 5, 3)])
def test_no_rows(npy, shape):
    assert "at least one row" in fails(npy(np.zeros(shape, np.uint8)))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_no_feature_rows(npy, shape):
    assert "at least one row" in fails(npy(np.zeros(shape)), FEATURES)


def test_values_outside_the_range(npy):
    message = fails(npy(FLOAT * 0 + np.float32(1.003)))
    assert "expected in -1..1, found 1.003..1.003" in message
    assert "--range" in message
    path = npy(np.abs(FLOAT) * 255)
    assert "--range" in fails(path)
    assert read_samples(path, ReadOptions(value_range=(0, 255))).value_range == (0, 255)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(npy, bad):
    images, rows = FLOAT.copy(), ROWS.copy()
    images[2, 1, 0, 3] = images[3, 0, 0, 0] = bad
    message = fails(npy(images))
    assert "2 of 360 values" in message
    assert "row 2, index (2, 1, 0, 3)" in message
    rows[5, 1] = bad
    assert "1 of 21 values" in fails(npy(rows), FEATURES)


@pytest.mark.parametrize(
    "labels", [np.arange(3), np.ones(4), np.zeros((4, 2), int), np.array(["a"] * 4)], ids=["few", "float", "2d", "text"]
)
def test_labels_that_do_not_fit(npz, labels):
    assert "labels must be whole numbers of shape (4,)" in fails(npz(samples=UINT8, labels=labels))


@pytest.mark.parametrize("label", [-1, 10**9])
def test_labels_out_of_range(npz, label):
    assert "class numbers from 0" in fails(npz(samples=UINT8, labels=np.array([0, 1, 2, label])))


def test_nothing_usable_lists_the_arrays(npz):
    message = fails(npz(a=np.zeros(3), b=np.zeros((2, 2, 2)), latents=ROWS))
    for part in ("a (3,) float64", "b (2, 2, 2) float64", "latents (7, 3)", "allowed: uint8"):
        assert part in message


def test_more_than_one_candidate(npz):
    message = fails(npz(a=UINT8, b=UINT8))
    assert "2 arrays could be the samples" in message
    assert "name the one to use samples" in message


def test_an_empty_npz(npz):
    assert "no arrays" in fails(npz())


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_junk(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"junk")
    message = fails(path)
    assert str(path) in message
    assert "Traceback" not in message


def test_truncated_npy(npy):
    path = npy(UINT8)
    path.write_bytes(path.read_bytes()[:-10])
    message = fails(path)
    assert "truncated" in message
    assert "350 bytes" in message


def header(shape, descr="|u1"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_a_header_that_declares_more_than_there_is(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(header((10**6, 32, 32, 3)) + b"x" * 100)
    assert "truncated" in fails(path)
    path.write_bytes(header((10**12, 32, 32, 3)) + b"x" * 100)
    assert "at most 64 GiB" in fails(path)
    path.write_bytes(header((-4, 32, 32, 3)) + b"x" * 100)
    assert "impossible shape" in fails(path)
    path.write_bytes(header((1, 10**5, 10**5, 3)) + b"x" * 100)
    assert "pixels; at most 64000000" in fails(path)


def test_a_member_that_declares_more_than_there_is(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("samples.npy", header((10**6, 32, 32, 3)) + b"x" * 100)
    assert "its member holds only" in fails(path)


def test_an_array_that_unpacks_without_bound(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples.npy", header((10, 32, 32, 3)) + bytes(30720))
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 24 : at + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(raw)
    assert "decompression bomb" in fails(path)


def test_a_damaged_member(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, samples=np.tile(UINT8, (50, 1, 1, 1)))  # larger than what a look at the header buffers
    raw = bytearray(path.read_bytes())
    raw[9000] ^= 0xFF
    path.write_bytes(raw)
    assert "cannot be read" in fails(path)


def test_an_encrypted_npz(npz):
    path = npz(samples=UINT8)
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    assert "encrypted" in fails(path)


def test_members_that_are_no_arrays_are_told(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("samples.npy", b"junk")
    assert "samples is no NumPy array file" in fails(path)


def test_total_bytes_are_limited(npy, npz):
    small = ReadOptions(max_total_bytes=100)
    assert "at most 100 bytes" in fails(npy(UINT8), small)
    assert "at most 100 bytes" in fails(npz(samples=UINT8), small)
    assert "at most 400 bytes" in fails(npy(UINT8), ReadOptions(max_total_bytes=400, resize=(50, 50)))


def test_version_2_headers_are_read(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, UINT8, version=(2, 0))
    (tmp_path / "a.npy").write_bytes(buffer.getvalue())
    assert len(read_samples(tmp_path / "a.npy", READ)) == 4
