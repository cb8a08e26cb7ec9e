"""Controls: what is planted is what is there, read off the samples by the oracle, by counts and by comparison."""

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.auditing.setting import open_subject
from ganaudit.config import AuditPlan
from ganaudit.data.glyphs import GLYPHS, load_glyphs
from ganaudit.data.laws import LAWS, places_of
from ganaudit.data.oracles.glyphs import glyphs_attributes
from ganaudit.data.shapes import LAW, draw_shapes
from ganaudit.document.errors import SubjectError
from ganaudit.locations import controls, reference_model
from ganaudit.progress import Silent
from ganaudit.subjects.control import ControlFile, subject_of_control
from ganaudit.subjects.planted import DEFECTS, EXTRA, Planted, reweighted
from ganaudit.subjects.planted_critics import CRITICS

N = 1000


@pytest.fixture(scope="module")
def train():
    return load_glyphs().split("train").array[..., 0]


def made(defect, severity, seed=0, n=N, law="glyphs"):
    z = torch.randn(n, LAWS[law].draws + EXTRA, generator=torch.Generator().manual_seed(3))
    return Planted(LAWS[law], defect, severity, seed)(z), z


def levels(x):
    return np.floor((x.numpy().astype(np.float64) + 1) * 127.5 + 0.5).astype(np.uint8)[:, 0]


def opened(name, **options):
    return open_subject(AuditPlan(subject=name, **options), Silent())


def test_every_control_that_comes_with_ganaudit_loads_and_passes_its_check():
    found = controls()
    assert {"controls/perfect", "controls/flip-leaking-10", "controls/nan-at-rare-latents"} <= set(found)
    digests = set()
    for name, folder in found.items():
        assert reference_model(name) == folder
        subject = opened(name)
        assert (subject.trust, subject.kind) == ("data", "reference model")
        assert subject.discriminator is not None
        assert subject.training["data"] in LAWS
        digests.add(subject.digest)
    assert len(digests) == len(found)


def test_the_perfect_control_follows_the_law_and_is_read_as_clean():
    x, _ = made("perfect", 0.0)
    read = glyphs_attributes(levels(x))
    assert (read.glyph < 0).mean() < 0.01
    assert read.is_mirrored.mean() < 0.01
    counts = np.bincount(read.glyph[read.glyph >= 0], minlength=len(GLYPHS))
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(("severity", "gone"), [(0.1, 3), (0.5, 13)])
def test_dropped_modes_never_occur_and_the_others_stay_even(severity, gone):
    read = glyphs_attributes(levels(made("mode-dropped", severity)[0]))
    counts = np.bincount(read.glyph[(read.glyph >= 0) & (read.confidence > 0.9)], minlength=len(GLYPHS))
    few = np.sort(counts)
    assert few[:gone].sum() <= 5  # misreadings
    assert stats.chisquare(few[gone:]).pvalue > 1e-3
    other = glyphs_attributes(levels(made("mode-dropped", severity, seed=1)[0]))
    assert set(np.argsort(counts)[:gone]) != set(np.argsort(np.bincount(other.glyph.clip(0), minlength=25))[:gone])


def test_skewed_classes_occur_as_often_as_severity_says():
    u = LAWS["glyphs"].known()[:, 0]
    control = Planted(LAWS["glyphs"], "class-skewed", 0.5)
    counts = np.sort(np.bincount(places_of(reweighted(u, control._shares, LAWS["glyphs"].shares), control.law.shares)))
    # 12 characters three times as likely as the other 13: 3/(12·3 + 13) and 1/(12·3 + 13).
    assert counts[13:].mean() / len(u) == pytest.approx(3 / 49, rel=0.05)
    assert counts[:13].mean() / len(u) == pytest.approx(1 / 49, rel=0.05)


