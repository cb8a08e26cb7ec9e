"""Memorisation of made-up laws, of copies planted among them, of missing reals, and of what is shown."""

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.auditing import audit
from ganaudit.data.samples import Samples
from ganaudit.document.spec import NotAssessable
from ganaudit.evaluators.memorisation import Memorisation
from ganaudit.numerics.world import ALONE
from ganaudit.subjects.samples import subject_of_samples
from tests.evaluators.planted import Mean, even, reference, subject

KEYS = [m.key for m in Memorisation.spec.measurements]
RANKS = ("ct", "distance-auc", "reconstruction-auc", "identifiability", "authenticity", "likelihood-gap")


class Nodes:
    """A view that holds the features and scores it is given."""

    world = ALONE

    def __init__(self, seen=("train",), **nodes):
        self.seen = seen
        self.nodes = {name.replace("_", "/"): rows for name, rows in nodes.items()}

    def missing(self, node):
        return None if node in self.nodes else f"there is no {node}"

    def trained_on(self, split):
        return split in self.seen

    def count(self, node):
        return len(self.nodes[node])

    def __getitem__(self, node):
        assert node in (*Memorisation.spec.needs, *Memorisation.spec.wants)
        return self.nodes[node]


def drawn(n, d=8, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d))).float()


def scores(n, mean, seed):
    return torch.from_numpy(np.random.default_rng(seed).normal(mean, 1, n))


def measured(fake, train=None, seed=0, test=None, calibration=None, options=None, **more):
    given = {
        "features_train": drawn(800, seed=1) if train is None else train,
        "features_test": drawn(500, seed=2) if test is None else test,
        "features_calibration": drawn(500, seed=3) if calibration is None else calibration,
        "features_fake": fake,
        **more,
    }
    found = Memorisation(**(options or {})).evaluate(Nodes(**given), np.random.default_rng(seed))
    assert [m.key for m in found.measurements] == KEYS
    return {m.key: m for m in found.measurements}, found


def said(found):
    return next(d.text for d in found.details if d.kind == "note")


def columns(found):
    table = next(d for d in found.details if d.kind == "table" and "one protocol" in d.title)
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def pointing(found):
    return [title for title, row in columns(found).items() if row["position"].endswith("towards copies")]


def test_one_law_is_as_its_null_and_the_columns_are_told():
    by_key, found = measured(drawn(500, seed=4))
    assert pointing(found) == []
    assert said(found).startswith("No finding of copies: none of 8 statistics departs from unseen reals")
    assert "Weak sign" not in said(found)
    assert "The largest departure is that of" in said(found)
    rows = columns(found)
    for title in ("Exact copies", "Copies", "Nearness to train reals"):
        assert rows[title]["copycat (train reals)"] == 1.0
    assert rows["Authenticity"]["copycat (train reals)"] == 0.0
    assert {m.n for m in by_key.values() if m.value is not None} == {500}
    assert all(m.null.n == 500 for m in by_key.values() if m.value is not None)
    # K20: n/(n + N - 1) for one law.
    assert by_key["identifiability"].value == pytest.approx(500 / 1299, abs=0.04)
    # The expected share of unseen reals at or below the threshold of 500 others is 5/501.
    assert by_key["copy-rate"].null.low <= 5 / 501 <= by_key["copy-rate"].null.high
    assert by_key["membership-auc"].reason == "there is no scores/train"


@pytest.mark.parametrize("d", [2, 16, 64])
def test_k20_identifiability_of_one_law_at_equal_n_is_a_half_in_every_dimension(d):
    """Of n + n - 1 others, any may be the nearest: n/(2n - 1), whatever the law and the dimension."""
    n, values = 1000, []
    for seed in range(3):
        fake, train, test, held = (drawn(n, d, 10 * seed + part) for part in range(4))
        by_key, _ = measured(fake, train=train, test=test, calibration=held)
        values.append(by_key["identifiability"].value)
    # Nearest others are shared by few train reals: a share of 1,000 scatters by 0.016 to about twice that in high
    # dimensions, where hubs are near to many; the anchor's own bound of 0.03 holds for a mean of three.
    assert np.mean(values) == pytest.approx(n / (2 * n - 1), abs=0.03)


