"""Feature statistics in .npz: what other tools write is read, what we write they read, and nothing else gets in."""

import pickle
import stat
import zipfile

import numpy as np
import pytest

from ganaudit.data.statistics import is_statistics, read_statistics, write_statistics
from ganaudit.document.errors import OutputError, SourceError

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(50, 6)) @ RNG.normal(size=(6, 6)) + 1
MU, SIGMA = FEATURES.mean(axis=0), np.cov(FEATURES, rowvar=False)


def fails(path):
    with pytest.raises(SourceError) as caught:
        read_statistics(path)
    return str(caught.value)


# --- what is read and written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_pytorch_fid_and_clean_fid(tmp_path, save):
    path = tmp_path / "cifar10_clean_train_32.npz"
    save(path, mu=MU, sigma=SIGMA)
    found = read_statistics(path)
    np.testing.assert_array_equal(found.mean, MU)
    np.testing.assert_array_equal(found.covariance, SIGMA)
    assert (found.n, found.extractor, found.protocol) == (None, None, None)
    assert (found.name, found.source) == ("cifar10_clean_train_32", str(path))
    assert is_statistics(path)


def test_a_round_trip_keeps_every_bit(tmp_path):
    path = tmp_path / "deep" / "reals.npz"
    written = write_statistics(path, MU, SIGMA, 50, "inception-v3", "tf1-fid/abc")
    found = read_statistics(path)
    for name in ("mean", "covariance"):
        np.testing.assert_array_equal(getattr(found, name), getattr(written, name))
        assert not getattr(found, name).flags.writeable
    for name in ("n", "extractor", "protocol", "digest", "name", "source"):
        assert getattr(found, name) == getattr(written, name)
    assert (found.n, found.extractor, found.protocol) == (50, "inception-v3", "tf1-fid/abc")
    again = write_statistics(tmp_path / "again.npz", found.mean, found.covariance, 50, "inception-v3", "tf1-fid/abc")
    assert again.digest == found.digest
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_numpy_alone_reads_the_file_as_other_tools_do(tmp_path):
    path = tmp_path / "reals.npz"
    write_statistics(path, MU.astype(np.float32), SIGMA, 50, "inception-v3", "pytorch-fid")
    with np.load(path, allow_pickle=False) as file:
        mu, sigma = file["mu"][:], file["sigma"][:]  # the lines of pytorch-fid and clean-fid
        assert int(file["n"]) == 50
        assert str(file["extractor"]) == "inception-v3"
        assert sorted(file.files) == ["digest", "extractor", "mu", "n", "protocol", "sigma"]
    assert (mu.dtype, sigma.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(mu, MU.astype(np.float32))
    np.testing.assert_allclose(sigma, SIGMA, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", ">f4", ">f8", "float64"])
@pytest.mark.parametrize("n", [4, 300])
def test_statistics_stored_in_float32_of_any_rank_are_taken(tmp_path, n, dtype):
    # 4 samples of 40 features leave 37 eigenvalues of 0, half of which float32 makes negative.
    features = np.random.default_rng(1).normal(size=(n, 40)) * np.logspace(0, 3, 40)
    mu, sigma = features.mean(axis=0).astype(dtype), np.cov(features, rowvar=False).astype(dtype)
    sigma[0, 1] = np.nextafter(sigma[0, 1], np.array(np.inf, sigma.dtype))  # and sums that round apart
    np.savez(tmp_path / "s.npz", mu=mu, sigma=sigma)
    found = read_statistics(tmp_path / "s.npz")
    assert found.mean.dtype == found.covariance.dtype == np.dtype("=f8")
    np.testing.assert_array_equal(found.covariance, found.covariance.T)
    np.testing.assert_allclose(found.covariance, sigma.astype(float), rtol=2**-22)


@pytest.mark.parametrize("scale", [0, 1e-300, 1e300])
def test_covariances_of_any_size_are_taken(tmp_path, scale):
    np.savez(tmp_path / "s.npz", mu=MU, sigma=np.full((6, 6), 1.0) * scale)
    assert read_statistics(tmp_path / "s.npz").covariance[2, 3] == scale


def test_the_digest_knows_content_alone(tmp_path):
    def digest(mu=MU, sigma=SIGMA, n=50, extractor="e", protocol="p", name="a.npz"):
        return write_statistics(tmp_path / name, mu, sigma, n, extractor, protocol).digest

    other = SIGMA + np.eye(6)
    digests = [
        digest(),
        digest(mu=MU + 1),
        digest(sigma=other),
        digest(n=51),
        digest(extractor="f"),
        digest(protocol="q"),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(name="b.npz") == digests[0]
    assert len(bytes.fromhex(digests[0])) == 32
    assert digest(mu=np.zeros(6)) == digest(mu=-np.zeros(6))


def test_what_else_lies_in_the_file_does_not_matter(tmp_path):
    path = tmp_path / "batch.npz"
    np.savez(path, arr_0=np.zeros((3, 4, 4, 3), np.uint8), mu=MU, sigma=SIGMA, mu_s=MU[:2], extra=np.array([{}]))
    np.testing.assert_array_equal(read_statistics(path).mean, MU)


def test_only_names_tell_whether_a_file_holds_statistics(tmp_path):
    assert not is_statistics(tmp_path / "none.npz")
    assert not is_statistics(tmp_path)
    np.savez(tmp_path / "features.npz", features=FEATURES)
    assert not is_statistics(tmp_path / "features.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    assert not is_statistics(tmp_path / "broken.npz")
    with zipfile.ZipFile(tmp_path / "lies.npz", "w") as archive:
        archive.writestr("mu.npy", b"nothing")
        archive.writestr("sigma.npy", b"nothing")
    assert is_statistics(tmp_path / "lies.npz")
    assert "no NumPy array file" in fails(tmp_path / "lies.npz")
    np.savez(tmp_path / "right.npz", mu=MU, sigma=SIGMA)
    (tmp_path / "right.npz").rename(tmp_path / "right.zip")
    assert not is_statistics(tmp_path / "right.zip")


def test_writing_is_atomic_and_the_file_can_be_passed_on(tmp_path, monkeypatch):
    path = tmp_path / "reals.npz"
    write_statistics(path, MU, SIGMA, 50, "e", "p")
    before = path.read_bytes()
    assert path.stat().st_mode & stat.S_IRUSR

    def stop(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", stop)
    with pytest.raises(OutputError, match="No space left"):
        write_statistics(path, MU + 1, SIGMA, 50, "e", "p")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --- what is refused -------------------------------------------------------------------------------------------------


def test_pickles_are_not_opened(tmp_path):
    path = tmp_path / "stats.pkl"
    path.write_bytes(pickle.dumps({"mu": MU, "sigma": SIGMA}))
    assert "pickles can run code and are never read" in fails(path)


@pytest.mark.parametrize(
    ("name", "found"), [("stats.npy", ".npy"), ("stats", "no suffix"), ("gone.npz", "no such file")]
)
def test_other_files_are_refused(tmp_path, name, found):
    if name != "gone.npz":
        (tmp_path / name).write_bytes(b"x")
    message = fails(tmp_path / name)
    assert f"found {found}" in message
    assert "allowed: .npz files with the mean mu (D,)" in message


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": MU}, "holds no sigma; found mu (6,) float64"),
        ({"sigma": SIGMA}, "holds no mu; found sigma (6, 6) float64"),
        ({"feats": FEATURES}, "holds no mu and no sigma; found feats (50, 6) float64; feats are clean-fid's"),
        ({"mu": MU[:5], "sigma": SIGMA}, "found mu of shape (5,) with sigma of shape (6, 6)"),
        ({"mu": MU, "sigma": SIGMA[:, :5]}, "found mu of shape (6,) with sigma of shape (6, 5)"),
        ({"mu": MU[None], "sigma": SIGMA}, "found mu of shape (1, 6)"),
        ({"mu": MU, "sigma": SIGMA.diagonal()}, "with sigma of shape (6,)"),
        ({"mu": MU[:0], "sigma": SIGMA[:0, :0]}, "found mu of shape (0,)"),
        ({"mu": np.zeros(8193), "sigma": SIGMA}, "found mu of shape (8193,) with"),
        ({"mu": MU.astype(np.float16), "sigma": SIGMA}, "mu (6,) float16: found another type"),
        ({"mu": MU.astype(np.int64), "sigma": SIGMA}, "mu (6,) int64: found another type"),
        ({"mu": MU, "sigma": SIGMA.astype(np.complex128)}, "sigma (6, 6) complex128: found another type"),
        ({"mu": MU, "sigma": SIGMA.astype(object)}, "Python objects can only be stored by pickle"),
        ({"mu": np.where(np.arange(6) < 2, np.nan, MU), "sigma": SIGMA}, "mu holds 2 numbers of 6 that are not finite"),
        ({"mu": MU, "sigma": np.where(np.diag(np.arange(6)) > 4, np.inf, SIGMA)}, "sigma holds 1 numbers of 36"),
        ({"mu": MU, "sigma": SIGMA + np.triu(np.ones((6, 6)), 1) * 1e-4}, "sigma is not symmetric: entry (0, "),
        ({"mu": MU, "sigma": SIGMA - 2 * np.eye(6) * np.linalg.eigvalsh(SIGMA)[0]}, "sigma has the eigenvalue -"),
        ({"mu": MU, "sigma": -np.eye(6)}, "sigma has the eigenvalue -1 beside a largest of -1"),
        ({"mu": MU, "sigma": SIGMA, "n": np.int64(1)}, "found n = 1; a covariance rests on 2 samples or more"),
        ({"mu": MU, "sigma": SIGMA, "n": 50.0}, "n () float64: n must be one whole number"),
        ({"mu": MU, "sigma": SIGMA, "n": np.arange(3)}, "n (3,) int64: n must be one whole number"),
        ({"mu": MU, "sigma": SIGMA, "n": np.zeros(0, int)}, "n (0,) int64: n must be one whole number"),
        ({"mu": MU, "sigma": SIGMA, "extractor": np.array(["a", "b"])}, "must be one text"),
        (
            {"mu": MU, "sigma": SIGMA, "protocol": np.array({"resize": 1})},
            "protocol () Python objects: must be one text",
        ),
        ({"mu": MU, "sigma": SIGMA, "extractor": "x" * 20_000}, "must be one text of at most 16384 characters"),
        ({"mu": MU, "sigma": SIGMA, "digest": "0" * 64}, "it was altered after it was written"),
    ],
)
def test_unusable_contents_are_refused_in_words(tmp_path, arrays, message):
    path = tmp_path / "stats.npz"
    np.savez(path, **arrays)
    found = fails(path)
    assert found.startswith(str(path))
    assert message in found


def test_a_changed_number_breaks_the_digest(tmp_path):
    path = tmp_path / "reals.npz"
    write_statistics(path, MU, SIGMA, 50, "e", "p")
    with np.load(path) as file:
        arrays = dict(file)
    arrays["mu"] = arrays["mu"] + 1e-12
    np.savez(path, **arrays)
    assert "altered" in fails(path)


def test_too_many_features_are_refused_by_the_header_alone(tmp_path):
    # A bomb: the header declares 80 GB, deflate has packed a gigabyte of zeros, and neither is ever unpacked.
    header = np.lib.format.header_data_from_array_1_0(np.zeros(1))
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in (("mu", (100_000,)), ("sigma", (100_000, 100_000))):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, {**header, "shape": shape})
                member.write(bytes(2**20))
    assert "found 100000 features; at most 8192 are read" in fails(path)


def test_a_truncated_member_is_refused(tmp_path):
    path = tmp_path / "short.npz"
    header = np.lib.format.header_data_from_array_1_0(SIGMA)
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("mu.npy", "w") as member:
            np.lib.format.write_array(member, MU)
        with archive.open("sigma.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, header)
            member.write(SIGMA.tobytes()[:100])
    assert "the file is damaged" in fails(path)
    flipped = tmp_path / "flipped.npz"
    np.savez(flipped, mu=MU, sigma=SIGMA)
    content = bytearray(flipped.read_bytes())
    content[content.index(SIGMA.tobytes()[:16]) + 3] ^= 1
    flipped.write_bytes(content)
    assert "Bad CRC-32" in fails(flipped)


def test_what_cannot_be_statistics_is_not_written(tmp_path):
    for mean, covariance, n in ((MU, -SIGMA, 50), (MU[:3], SIGMA, 50), (MU * np.nan, SIGMA, 50), (MU, SIGMA, 1)):
        with pytest.raises(SourceError):
            write_statistics(tmp_path / "s.npz", mean, covariance, n, "e", "p")
    with pytest.raises(OutputError, match="are written as"):
        write_statistics(tmp_path / "s.npy", MU, SIGMA, 50, "e", "p")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_statistics(tmp_path / "file" / "s.npz", MU, SIGMA, 50, "e", "p")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