def test_reweighting_leaves_the_place_within_a_mode_alone():
    u = np.linspace(0.001, 0.999, 4001)
    shares, wanted = np.array([0.5, 0.25, 0.25]), np.array([0.2, 0.0, 0.8])
    out = reweighted(u, wanted, shares)
    assert np.array_equal(places_of(out, shares), np.where(u < 0.2, 0, 2))
    assert np.all(np.diff(out) > 0)
    assert reweighted(u, shares, shares) == pytest.approx(u, abs=1e-12)


@pytest.mark.parametrize("severity", [0.05, 1.0])
def test_memorised_samples_are_train_samples_value_for_value(train, severity):
    known = {image.tobytes() for image in train}
    copies = sum(image.tobytes() in known for image in levels(made("memorising", severity)[0]))
    low, high = stats.binom.interval(0.9999, N, severity)
    assert low <= copies <= high
    assert not any(image.tobytes() in known for image in levels(made("perfect", 0.0)[0]))


def test_memorised_sounds_keep_their_noise():
    from ganaudit.data.tones import draw_tones, render_tones

    law = LAWS["tones"]
    x = law.sample(np.full((2, law.draws), 0.5), np.array([7, -1]))
    assert np.array_equal(x[:1], render_tones(draw_tones("train", 7, 1), 4096, "train", 7))
    assert np.array_equal(law.sample(np.full((1, law.draws), 0.5)), x[1:])


@pytest.mark.parametrize("severity", [0.1, 0.5])
def test_flipped_samples_are_read_as_mirrored(severity):
    x, _ = made("flip-leaking", severity)
    share = glyphs_attributes(levels(x)).is_mirrored.mean()
    low, high = stats.binom.interval(0.9999, N, severity)
    assert low / N - 0.01 <= share <= high / N + 0.01


@pytest.mark.parametrize("defect", [name for name in DEFECTS if name.endswith("-leaking")])
def test_leaks_change_their_share_of_the_samples_and_no_other(defect):
    (x, _), (clean, _) = made(defect, 0.3), made("perfect", 0.0)
    changed = (x != clean).flatten(1).any(1).double().mean()
    low, high = stats.binom.interval(0.9999, N, 0.3)
    assert low <= changed * N <= high + 1
    assert float(x.min()) >= -1
    assert float(x.max()) <= 1


def test_turns_are_spread_over_three_states():
    (x, z), (clean, _) = made("turn-leaking", 1.0), made("perfect", 0.0)
    counts = [
        int(torch.isclose(x, torch.rot90(clean, k, (2, 3)), atol=1e-5).flatten(1).all(1).sum()) for k in (1, 2, 3)
    ]
    assert sum(counts) == len(z)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_noise_has_the_planted_size_and_blur_keeps_the_mean():
    (x, _), (noisy, _), (blurred, _) = made("perfect", 0.0), made("noisy", 0.1), made("blurred", 1.0)
    inside = (x.abs() < 0.5) & (noisy.abs() < 1)  # away from the ends, where values are cut
    assert float((noisy - x)[inside].std()) == pytest.approx(0.1, rel=0.05)
    assert float(blurred.mean()) == pytest.approx(float(x.mean()), abs=0.01)
    # Variance of differences of neighbours falls under a Gauss kernel of 1 pixel to well below half.
    assert float(blurred.diff(dim=3).var()) < 0.5 * float(x.diff(dim=3).var())


def test_a_raised_channel_is_the_first():
    (x, _), (clean, _) = made("colour-shifted", 0.2, law="shapes", n=50), made("perfect", 0.0, law="shapes", n=50)
    assert torch.allclose(x[:, 0], (clean[:, 0] + 0.2).clip(max=1))
    assert torch.equal(x[:, 1:], clean[:, 1:])


def test_ignored_coordinates_change_nothing():
    control = Planted(LAWS["glyphs"], "latent-ignoring", 0.8)
    z = torch.zeros(2, 6 + EXTRA)
    z[1, 1:6] = 1.0
    assert torch.equal(*control(z).split(1))
    z[1, 0] = 1.0
    assert not torch.equal(*control(z).split(1))