def departures(by_key):
    """How many standard errors each statistic lies from its null towards copies, by its definition."""
    found = {}
    for key, m in by_key.items():
        if m.value is None or m.interval is None or m.null is None or key.startswith("membership"):
            continue
        above = m.value > m.null.value
        own = m.value - m.interval.low if above else m.interval.high - m.value
        other = (m.null.high if above else m.null.low) - m.null.value
        spread = np.hypot(own, other) / stats.norm.ppf(0.975)
        far = abs(m.value - m.null.value) / spread if spread else 0.0
        found[key] = far if above != (key in ("ct", "authenticity")) else -far
    return found


@pytest.mark.parametrize("share", [0.0, 0.04, 0.08, 0.12, 0.2, 0.4])
def test_the_verdict_goes_by_departures_and_the_number_of_statistics(share):
    """A generator that leans to train reals: those it draws are moved by so much of a standard deviation."""
    train = drawn(800, seed=1)
    copies = int(500 * share)
    fake = torch.cat([train[:copies] + 0.5 * drawn(copies, seed=7), drawn(500 - copies, seed=4)])
    by_key, found = measured(fake, train=train)
    far = departures(by_key)
    assert len(far) == 8
    found_bar, weak_bar = stats.norm.isf(0.05 / 8), stats.norm.isf(0.05)
    pointing = {key for key, z in far.items() if z > found_bar}
    weak = {key for key, z in far.items() if weak_bar < z <= found_bar}
    text = said(found)
    if not pointing:
        assert text.startswith("No finding of copies")
        assert ("Weak signs" in text) == bool(weak)
    for key in pointing:
        assert f"{key} {by_key[key].value:.4g} where" in text
    for key in weak:
        assert key in text.partition("eak signs")[2]
    if pointing and not pointing & {"copy-rate", "exact-copy-rate"}:
        assert "lean to train reals, without a copy found" in text


def test_a_weak_sign_is_never_told_as_none():
    """A few samples beside train reals are a weak sign in some seeds: each says so, and none says there is no sign."""
    seen = 0
    for seed in range(12):
        parts = [drawn(n, 4, 100 * seed + k) for k, n in enumerate((300, 300, 150, 150))]
        parts[0][:20] = parts[1][:20] + 0.3 * parts[0][:20]
        by_key, found = measured(parts[0], train=parts[1], test=parts[2], calibration=parts[3], seed=seed)
        z = max(departures(by_key).values())
        text = said(found)
        assert ("Weak signs" in text) == (stats.norm.isf(0.05) < z <= stats.norm.isf(0.05 / 8))
        seen += "Weak signs" in text
    assert seen > 0


def test_five_per_cent_of_exact_copies_among_2000_are_found():
    train = drawn(2000, seed=1)
    fake = torch.cat([train[:100], drawn(1900, seed=4)])
    by_key, found = measured(fake, train=train, test=drawn(2500, seed=2), calibration=drawn(1500, seed=3))
    assert by_key["exact-copy-rate"].value == 0.05
    assert by_key["exact-copy-rate"].null.value == 0.0
    assert "100 of 2000 generated samples are exact copies" in said(found)
    assert {"Copies", "Exact copies", "Likelihood gap"} <= set(pointing(found))
    for key in ("copy-rate", "exact-copy-rate"):
        assert by_key[key].interval.low > by_key[key].null.high
    # A twentieth of copies moves no rank beyond its null: the disagreement is told.
    assert any(
        "disagree: by copy-rate" in text and "samples copy train reals; by ct" in text for text in found.warnings
    )
    assert "show nothing" in said(found)
    assert all(m.null.low <= m.null.value <= m.null.high for m in by_key.values() if m.null)


