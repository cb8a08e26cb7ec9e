"""Augmentation bias: leaks planted in glyphs, what cannot be seen, what the record says, and what the critic sees."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ganaudit import registry
from ganaudit.data.glyphs import draw_glyphs, render_glyphs
from ganaudit.data.laws import LAWS, NO_ROW
from ganaudit.document.spec import NotAssessable
from ganaudit.evidence.leaks import changed_levels, expected, fill_of
from ganaudit.numerics.augmentations import DRAWS, MIDDLE, OPERATIONS
from ganaudit.numerics.quantise import to_range
from ganaudit.subjects.subject import SampleSpec

from .made_up import by_key
from .planted import even, reference, row, subject

ID = "augmentation-bias"
FLIPPED = {"augmentation": "flip", "augmentation_data": ["flip"], "augmentation_seen": []}


class Pictured:
    """A view of given images in -1..1, judged by their mean of the left half where there is a critic."""

    against, classes = "test", ()

    def __init__(self, critic=False, training=None, **values):
        self.samples = values
        self.critic = critic
        shape = tuple(next(iter(values.values())).shape[1:])
        self.subject = SimpleNamespace(
            sample=SampleSpec(shape), samples=None, training=training or {}, block=None, device="cpu",
            discriminate=lambda x, labels=None: left(x),
        )  # fmt: skip

    def missing(self, node):
        kind, _, side = node.partition("/")
        if side not in self.samples:
            return f"the reference has no {side} split of reals"
        return None if kind == "values" or self.critic else "the subject has no discriminator"

    def count(self, node):
        return len(self.samples[node.partition("/")[2]])

    def values(self, side, rows):
        return self.samples[side][rows], None

    def __getitem__(self, node):
        return left(self.samples[node.partition("/")[2]])


def left(x):
    return x[..., : x.shape[-1] // 2].double().flatten(1).mean(1)


def glyphs(n, name):
    levels = render_glyphs(draw_glyphs(f"leaks/{name}", 0, n), 16)[:, None]
    return to_range(torch.from_numpy(levels), -1.0, 1.0)


def planted(n, name, operation, share):
    """Glyphs of which exactly ``share`` were changed, the first ones."""
    levels = torch.from_numpy(render_glyphs(draw_glyphs(f"leaks/{name}", 0, n), 16)[:, None]).float()
    u = torch.from_numpy(np.random.default_rng(0).random((n, DRAWS)))
    (moved,) = changed_levels(levels, OPERATIONS[operation], u, MIDDLE)
    count = round(share * n)
    return 2 * torch.cat([moved[:count], levels[count:]]) / 255 - 1


def outcome(seed=0, options=None, **given):
    evaluator = registry.find("evaluators", ID)(**(options or {"reals": 200, "samples": 600}))
    return evaluator.evaluate(Pictured(**given), np.random.default_rng(seed))


def tables(found):
    return {d.title.split(";")[0].split(":")[0]: d for d in found.details if d.kind == "table"}


def column(table, name):
    place = table.columns.index(name)
    return {r[0]: r[place] for r in table.rows}


REALS = {"calibration": glyphs(200, "calibration"), "test": glyphs(300, "test")}


@pytest.mark.parametrize(("operation", "share"), [("hflip", 0.1), ("cutout", 0.3)])
def test_a_planted_leak_is_found_at_its_share_and_no_other(operation, share):
    found = outcome(**REALS, fake=planted(600, "fake", operation, share), training={"augmentation": "none"})
    leaks = {key: m for key, m in by_key(found).items() if key.startswith("leak-")}
    mine = leaks[f"leak-{operation}"]
    assert mine.interval.low <= share <= mine.interval.high
    assert mine.interval.low > 0.03
    assert mine.null.low <= 0.03
    assert mine.null.n == 300
    assert mine.n == 600
    verdicts = column(tables(found)["Leaks by operation"], "verdict")
    assert {name for name, word in verdicts.items() if word in ("leak", "looks like it")} == {operation}
    shown = next(e for e in found.exhibits if OPERATIONS[operation].law in e.title)
    assert np.mean(np.array(shown.indices) < share * 600) > 0.9, "those that were changed come first"


def test_two_leaks_at_once_get_their_own_shares():
    fake = torch.cat([planted(300, "two/a", "hflip", 0.5), planted(300, "two/b", "cutout", 0.4)])
    found = outcome(**REALS, fake=fake)
    verdicts = column(tables(found)["Leaks by operation"], "verdict")
    assert {name for name, word in verdicts.items() if word != "none found"} == {"hflip", "cutout"}
    for operation, share in (("hflip", 0.25), ("cutout", 0.2)):
        m = by_key(found)[f"leak-{operation}"]
        assert m.interval.low <= share <= m.interval.high
    beside = column(tables(found)["Leaks by operation"], "beside")
    assert beside["hflip"] == "cutout"
    assert set(beside["crop"].split(", ")) == {"hflip", "cutout"}


def test_samples_of_the_law_of_the_reals_leak_nothing():
    claims, runs = 0, 4
    for run in range(runs):
        found = outcome(run, **REALS, fake=glyphs(600, f"perfect/{run}"))
        claims += "No leak of them is found." not in found.details[0].text
        assert found.details[0].text.endswith(" Nothing is recorded of the training's augmentation.")
        assert set(column(tables(found)["Leaks by operation"], "by the record").values()) == {"not recorded"}
    assert claims <= 1  # two or more of four at 5 %: once in seventy


def test_what_reals_cannot_show_has_no_number():
    rng = np.random.default_rng(0)
    noise = [torch.from_numpy(rng.integers(100, 156, (n, 1, 8, 8))) * 2 / 255 - 1 for n in (120, 150, 200)]
    found = by_key(outcome(calibration=noise[0].float(), test=noise[1].float(), fake=noise[2].float()))
    for operation in ("hflip", "vflip", "rot90"):
        m = found[f"leak-{operation}"]
        assert m.value is None, operation
        assert "not identifiable: 120 calibration reals" in m.reason
    assert found["leak-colour"].value is not None


def test_an_operation_that_changes_nothing_is_told_as_such():
    x = torch.linspace(-1, 1, 60)[:, None, None, None].expand(60, 1, 8, 8).contiguous()
    found = by_key(outcome(calibration=x, test=x, fake=x))
    for operation in ("hflip", "vflip", "rot90"):
        assert f"{operation} changes none of 60 calibration reals" in found[f"leak-{operation}"].reason


def test_images_too_small_and_no_squares_are_told_and_the_rest_goes_on():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((40, 3, 3, 5)) * 2 - 1).float()
    found = by_key(outcome(calibration=x, test=x, fake=x))
    assert "3 x 5 are too small: shift needs sides of 4" in found["leak-shift"].reason
    assert "3 x 5 are no squares" in found["leak-rot90"].reason
    assert found["leak-cutout"].reason is None or "cutout" in found["leak-cutout"].reason
    assert len(found) == 14


def test_without_test_reals_leaks_stay_and_nulls_say_why():
    found = by_key(outcome(calibration=REALS["calibration"], fake=planted(600, "fake", "hflip", 0.3)))
    assert found["leak-hflip"].interval.low <= 0.3 <= found["leak-hflip"].interval.high
    assert "no test split" in found["leak-hflip"].null_reason
    assert "no test split" in found["invariance-hflip"].reason


def test_a_critic_is_blind_to_what_it_does_not_read():
    found = outcome(critic=True, training=FLIPPED, **REALS, fake=glyphs(100, "fake"))
    gaps = {k: m.value for k, m in by_key(found).items() if k.startswith("invariance-")}
    assert gaps["invariance-vflip"] < 1e-6  # the mean of the left half is the same upside down
    assert gaps["invariance-hflip"] > 0.1
    x = REALS["test"]
    scores, turned = left(x).numpy(), left(x.flip(3)).numpy()
    spread = np.subtract(*np.quantile(scores, [0.75, 0.25]))
    by_hand = np.abs(turned - scores).mean() / spread
    assert by_key(found)["invariance-hflip"].n == 150  # every second, to stay within 200
    close = np.abs(turned - scores).std() / spread * 4 / np.sqrt(150)
    assert gaps["invariance-hflip"] == pytest.approx(by_hand, abs=close)
    risk = tables(found)["Risk of a leak"]
    blind, used, at_risk = (column(risk, name) for name in ("blind", "used", "risk"))
    assert blind["vflip"] == 1.0
    assert used == {name: "yes" if name == "hflip" else "no" for name in OPERATIONS}
    assert at_risk["vflip"] == 0.0
    assert at_risk["hflip"] == pytest.approx(blind["hflip"] * column(risk, "told apart")["hflip"])
    assert set(column(risk, "n").values()) == {150}
    gap, ends = column(risk, "signed gap")["hflip"], ranged(column(risk, "signed gap, 95 %")["hflip"])
    assert ends[0] < (turned - scores).mean() / spread < ends[1]
    assert sum(ends) / 2 == pytest.approx(gap, abs=1e-3)
    # All 300 by brute force: of how many pairs of a real and another's mirrored copy the real scores higher.
    wins = (scores[:, None] > turned).astype(float) + (scores[:, None] == turned) / 2
    area = (wins.sum() - wins.trace()) / (300 * 299)
    ends = ranged(column(risk, "AUC, 95 %")["hflip"])
    assert ends[0] < area < ends[1]
    assert ends[1] - ends[0] < 0.2
    blindest, least = 1.0 if ends[0] < 0.5 < ends[1] else None, min(1 - abs(2 * end - 1) for end in ends)
    apart = column(risk, "told apart")["hflip"]
    low, high = ranged(column(risk, "risk, 95 %")["hflip"])
    assert low == pytest.approx(least * apart, rel=2e-3)
    assert blindest is None or high == pytest.approx(apart, rel=2e-3)
    assert ranged(column(risk, "risk, 95 %")["vflip"]) == (0.0, 0.0)
    assert any("the null of the AUC is 0.5 and that of the signed gap 0" in str(d) for d in found.details)


def test_the_record_of_the_training_says_what_was_to_be_expected():
    flip, shift = OPERATIONS["hflip"], OPERATIONS["shift"]
    assert expected({}, flip).used is None
    assert expected(FLIPPED, flip).leaks
    assert expected(FLIPPED, shift).used is False
    seen = {"augmentation": "x", "augmentation_seen": ["translation"], "augmentation_probability": 0.6}
    assert expected(seen, shift).leaks is False
    assert "with probability 0.6" in expected(seen, shift).words
    assert expected({**seen, "augmentation_probability": 0.9}, shift).leaks
    laws = {"augmentation_laws": ["seen: translation: moved by whole pixels, filled with -1.0"]}
    assert fill_of(laws, shift, -1.0, 1.0) == 0.0
    assert fill_of(laws, OPERATIONS["cutout"], -1.0, 1.0) == MIDDLE
    assert (
        fill_of({"augmentation_laws": ["data: cutout: a rectangle, set to 0.5"]}, OPERATIONS["cutout"], 0.0, 1.0) == 0.5
    )


def test_a_leak_of_what_was_never_used_is_only_a_likeness():
    fake = planted(600, "fake", "hflip", 0.3)
    told = outcome(**REALS, fake=fake, training={"augmentation": "none"})
    assert "may be another defect: hflip" in told.details[0].text
    assert told.details[0].text.endswith(" The training used none of these operations, by its record.")
    assert "never used" in told.warnings[0]
    plain = outcome(**REALS, fake=fake, training=FLIPPED)
    assert "Leaks: hflip" in plain.details[0].text
    assert plain.warnings == []


def blurred(x):
    return torch.nn.functional.avg_pool2d(torch.nn.functional.pad(x, (2, 2, 2, 2), "replicate"), 5, 1)


def with_garbage(x):
    return torch.cat([x[60:], torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (60, *x.shape[1:]))).to(x)])


@pytest.mark.parametrize("spoilt", [blurred, with_garbage])
def test_samples_that_are_poor_in_another_way_are_no_leak(spoilt):
    found = outcome(**REALS, fake=spoilt(glyphs(600, "fake")))
    table = tables(found)["Leaks by operation"]
    odd = withheld(table)
    assert odd, "an operation that they look changed by"
    text = found.details[0].text
    assert f"so that of {', '.join(odd)} neither a leak nor that there is none can be told" in text
    assert "No leak of them" not in text
    assert text.startswith(f"{sum(j >= 0.4 for j in column(table, 'told apart').values())} of 7 operations can be seen")
    for name in odd:
        one = by_key(found)[f"leak-{name}"]
        assert one.value is None
        assert "the samples differ from the data in another way" in one.reason
        fit = column(table, "p that a mixture explains the scores")[name]
        assert fit < 0.01 or "but so do those that look changed by" in one.reason
    assert not any(OPERATIONS[name].law in shown.title for name in odd for shown in found.exhibits)


def withheld(table):
    return [name for name, word in column(table, "verdict").items() if word == "not told: another defect"]


def smoothed(x, sigma):
    return torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="nearest")).float()


@pytest.mark.parametrize("sigma", [0.5, 0.8])
def test_a_mirror_on_blurred_samples_is_never_ruled_out(sigma):
    """Blurred samples look enlarged, and beside enlarged reals not mirrored: that clears nothing."""
    found = outcome(**REALS, fake=smoothed(planted(600, "fake", "hflip", 0.3), sigma))
    table = tables(found)["Leaks by operation"]
    assert column(table, "verdict")["hflip"] != "none found"
    assert {"crop", "cutout"} <= set(withheld(table))
    assert not {"crop", "cutout"} & {
        one for names in column(table, "beside").values() for one in str(names).split(", ")
    }
    assert "No leak of them is found" not in found.details[0].text
    mine = by_key(found)["leak-hflip"]
    assert mine.value is None or mine.interval.low > 0.2


def brighter(x):
    return (x + 2 * 8 / 255).clamp(-1, 1)


def noisy(x):
    return (x + 2 * 10 / 255 * torch.from_numpy(np.random.default_rng(5).standard_normal(x.shape)).float()).clamp(-1, 1)


@pytest.mark.parametrize("spoilt", [brighter, noisy])
def test_a_true_leak_is_told_of_samples_with_a_mild_defect(spoilt):
    found = outcome(**REALS, fake=spoilt(planted(600, "fake", "hflip", 0.4)), training=FLIPPED)
    mine = by_key(found)["leak-hflip"]
    assert mine.interval.low <= 0.4 <= mine.interval.high
    assert "Leaks: hflip 0." in found.details[0].text
    assert "vflip" not in found.details[0].text.split("neither")[0].split("Leaks")[1].split("No leak")[0]


def test_what_imperfect_generators_look_like_is_no_leak_without_a_record():
    fake = planted(600, "fake", "crop", 0.5)
    bare = outcome(**REALS, fake=fake)
    assert column(tables(bare)["Leaks by operation"], "verdict")["crop"] == "looks enlarged"
    assert "Leaks:" not in bare.details[0].text
    assert "off in scale or sharpness looks the same" in bare.details[0].text
    assert "look enlarged, though" in bare.warnings[0]
    mine = by_key(bare)["leak-crop"]
    assert mine.interval.low <= 0.5 <= mine.interval.high, "gates still have the number"
    record = {"augmentation": "x", "augmentation_data": ["crop"]}
    told = outcome(**REALS, fake=fake, training=record)
    assert column(tables(told)["Leaks by operation"], "verdict")["crop"] == "leak"
    assert "Leaks: crop" in told.details[0].text
    assert told.warnings == []


def test_what_is_hardly_told_apart_has_no_number():
    """Shapes in other colours: windows of them and recoloured ones are told apart by less than 0.4."""
    law = LAWS["shapes"]
    u = np.random.default_rng(3).random((700, law.draws))
    x = torch.from_numpy(law.sample(u, np.full(700, NO_ROW, dtype=np.int64)))
    raised = x[400:].clone()
    raised[:, 0] = (raised[:, 0] + 0.3).clamp(-1, 1)
    found = outcome(calibration=x[:200], test=x[200:400], fake=raised)
    for name in ("crop", "colour"):
        mine = by_key(found)[f"leak-{name}"]
        assert mine.value is None
        assert "are told apart by" in mine.reason
    assert "crop" not in found.details[0].text.split("Not identifiable")[0]


def test_distances_and_traces_tell_of_a_crossing_and_of_filled_borders():
    found = outcome(**REALS, fake=planted(600, "fake", "hflip", 0.5))
    assert (
        column(tables(found)["Fréchet distance of generated samples (coarse places, 16 directions)"], "difference")[
            "hflip"
        ]
        > 0
    )
    traces = next(d for d in outcome(**REALS, fake=planted(600, "fake", "shift", 1.0)).details if "single" in str(d))
    distances = column(traces, "Kolmogorov distance")
    assert distances["energy of the border against the inside"] > 0.5


def ranged(cell):
    return tuple(float(end) for end in cell.split(" to "))


DISTANCES = "Fréchet distance of generated samples (coarse places, 16 directions)"


def test_distances_rest_on_one_draw_beside_held_out_reals():
    """150 of the 600 samples serve: another draw for each operation would move the distance to reals."""
    found = outcome(**REALS, fake=planted(600, "fake", "hflip", 0.5))
    table = tables(found)[DISTANCES]
    assert table.title.endswith("; held-out reals: calibration reals")
    for name in ("to reals", "theirs to reals"):
        assert len(set(column(table, name).values())) == 1, name
    assert set(column(table, "n").values()) == {150}
    assert set(column(table, "n of held-out reals").values()) == {150}
    differences, ranges = column(table, "difference"), column(table, "95 %")
    held, of_held = column(table, "their difference"), column(table, "their 95 %")
    # Held-out reals are of the law of the reals, so they lie nearer to these than to changed ones; the leak does not.
    assert held["hflip"] < 0
    assert held["shift"] < 0
    assert held["hflip"] < ranged(ranges["hflip"])[0]
    for name in OPERATIONS:
        assert ranged(ranges[name])[0] < differences[name] < ranged(ranges[name])[1], name
        assert ranged(of_held[name])[0] < held[name] < ranged(of_held[name])[1], name
    assert column(table, "theirs to reals")["hflip"] < column(table, "to reals")["hflip"]


def test_without_calibration_reals_the_reals_that_are_not_changed_are_held_beside_them():
    bare = outcome(test=REALS["test"], fake=glyphs(200, "fake"))
    table = tables(bare)[DISTANCES]
    assert table.title.endswith("; held-out reals: test reals that are not changed")
    assert set(column(table, "n of held-out reals").values()) == {150}
    few = outcome(test=REALS["test"][:40], fake=glyphs(200, "fake"))
    table = tables(few)[DISTANCES]
    assert table.title.endswith("; held-out reals: none but the 40 that are changed")
    assert set(column(table, "their difference").values()) == {None}


def test_sound_and_too_few_reals_are_not_assessable():
    wave = torch.zeros(30, 1, 100)
    with pytest.raises(NotAssessable, match=r"7 operations change images; found samples of shape \(1, 100\)"):
        outcome(calibration=wave, fake=wave)
    few = torch.zeros(9, 1, 8, 8)
    with pytest.raises(NotAssessable, match=r"leaks need 20 calibration reals.* there are 9.* 0 test and train"):
        outcome(calibration=few, fake=few)
    with pytest.raises(ValueError, match="reals: found 20; allowed: 22 or more, twice folds"):
        registry.find("evaluators", ID)(reals=20, folds=11)


def test_a_whole_audit_needs_no_discriminator_and_no_held_out_reals_are_named():
    levels = np.random.default_rng(0).integers(0, 256, 60)
    found = row(ID, subject(None), reference(calibration=even(levels[:30]), test=even(levels[30:])), extractor="pixels")
    assert found.status == "measured"
    assert all(m.value is None for m in found.measurements if m.key.startswith("invariance-"))
    # Even greys: no mirror, turn or window changes them.
    assert "changes none of 30" in by_key(found)["leak-crop"].reason
    assert dataclasses.asdict(registry.find("evaluators", ID)())["reals"] == 500


def parts_of(found):
    leaks = [m for m in found.measurements if m.key.startswith("leak-")]
    return leaks, next(d.text for d in found.details if d.kind == "note")


def test_without_calibration_reals_what_test_reals_tell_goes_on():
    """A crossing of filled borders shows in them by a plain two-sample test, whatever no classifier was fitted to."""
    moved = planted(600, "fake", "shift", 1.0)
    whole = outcome(**REALS, fake=moved, critic=True)
    bare = outcome(test=REALS["test"], fake=moved, critic=True)
    leaks, told = parts_of(bare)
    assert all(m.value is None and "calibration" in m.reason for m in leaks)
    assert told.startswith("No leak is looked for: leaks need calibration reals")
    traces = next(d for d in bare.details if d.kind == "table" and d.title.startswith("What single images"))
    # Means and Kolmogorov distances of the same samples: they know nothing of calibration reals.
    known = next(d for d in whole.details if d.kind == "table" and d.title.startswith("What single images"))
    assert column(traces, "generated") == column(known, "generated")
    assert column(traces, "Kolmogorov distance") == column(known, "Kolmogorov distance")
    assert column(traces, "Kolmogorov distance")["energy of the border against the inside"] > 0.5
    # The critic reads the left half: a mirror moves its score by the difference of the halves.
    levels = REALS["test"].double()
    half = levels.shape[-1] // 2
    gap = (levels[..., half:].flatten(1).mean(1) - levels[..., :half].flatten(1).mean(1)).abs()
    score = levels[..., :half].flatten(1).mean(1)
    expected_gap = gap.mean() / (score.quantile(0.75) - score.quantile(0.25))
    one = by_key(bare)["invariance-hflip"]
    assert one.value == pytest.approx(float(expected_gap), rel=0.25)  # of a part of the test reals
    risks = next(d for d in bare.details if d.kind == "table" and d.title.startswith("Risk"))
    assert set(column(risks, "risk").values()) == {None}
    distances = tables(bare)["Fréchet distance of generated samples (coarse places, 16 directions)"]
    assert column(distances, "difference")["shift"] > 0


def test_train_reals_serve_single_images_and_distances_and_move_no_leak():
    fake = planted(300, "fake", "hflip", 0.5)
    bare = outcome(train=REALS["test"], fake=fake)
    assert any(d.kind == "table" and d.title.endswith("against train reals") for d in bare.details)
    assert any(d.kind == "table" and "and train reals" in d.title for d in bare.details)
    gaps = [m for m in bare.measurements if m.key.startswith("invariance-")]
    assert all(m.value is None and "no test split" in m.reason for m in gaps)
    known = {"calibration": REALS["calibration"], "fake": fake}
    with_train = by_key(outcome(**known, train=REALS["test"]))
    without = by_key(outcome(**known))
    assert [with_train[key].value for key in with_train if key.startswith("leak-")] == [
        without[key].value for key in without if key.startswith("leak-")
    ]


def test_where_every_operation_is_the_identity_nothing_is_identifiable(monkeypatch):
    same = {name: dataclasses.replace(one, apply=lambda x, u, fill: [x]) for name, one in OPERATIONS.items()}
    monkeypatch.setattr("ganaudit.evaluators.augmentation_bias.OPERATIONS", same)
    leaks, told = parts_of(outcome(**REALS, fake=REALS["test"][:100]))
    assert all("changes none of 200 calibration reals" in m.reason for m in leaks)
    assert told.startswith("0 of 7 operations can be seen")


def test_a_whole_audit_without_calibration_reals_is_measured():
    levels = np.random.default_rng(0).integers(0, 256, 60)
    bare = row(ID, subject(None), reference(train=even(levels[:30]), test=even(levels[30:])), extractor="pixels")
    assert bare.status == "measured"
    assert "no calibration split" in by_key(bare)["leak-hflip"].reason
    assert all(m.value is None for m in bare.measurements)
    seen = row(ID, subject(None), reference(train=even(levels)), extractor="pixels", against="train")
    assert seen.status == "measured"
    assert any(getattr(d, "title", "").endswith("against train reals") for d in seen.details)