def test_the_hole_lies_in_the_middle_of_one_coordinate():
    z = torch.zeros(3, 6 + EXTRA)
    z[:, 6] = torch.tensor([-1.0, 0.0, 1.0])
    x, clean = Planted(LAWS["glyphs"], "hole-in-latent", 0.05)(z), Planted(LAWS["glyphs"], "perfect", 0.0)(z)
    assert [torch.equal(a, b) for a, b in zip(x, clean, strict=True)] == [True, False, True]


def test_shapes_keep_the_joint_law():
    law = LAWS["shapes"]
    cells = places_of(law.known()[:, 0], law.shares)
    drawn = draw_shapes("train", 0, len(cells))
    assert np.array_equal(cells, drawn.shape * LAW.shape[1] + drawn.hue)


def test_a_sample_depends_on_its_own_latent_alone():
    for defect, severity in (("noisy", 0.3), ("memorising", 0.5), ("crop-leaking", 0.5), ("hole-in-latent", 0.5)):
        x, z = made(defect, severity, n=20)
        assert torch.equal(Planted(LAWS["glyphs"], defect, severity)(z[13:14]), x[13:14])


@pytest.mark.parametrize("critic", CRITICS)
def test_discriminators_do_what_they_are_planted_for(critic, train):
    subject = subject_of_control(ControlFile(set="glyphs", defect="noisy", severity=0.3, discriminator=critic))
    fake = subject.discriminate(subject.generate(subject.latents(1, 0, 300)))
    real = subject.discriminate(torch.from_numpy(train[3000:3300].astype(np.float32) / 127.5 - 1)[:, None])
    auc = stats.mannwhitneyu(real, fake).statistic / 300**2
    sensible = subject_of_control(ControlFile(set="glyphs", defect="noisy", severity=0.3, discriminator="sensible"))
    assert {
        "sensible": auc > 0.55,
        "inverted": auc < 0.45,
        "blind": len({*real.tolist(), *fake.tolist()}) == 1,
        "saturated": float((real.abs() > 0.999).double().mean()) > 0.95,
        "overfit": bool((real > 5).all()) and bool((fake < 5).all()),
    }[critic]
    if critic == "sensible":
        x = torch.zeros(2, 1, 16, 16).requires_grad_()
        assert float(torch.autograd.grad(sensible.score(x).sum(), x)[0].abs().sum()) > 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"set": "glyfs"}, ["glyfs", "glyphs"]),
        ({"set": "glyphs", "defect": "flip-leak", "severity": 0.1}, ["flip-leak", "flip-leaking"]),
        ({"set": "glyphs", "defect": "memorising", "severity": 1.5}, ["1.5", "0 to 1"]),
        ({"set": "glyphs", "defect": "perfect", "severity": 0.5}, ["0.5", "0 to 0"]),
        ({"set": "tones", "defect": "flip-leaking", "severity": 0.5}, ["tones", "images"]),
        ({"set": "digits", "defect": "blurred", "severity": 0.5}, ["digits", "memorising"]),
        ({"set": "glyphs", "discriminator": "wise"}, ["wise", "sensible"]),
        ({"set": "glyphs", "code": "import os"}, ["code"]),
    ],
)
def test_a_malformed_control_is_told_with_what_is_allowed(content, words, tmp_path):
    import tomlkit

    (tmp_path / "control.toml").write_text(tomlkit.dumps(content))
    with pytest.raises(SubjectError) as error:
        opened(str(tmp_path))
    assert all(word in str(error.value) for word in words)


def test_a_control_of_ones_own_is_a_folder_and_a_misspelt_name_is_answered(tmp_path):
    (tmp_path / "control.toml").write_text('set = "tones"\ndefect = "noisy"\nseverity = 0.1\n')
    assert opened(str(tmp_path)).kind == "control"
    with pytest.raises(SubjectError, match=r"control\.toml names one of"):
        opened(str(tmp_path), discriminator="d.pt")
    with pytest.raises(SubjectError, match="controls/flip-leaking-10"):
        opened("controls/flip-leakin-10")
