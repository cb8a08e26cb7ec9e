"""Published means and covariances as a reference: the same distance as with the samples, and nothing made up."""

import json
from pathlib import Path

import numpy as np
import pytest

from ganaudit.cli.main import run


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "cache"))

    def called(*arguments):
        capfd.readouterr()
        code = run([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return called


def features(seed, n=400, d=12):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.standard_normal(d)


def audited(call, reference, *more):
    asked = ["--reference", reference, "--extractor", "identity", "--out", "out", "--json"]
    code, out, err = call("audit", "fake.npy", *asked, *more)
    assert code in (0, 3), err
    return json.loads(out)


def values(document, evaluator="frechet-distance"):
    (result,) = [r for r in document["results"] if r["evaluator"] == evaluator]
    return result, {m["key"]: m for m in result["measurements"]}


def test_the_distance_is_that_to_the_samples(call):
    real, fake = features(0), features(1, 300)
    np.save("real.npy", real)
    np.save("fake.npy", fake)
    np.savez("stats.npz", mu=real.mean(0), sigma=np.cov(real, rowvar=False))  # as pytorch-fid writes them
    one = audited(call, "test=real.npy", "--evaluators", "frechet-distance")
    other = audited(call, "stats.npz", "--evaluators", "frechet-distance")
    (_, by_samples), (_, by_statistics) = values(one), values(other)
    assert by_statistics["fd"]["value"] == pytest.approx(by_samples["fd"]["value"], rel=1e-9)
    assert by_statistics["fd"]["null"] is None
    assert "no reals" in by_statistics["fd"]["null_reason"]
    assert other["reference"]["splits"] == {}
    assert "12 features" in other["reference"]["sample"]
    assert any("do not say which extractor" in warning for warning in other["warnings"])
    assert one["comparability"]["digest"] != other["comparability"]["digest"]


def test_what_needs_samples_says_so(call):
    np.save("fake.npy", features(1))
    real = features(0)
    np.savez("stats.npz", mu=real.mean(0), sigma=np.cov(real, rowvar=False))
    document = audited(call, "stats.npz")
    statuses = {r["evaluator"]: (r["status"], r["reason"]) for r in document["results"]}
    for name in ("kernel-distance", "precision-recall"):
        assert statuses[name][0] == "not_assessable"
        assert "without samples" in statuses[name][1]
    assert statuses["frechet-distance"][0] == "measured"


def test_statistics_of_another_width_are_refused(call):
    np.save("fake.npy", features(1, d=9))
    real = features(0)
    np.savez("stats.npz", mu=real.mean(0), sigma=np.cov(real, rowvar=False))
    code, _, err = call("audit", "fake.npy", "--reference", "stats.npz", "--extractor", "identity", "--out", "out")
    assert code == 2
    assert "12 features" in err
    assert "gives 9" in err
    assert not Path("out").exists()


def test_written_statistics_are_read_again_and_bound_to_their_extractor(call):
    code, out, err = call("statistics", "digits", "--against", "test", "--out", "digits.npz", "--json")
    assert code == 0, err
    said = json.loads(out)
    assert (said["n"], said["features"]) == (599, 64)
    with np.load("digits.npz", allow_pickle=False) as file:  # what pytorch-fid's own reader asks for
        assert file["mu"].shape == (64,)
        assert file["sigma"].shape == (64, 64)
    asked = ["--evaluators", "frechet-distance", "--out", "out", "--json"]
    code, out, err = call("audit", "digits", "--reference", "digits.npz", "--extractor", "digits-cnn", *asked)
    assert code == 0, err
    _, by_statistics = values(json.loads(out))
    code, out, err = call("audit", "digits", *asked)
    _, by_samples = values(json.loads(out))
    assert by_statistics["fd"]["value"] == pytest.approx(by_samples["fd"]["value"], rel=1e-9)
    code, _, err = call("audit", "digits", "--reference", "digits.npz", "--extractor", "inception-v3-64", *asked)
    assert code == 2  # no weights, or another extractor: either way nothing is compared
    code, _, err = call("statistics", "digits", "--out", "digits.txt")
    assert code == 2
    assert ".npz" in err


def test_statistics_of_another_extractor_are_refused_by_its_digest(call):
    from ganaudit.data.statistics import write_statistics

    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 64))
    write_statistics(Path("s.npz"), x.mean(0), np.cov(x, rowvar=False), 200, "another/1", "another")
    code, _, err = call("audit", "digits", "--reference", "s.npz", "--extractor", "digits-cnn", "--out", "out")
    assert code == 2
    assert "another/1" in err
    assert "not comparable" in err


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda m, s: (m, s + np.triu(np.full_like(s, 5.0), 1)), "symmetric"),
        (lambda m, s: (m, np.where(np.eye(len(m)) > 0, np.nan, s)), "finite"),
        (lambda m, s: (m[:-1], s), "shape"),
        (lambda m, s: (m, -s), "eigenvalue"),
    ],
)
def test_statistics_that_cannot_be_are_refused_before_any_work(call, spoil, told):
    np.save("fake.npy", features(1))
    real = features(0)
    mean, covariance = spoil(real.mean(0), np.cov(real, rowvar=False))
    np.savez("stats.npz", mu=mean, sigma=covariance)
    code, _, err = call("audit", "fake.npy", "--reference", "stats.npz", "--extractor", "identity", "--out", "out")
    assert code == 2
    assert told in err
    assert not Path("out").exists()
