import hashlib

import numpy as np
import pytest

from ganaudit.data.digits import load_digits
from ganaudit.data.reading import ReadOptions, read_samples
from ganaudit.data.reference import Reference, check_matches, load_reference, parse_splits
from ganaudit.data.samples import Samples
from ganaudit.document.errors import SourceError

READ = ReadOptions()
FEATURES = ReadOptions(features=True)
RNG = np.random.default_rng(2)
UINT8 = RNG.integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)


def none(name):
    return None


def built_in(name):
    return load_digits if name == "digits" else None


def fails(spec, options=READ, datasets=none, **more):
    with pytest.raises(SourceError) as caught:
        load_reference(spec, options, datasets, **more)
    return str(caught.value)


# --- built-in sets ---------------------------------------------------------------------------------------------------


def test_a_built_in_set_comes_at_the_subjects_size():
    assert load_reference("digits", READ, built_in).shape == (1, 16, 16)
    assert load_reference("digits", READ, built_in, size=(24, 24)).shape == (1, 24, 24)


def test_a_built_in_set_that_does_not_come_in_that_size():
    assert "28 wide and 28 high" in fails("digits", datasets=built_in, size=(28, 28))


def test_an_unknown_name():
    message = fails("digitz")
    assert "neither a built-in set nor a file or folder" in message
    assert "ganaudit list" in message
    assert "empty" in fails(" ")


# --- one path --------------------------------------------------------------------------------------------------------


def test_one_path_is_split_by_the_recorded_rule(npy):
    reference = load_reference(str(npy(UINT8)), READ, none)
    order = sorted(range(10), key=lambda i: hashlib.sha256(f"ganaudit-split/{i}".encode()).hexdigest())
    np.testing.assert_array_equal(reference.split("calibration").array, UINT8[sorted(order[:3])])
    np.testing.assert_array_equal(reference.split("test").array, UINT8[sorted(order[3:])])
    assert reference.seen == {"calibration": "unknown", "test": "unknown"}
    assert "ganaudit-split" in reference.rule
    assert (reference.name, reference.form, reference.overlap) == ("array.npy", "npy", 0)
    assert (len(reference), reference.default_against()) == (10, "test")


@pytest.mark.parametrize(
    ("count", "expected"), [(1, {"test": 1}), (2, {"test": 2}), (3, {"calibration": 1, "test": 2})]
)
def test_very_small_sets(npy, count, expected):
    reference = load_reference(str(npy(UINT8[:count])), READ, none)
    assert {name: len(samples) for name, samples in reference.splits.items()} == expected


def test_feature_rows_are_used_as_they_stand(npy):
    rows = RNG.normal(size=(9, 2))
    reference = load_reference(str(npy(rows)), FEATURES, none)
    assert list(reference.splits) == ["test"]
    np.testing.assert_array_equal(reference.split("all").array, rows)
    assert "as it stands" in reference.rule
    assert reference.seen == {"test": "unknown"}


def test_skipped_files_are_told_once(folder, pixels, encoded):
    root = folder({f"{i}.png": encoded(pixels(i)) for i in range(6)} | {"x.png": b"junk"})
    reference = load_reference(str(root), ReadOptions(skip_unreadable=True), none)
    assert reference.unreadable == ("x.png",)


def test_a_folder_with_an_equals_sign_in_its_name(folder, pixels, encoded, monkeypatch, tmp_path):
    folder({"a.png": encoded(pixels())}, name="tset=1")
    monkeypatch.chdir(tmp_path)
    assert len(load_reference("tset=1", READ, none)) == 1


# --- named splits ----------------------------------------------------------------------------------------------------


def test_named_splits(npy):
    a, b, c = (npy(UINT8[i : i + 3], f"{i}.npy") for i in (0, 3, 6))
    spec = f"test={c},train={a},calibration={b}"
    reference = load_reference(spec, READ, none)
    assert list(reference.splits) == ["train", "calibration", "test"]
    assert reference.seen == {"train": "seen", "calibration": "unseen", "test": "unseen"}
    np.testing.assert_array_equal(reference.split("all").array, UINT8[:9])
    assert reference.split("all") is reference.split("all")
    mapped = load_reference({"train": str(a), "calibration": str(b), "test": str(c)}, READ, none)
    assert mapped.digest == reference.digest
    assert mapped.name == "train=0.npy,calibration=3.npy,test=6.npy"


def test_any_subset(npy):
    path = npy(UINT8)
    assert load_reference(f"test={path}", READ, none).default_against() == "test"
    only = load_reference(f"train={path}", READ, none)
    assert only.default_against() == "all"
    assert only.split("all").digest == only.split("train").digest


def test_paths_with_equals_signs_and_commas(npy, tmp_path):
    odd = tmp_path / "a=b,c"
    odd.mkdir()
    np.save(odd / "x=1.npy", UINT8)
    spec = f"train={odd / 'x=1.npy'},test={npy(UINT8)}"
    assert parse_splits(spec)["train"] == str(odd / "x=1.npy")
    assert list(load_reference(spec, READ, none).splits) == ["train", "test"]


def test_unknown_split_names():
    message = fails("train=a,tset=b")
    assert "'tset' is no split" in message
    assert "nearest: test" in message
    assert "'validation' is no split" in fails({"validation": "a"})


def test_splits_that_say_nothing(npy):
    assert "given twice" in fails(f"test={npy(UINT8)},test=b")
    assert "empty path" in fails("test=")
    assert "no split is named" in fails({})


def test_a_missing_file(tmp_path):
    assert "there is no such file" in fails(f"test={tmp_path / 'nowhere'}")


