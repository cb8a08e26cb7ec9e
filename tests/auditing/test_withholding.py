"""An audit without real samples draws no copy of one either: exact, near, in pairs, on paths and before a change."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ganaudit.auditing.gallery import compared
from ganaudit.auditing.session import run
from ganaudit.auditing.setting import settle
from ganaudit.auditing.withholding import NEAR, Withholding
from ganaudit.config import make_plan
from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.document.model import Gallery, Note
from ganaudit.document.spec import Comparison
from ganaudit.progress import Silent
from ganaudit.subjects.subject import Subject

SIDE, N = 8, 120
REALS = {
    split: np.random.default_rng(seed).integers(0, 256, (N, SIDE, SIDE, 1), dtype=np.uint8)
    for seed, split in enumerate(("train", "calibration", "test"))
}
STORED = {image[:, :, 0].tobytes() for array in REALS.values() for image in array}


def reference(**splits):
    made = {name: Samples.of(array, "images", name, "made") for name, array in (splits or REALS).items()}
    return Reference.of("made", "built-in", made, seen=dict.fromkeys(made, "unknown"), rule="made here")


def audited(subject, real=None, evaluators=("memorisation",), **more):
    options = {"real_samples": False, "cache": False, "samples": 96, "extractor": {"id": "pixels"}, **more}
    if not isinstance(subject, Subject):
        options["subject"] = str(subject)
    asked = evaluators if isinstance(evaluators, dict) else {name: {} for name in evaluators}
    plan = make_plan(options | {"evaluators": asked}, "test", list(evaluators))
    return run(plan, subject=subject if isinstance(subject, Subject) else None, reference=real or reference())


def pictures(found):
    return {name: np.asarray(Image.open(io.BytesIO(file))) for name, file in found.files.items()}


def saved(tmp_path, images):
    np.save(tmp_path / "fake.npy", images)
    return tmp_path / "fake.npy"


def noise(n, seed=9):
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 1), dtype=np.uint8)


@pytest.mark.parametrize("split", ["train", "calibration", "test"])
def test_exact_copies_of_a_real_of_any_split_are_not_drawn(tmp_path, split):
    fakes = noise(96)
    fakes[:40] = REALS[split][:40]
    found = audited(saved(tmp_path, fakes))
    assert not any(image.tobytes() in STORED for image in pictures(found).values())
    (shown,) = found.document.galleries
    numbers = {item.index for item in shown.items}
    assert numbers <= set(range(40, 64))
    # Of 24 strangers one in twenty lies as near by chance: 7 or more once in 10,000.
    assert len(numbers) >= 24 - 6
    assert f"{64 - len(numbers)} of 64 are withheld" in shown.rule
    assert "none was chosen or left out" not in shown.rule
    assert any("equals one or lies as near" in w for w in found.document.warnings)


def test_near_copies_are_not_drawn_though_no_pixel_of_them_is_equal(tmp_path):
    fakes = noise(96)
    fakes[:32] = np.where(REALS["train"][:32] < 128, REALS["train"][:32] + 3, REALS["train"][:32] - 3)
    found = audited(saved(tmp_path, fakes))
    (shown,) = found.document.galleries
    assert {item.index for item in shown.items} <= set(range(32, 64))


def test_pairs_of_copies_become_a_note_and_no_caption_names_a_train_real(tmp_path):
    found = audited(saved(tmp_path, REALS["train"][:96]))
    assert found.document.galleries == []
    assert found.files == {}
    details = found.document.result("memorisation").details
    assert not [d for d in details if isinstance(d, Gallery)]
    note = next(d.text for d in details if isinstance(d, Note) and "nothing is shown" in d.text)
    assert "16 of 16 are withheld" in note
    assert any("80 of 80 samples asked for are not drawn" in w for w in found.document.warnings)


def test_with_reals_allowed_nothing_is_kept_out(tmp_path):
    found = audited(saved(tmp_path, REALS["train"][:96]), real_samples=True)
    assert len(found.document.galleries[0].items) == 64
    assert not any("withheld" in w for w in found.document.warnings)


class Copies(torch.nn.Module):
    """Train reals, one for each latent: the nearest number to its first coordinate."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.register_buffer("kept", torch.from_numpy(REALS["train"].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1)

    def forward(self, z):
        return self.scale * self.kept[(z[:, 0].abs() * 40).long() % N]