def test_a_copycat_is_found_by_every_statistic():
    train = drawn(800, seed=1)
    by_key, found = measured(train[:500], train=train)
    assert len(pointing(found)) == 8
    assert said(found).startswith("The generator copies train reals: all 8 statistics say so")
    assert found.warnings == []
    # Ten cells of about 50 and 50: all copies give -(50 * 50/2 - 1/2)/sqrt(50 * 50 * 101/12) = -8.6 in each.
    assert by_key["ct"].value == pytest.approx(-8.6, abs=0.2)
    assert by_key["authenticity"].value == 0.0
    assert by_key["copy-rate"].value == 1.0


def test_near_copies_are_copies_too_and_dense_places_are_none():
    train = drawn(800, seed=1)
    near = torch.cat([train[:60] + 0.01, drawn(440, seed=4)])
    by_key, found = measured(near, train=train)
    assert by_key["exact-copy-rate"].value == 0.0
    assert by_key["copy-rate"].interval.low > by_key["copy-rate"].null.high
    # A generator that keeps to the middle lies nearer to train reals without copying any.
    by_key, found = measured(drawn(500, seed=4) * 0.5, train=train)
    assert by_key["ct"].interval.high < by_key["ct"].null.low
    assert by_key["copy-rate"].interval.low <= by_key["copy-rate"].null.high
    (told,) = (text for text in found.warnings if "disagree" in text)
    assert "without a copy found, by ct" in said(found)
    assert "disagree: by ct" in told
    assert "generated samples lean to train reals, without a copy found; by " in told
    assert "copies of train reals" not in told


def test_samples_far_off_are_said_to_lie_farther():
    by_key, found = measured(drawn(500, seed=4) * 3)
    assert by_key["ct"].interval.low > by_key["ct"].null.high
    assert pointing(found) == []
    assert "On the whole they lie farther from train reals" in said(found)


def test_k26_membership_by_the_discriminator():
    more = {
        "scores_train": scores(4000, 1.0, 1),
        "scores_test": scores(4000, 0.0, 2),
        "scores_calibration": scores(4000, 0.0, 3),
        "scores_fake": scores(500, -1.0, 4),
    }
    sides = {"train": drawn(4000, seed=1), "test": drawn(4000, seed=2), "calibration": drawn(4000, seed=3)}
    by_key, found = measured(drawn(500, seed=4), **sides, **more)
    area = by_key["membership-auc"]
    assert area.value == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.015)
    assert area.null.low <= 0.5 <= area.null.high
    assert "The discriminator knows its train reals" in said(found)
    # 7500 unseen reals set 1 % of false alarms, and not 0.1 %.
    rate = by_key["membership-tpr-at-fpr-1pct"]
    assert rate.value == pytest.approx(1 - stats.norm.cdf(stats.norm.ppf(0.99) - 1), abs=0.03)
    assert rate.null.value == pytest.approx(0.01, abs=0.02)
    assert by_key["membership-tpr-at-fpr-0.1pct"].value is None
    assert "needs 10000 unseen reals to set it; there are 7500" in by_key["membership-tpr-at-fpr-0.1pct"].reason
    assert columns(found)["Overfit ratio r_v"]["generated"] == pytest.approx(0.5, abs=0.05)


def test_membership_that_the_mean_contradicts_is_flagged():
    train = scores(600, 0.3, 1)
    train[:30] = -60.0
    more = {"scores_train": train, "scores_fake": scores(500, -90.0, 4)}
    more |= {"scores_test": scores(500, 0.0, 2), "scores_calibration": scores(500, 0.0, 3)}
    _, found = measured(drawn(500, seed=4), **more)
    assert any("contradict each other in sign" in text for text in found.warnings)


def test_train_reals_of_another_kind_are_flagged():
    _, found = measured(drawn(500, seed=4), train=drawn(800, seed=1) + 0.8)
    assert any("not of one kind" in text for text in found.warnings)