def test_splits_must_agree(npy):
    a, b = npy(UINT8, "a.npy"), npy(UINT8[:, :3], "b.npy")
    message = fails(f"train={a},test={b}")
    for part in ("a.npy", "b.npy", "3x4x4 uint8", "3x3x4 uint8", "--resize"):
        assert part in message
    c = npy(np.zeros((2, 3, 4, 4), np.float32), "c.npy")
    message = fails(f"train={a},test={c}")
    assert "holds images" in message
    assert "holds floats" in message


def test_classes_are_numbered_alike(folder, pixels, encoded):
    train = folder({f"{name}/1.png": encoded(pixels(i)) for i, name in enumerate(["ant", "bee", "cat"])}, "one")
    test = folder({f"{name}/2.png": encoded(pixels(9 + i)) for i, name in enumerate(["bee", "cat"])}, "two")
    reference = load_reference(f"train={train},test={test}", READ, none)
    assert reference.split("test").labels.tolist() == [1, 2]
    assert reference.split("all").classes == ("ant", "bee", "cat")
    other = folder({"dog/2.png": encoded(pixels(7))}, "three")
    assert load_reference(f"train={test},test={other}", READ, none).split("all").classes == ("bee", "cat", "dog")


def test_overlap_counts_rows_of_train_in_the_other_splits(npy):
    a, b = npy(UINT8[:6], "a.npy"), npy(UINT8[4:], "b.npy")
    assert load_reference(f"train={a},test={b}", READ, none).overlap == 2
    assert load_reference(f"train={a},test={a}", READ, none).overlap == 6
    assert load_reference(f"train={a},calibration={b},test={a}", READ, none).overlap == 8
    assert load_reference(f"calibration={a},test={a}", READ, none).overlap == 0


def test_rows_of_train_are_taken_out_of_the_other_splits(npy):
    a, b = npy(UINT8[:6], "a.npy"), npy(UINT8[4:], "b.npy")
    apart = load_reference(f"train={a},test={b}", READ, none).disjoint()
    assert (apart.left_out, apart.overlap) == ({"test": (2, 6)}, 0)
    np.testing.assert_array_equal(apart.split("test").array, UINT8[6:])
    np.testing.assert_array_equal(apart.split("train").array, UINT8[:6])
    assert apart.seen == {"train": "seen", "test": "unseen"}
    assert apart.digest != load_reference(f"train={a},test={b}", READ, none).digest
    gone = load_reference(f"train={a},calibration={b},test={a}", READ, none).disjoint()
    assert list(gone.splits) == ["train", "calibration"]
    assert gone.left_out == {"calibration": (2, 6), "test": (6, 6)}
    assert gone.without("test").startswith("all 6 test reals are also in the train split")
    assert gone.without("calibration") == ""
    assert gone.disjoint() is gone
    whole = load_reference(f"calibration={a},test={a}", READ, none)
    assert whole.disjoint() is whole


def test_overlap_of_features_ignores_their_precision(npy):
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    a, b = npy(rows, "a.npy"), npy(rows.astype(np.float64), "b.npy")
    assert load_reference(f"train={a},test={b}", FEATURES, none).overlap == 4


def test_a_split_that_is_not_there(npy):
    reference = load_reference(f"test={npy(UINT8)}", READ, none)
    with pytest.raises(SourceError, match="has no split 'train'") as caught:
        reference.split("train")
    assert "allowed: all, test" in str(caught.value)


# --- does the subject fit? -------------------------------------------------------------------------------------------


def reference_of(shape):
    array = np.zeros((2, *shape[1:], shape[0]), np.uint8) if len(shape) == 3 else np.zeros((2, *shape))
    samples = Samples.of(array, "images" if len(shape) == 3 else "features", "x", "npy")
    return Reference.of("x", "npy", {"test": samples}, seen={"test": "unseen"}, rule="a test")


def test_equal_shapes_match():
    check_matches((3, 4, 5), reference_of((3, 4, 5)))
    check_matches((64,), reference_of((64,)))


@pytest.mark.parametrize(
    ("fake", "real", "words"),
    [
        ((3, 32, 16), (3, 8, 8), "--resize 16x32"),
        ((1, 8, 8), (3, 8, 8), "convert the real images to 1 channel;"),
        ((3, 8, 8), (1, 8, 8), "convert the real images to 3 channels;"),
        ((64,), (32,), "feature rows of one extractor"),
        ((3, 8, 8), (32,), "feature rows of one extractor"),
    ],
)
def test_shapes_that_differ(fake, real, words):
    with pytest.raises(SourceError) as caught:
        check_matches(fake, reference_of(real))
    for part in (str(fake), str(real), words):
        assert part in str(caught.value)


# --- statistics in place of samples ----------------------------------------------------------------------------------


def statistics(npz, d=3):
    return npz(mu=np.zeros(d), sigma=np.eye(d))


def test_statistics_named_as_the_test_split_are_the_reference(npz):
    path = statistics(npz)
    for spec in (f"test={path}", {"test": str(path)}):
        for options in (READ, FEATURES):
            reference = load_reference(spec, options, none)
            assert reference.statistics is not None
            assert reference.splits == {}
            assert reference.digest == load_reference(str(path), READ, none).digest


@pytest.mark.parametrize("form", ["train={st}", "calibration={st}", "train={rows},test={st}", "train={st},test={rows}"])
def test_statistics_are_no_split_beside_others(npz, npy, form):
    spec = form.format(st=statistics(npz), rows=npy(RNG.normal(size=(9, 3))))
    message = fails(spec, FEATURES)
    assert "holds a mean and a covariance of features (mu, sigma), no samples" in message
    assert "allowed: alone" in message


def test_statistics_are_no_samples(npz):
    with pytest.raises(SourceError, match="holds a mean and a covariance") as caught:
        read_samples(statistics(npz, 16), FEATURES)
    assert "in place of a subject" in str(caught.value)