def test_paths_through_a_generator_of_copies_show_none():
    asked = {"interpolation-similarity": {"pairs": 20, "paths": 8, "inversion": 0}, "memorisation": {}}
    made = Subject.from_modules(Copies(), None, latent=4)
    shown = audited(made, evaluators=asked, real_samples=True)
    assert any("interpolation-similarity-fake" in name for name in shown.files)
    found = audited(made, evaluators=asked)
    assert found.files == {}
    assert [r.status for r in found.document.results if r.evaluator in asked] == ["measured"] * 2
    # Numbers are as they are with the pictures.
    ours, theirs = ([m for r in one.document.results for m in r.measurements] for one in (found, shown))
    assert ours == theirs


@pytest.mark.parametrize("which", ["before", "after"])
def test_a_row_of_three_pictures_goes_where_either_end_is_a_copy(which):
    """Of twenty rows two have a copy at one end, in a range of 0..1 where the subject's is -1..1."""
    plan = make_plan({"real_samples": False, "cache": False, "extractor": {"id": "pixels"}}, "test", [])
    setting = settle(plan, Subject.from_modules(Copies(), None, latent=4), reference(), Silent())
    strangers = torch.from_numpy(noise(20)).permute(0, 3, 1, 2) / 255
    ends = {name: strangers.clone() for name in ("before", "after")}
    for row, real in ((1, REALS["test"][7]), (4, REALS["train"][3])):
        ends[which][row] = torch.from_numpy(real.copy()).permute(2, 0, 1) / 255
    numbers = [float(i) for i in range(20)]
    asked = Comparison("Pushed", "the first", "fake", range(20), ends["before"], ends["after"], (0.0, 1.0), numbers,
                       numbers, numbers, "linf", captions=[f"row {i}" for i in range(20)])  # fmt: skip
    (made,), files = compared(setting, Withholding(setting), "an-attack", [asked])
    kept = [item.index for item in made.items]
    assert not {1, 4} & set(kept)
    assert len(kept) >= 13  # of 18 strangers one in twenty lies as near by chance: six or more once in 6,000
    assert [item.caption for item in made.items] == [f"row {i}" for i in kept]
    assert [item.score_after for item in made.items] == kept
    assert len(files) == 3 * len(kept)
    assert f"{20 - len(kept)} of 20 are withheld" in made.rule


def test_few_strangers_are_kept_out_and_those_at_the_rate_that_is_said(tmp_path):
    found = audited(saved(tmp_path, noise(400)), samples=400, evaluators=())
    (shown,) = found.document.galleries
    # At most NEAR of 64, and four standard errors above it.
    assert 64 - len(shown.items) <= 64 * NEAR + 4 * (64 * NEAR) ** 0.5


def test_a_single_split_is_enough_to_say_how_near_is_near(tmp_path):
    fakes = noise(96)
    fakes[:30] = REALS["test"][:30]
    found = audited(saved(tmp_path, fakes), reference(test=REALS["test"]), evaluators=("precision-recall",))
    (shown,) = found.document.galleries
    assert {item.index for item in shown.items} <= set(range(30, 64))
    assert len(shown.items) >= 24


def test_waveforms_are_compared_as_the_levels_of_their_files(tmp_path):
    rng = np.random.default_rng(0)
    waves = {s: (rng.integers(-9000, 9000, (N, 1, 1200)) / 32768).astype(np.float32) for s in ("train", "test")}
    splits = {s: Samples.of(w, "floats", s, "made", value_range=(-1.0, 1.0), rate=8000) for s, w in waves.items()}
    real = Reference.of("made", "built-in", splits, seen=dict.fromkeys(splits, "unknown"), rule="made here")
    fakes = (rng.integers(-9000, 9000, (80, 1, 1200)) / 32768).astype(np.float32)
    fakes[:20] = waves["test"][:20] + 0.3 / 32768  # within a level of the file
    np.save(tmp_path / "fake.npy", fakes)
    found = audited(tmp_path / "fake.npy", real, ("precision-recall",), samples=80, extractor={"id": "log-mel"})
    (shown,) = found.document.galleries
    assert {item.index for item in shown.items} <= set(range(20, 64))
    assert len(shown.items) >= 30