def test_sides_that_are_drawn_down_say_so():
    options = {"most": 100, "most_train": 300, "most_for_gap": 50}
    by_key, found = measured(drawn(500, seed=4), options=options)
    assert by_key["ct"].sizes == {"fake": 100, "train": 300, "held": 100}
    assert by_key["likelihood-gap"].n == 50
    assert any("300 of 800 train reals were looked at" in text for text in found.warnings)
    few, found = measured(drawn(500, seed=4), test=drawn(60, seed=2), calibration=drawn(60, seed=3))
    assert (few["ct"].n, few["authenticity"].n, few["authenticity"].null.n) == (60, 500, 60)
    assert any("60 unseen reals can stand in" in text for text in found.warnings)
    assert "needs 99 of them; there are 60" in few["copy-rate"].reason


def test_too_few_of_a_side_are_named():
    with pytest.raises(NotAssessable, match="there are 18 unseen reals"):
        measured(drawn(50), test=drawn(9), calibration=drawn(9))
    with pytest.raises(NotAssessable, match="needs at least 10 train reals; there are 6"):
        measured(drawn(50), train=drawn(6))


def test_a_collapsed_generator_has_numbers():
    by_key, found = measured(torch.zeros(500, 8))
    assert all(m.value is not None or m.reason for m in by_key.values())
    assert by_key["exact-copy-rate"].value == 0.0
    one_copy, found = measured(drawn(800, seed=1)[:1].expand(500, 8).contiguous(), train=drawn(800, seed=1))
    assert one_copy["exact-copy-rate"].value == 1.0
    assert "Exact copies" in pointing(found)


def test_the_pairs_shown_are_the_copies_beside_their_originals():
    train = drawn(800, seed=1)
    fake = drawn(500, seed=4)
    fake[[17, 301]] = train[[5, 640]]
    (pairs,) = measured(fake, train=train)[1].exhibits
    assert (pairs.side, pairs.indices[:2], pairs.beside[:2]) == ("fake", [17, 301], [5, 640])
    assert pairs.captions[0] == "sample 17, train real 5: distance 0, ratio 0.000"


def test_false_alarms_on_one_law_are_rare():
    alarms = 0
    for seed in range(25):
        rest = drawn(450, 4, 1000 + seed)
        found = measured(
            rest[:100], train=rest[100:250], test=rest[250:350], calibration=rest[350:], seed=seed,
            options={"cells": 2},
        )[1]  # fmt: skip
        alarms += bool(pointing(found))
    # At a rate of 5 % more than five of 25 come once in a thousand runs.
    assert alarms <= 5


@pytest.mark.parametrize(
    "options", [{"copies": 0.0}, {"copies": 1.0}, {"neighbours": 1}, {"cells": 0}, {"most": 9}, {"most_train": 0}]
)
def test_impossible_options_are_refused(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{name}: found {value}; allowed: "):
        Memorisation(**options)


# --- in a whole audit


def levels(n, seed):
    return even(np.random.default_rng(seed).integers(0, 256, n))


def result(document):
    return document.result("memorisation")


def audited(made, real, **more):
    return audit(made, real, evaluators={"memorisation": {}}, cache=False, samples=64, extractor="pixels", **more)


@pytest.mark.parametrize(
    ("splits", "reason"),
    [
        ({"test": levels(40, 0)}, "no train split"),
        ({"train": levels(40, 0)}, "no test split of reals; train reals are never substituted"),
        ({"train": levels(40, 0)}, "needs features/calibration or features/test: the reference has no calibration"),
        (
            {"train": levels(40, 0), "calibration": levels(19, 1)},
            "there are 16 unseen reals and 64 generated",
        ),  # 3 are train
    ],
)
def test_without_train_or_unseen_reals_it_is_not_assessable_and_says_which(splits, reason):
    found = result(audited(subject(Mean()), reference(**splits)))
    assert found.status == "not_assessable"
    assert reason in found.reason


@pytest.mark.parametrize("split", ["calibration", "test"])
def test_unseen_reals_of_either_split_alone_do(split):
    """Copies of a quarter of the samples are found by reals of one split as by those of the other."""
    noise = np.random.default_rng(5).integers(0, 256, (260, 8, 8, 1), dtype=np.uint8)
    made = np.concatenate([noise[:16], noise[100:148]])
    splits = {"train": noise[:100], split: noise[148:]}
    real = reference(**splits)
    found = result(audited(subject_of_samples(Samples.of(made, "images", "made", "npy")), real, against=split))
    assert found.status == "measured", found.reason
    by_key = {m.key: m for m in found.measurements}
    assert by_key["exact-copy-rate"].value == 16 / 64
    assert by_key["ct"].sizes == {"fake": 56, "train": 100, "held": 56}
    assert f"56 unseen reals ({split}) in place of generated samples" in by_key["ct"].null.rule
    assert "16 of 64 generated samples are exact copies" in said(found)


def test_reals_that_the_subject_was_trained_on_are_not_taken_for_unseen():
    given = {"features_train": drawn(800, seed=1), "features_fake": drawn(500, seed=4)}
    given["features_calibration"] = drawn(500, seed=3)
    view = Nodes(seen=("train", "calibration"), **given)
    with pytest.raises(NotAssessable, match=r"there are 0 unseen reals .*; the subject was trained on the calibration"):
        Memorisation().evaluate(view, np.random.default_rng(0))
    both = Nodes(seen=("train", "calibration"), **given, features_test=drawn(500, seed=2))
    found = Memorisation().evaluate(both, np.random.default_rng(0))
    assert "250 unseen reals (test) in place" in found.measurements[0].null.rule


def test_without_a_discriminator_the_samples_are_judged_alone():
    bare = subject(None)
    found = result(audited(bare, reference(train=levels(60, 0), test=levels(60, 1))))
    by_key = {m.key: m for m in found.measurements}
    assert by_key["membership-auc"].value is None
    assert "no discriminator" in by_key["membership-auc"].reason
    assert by_key["ct"].value is not None


def test_pairs_lie_in_one_picture_and_no_real_sample_is_in_any_file_where_the_plan_says_so(tmp_path):
    from PIL import Image

    noise = [np.random.default_rng(s).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8) for s in range(3)]
    made, real = tmp_path / "made.npy", reference(train=noise[1], test=noise[2])
    np.save(made, noise[0])
    every = ["precision-recall", "memorisation"]

    def run(folder, **more):
        return audit(
            made, real, evaluators={key: {} for key in every}, cache=False, extractor="pixels", out=folder, **more
        )

    document = run(tmp_path / "a")
    pairs = next(d for d in result(document).details if d.kind == "gallery")
    picture = np.asarray(Image.open(tmp_path / "a" / pairs.items[0].file))
    assert picture.shape == (8, 17)
    assert np.array_equal(picture[:, :8], noise[0][pairs.items[0].index, :, :, 0])
    train_number = int(pairs.items[0].caption.split("train real ")[1].split(":")[0])
    assert np.array_equal(picture[:, 9:], noise[1][train_number, :, :, 0])
    assert [g.side for g in document.galleries] == ["fake", "real"]

    # Into the same folder: what an earlier audit showed goes.
    bare = run(tmp_path / "a", real_samples=False)
    assert bare.plan["real_samples"] is False
    assert any("real samples are withheld" in text for text in bare.warnings)
    assert [g.side for g in bare.galleries] == ["fake"]
    reals = {image[:, :, 0].tobytes() for split in noise[1:] for image in split}
    files = list((tmp_path / "a" / "samples").iterdir())
    shown = [np.asarray(Image.open(path)) for path in files]
    assert len(files) > 60
    assert all(image.shape == (8, 8) and image.tobytes() not in reals for image in shown)
    shown_details = [d for r in bare.results for d in r.details if d.kind == "gallery"]
    assert [d.side for d in shown_details] == ["fake"] * len(shown_details)
    assert any("train reals are withheld" in d.rule for d in shown_details)
    # What is shown changes no number.
    assert bare.comparability == document.comparability
    assert [m for r in bare.results for m in r.measurements] == [m for r in document.results for m in r.measurements]
