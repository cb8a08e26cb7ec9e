"""A generator that fails for some latents: counted, located by seed, the others used."""

import pytest
import torch
from torch import nn

from ganaudit import Subject, audit
from ganaudit.document.errors import NotFiniteError, SubjectError

LEAST = -1.6


class Fragile(nn.Module):
    """Makes NaN wherever the first latent is below ``least``."""

    def __init__(self, least=LEAST):
        super().__init__()
        self.least = least

    def forward(self, z):
        x = torch.tanh(z[:, :1].repeat(1, 64) + z[:, 1:2]).view(-1, 1, 8, 8)
        return torch.where((z[:, 0] < self.least).view(-1, 1, 1, 1), torch.nan, x)


def fragile(least=LEAST):
    return Subject.from_modules(Fragile(least), latent=4)


def failing(seed, count):
    z = fragile(-9.0).latents(seed, 0, count)
    return (z[:, 0] < LEAST).nonzero().flatten().tolist()


def test_what_fails_is_drawn_again_and_nothing_else_moves():
    subject, sound = fragile(), fragile(-9.0)
    x, wanted = subject.drawn(7, 0, 200), sound.drawn(7, 0, 200)
    failed = failing(7, 200)
    assert 3 <= len(failed) <= 25  # 200 draws of probability 0.055
    assert list(subject.failures.of(7)) == failed
    kept = [i for i in range(200) if i not in failed]
    assert torch.equal(x[kept], wanted[kept])
    assert bool(torch.isfinite(x).all())
    # The latents that stand in are those of the samples, and come from the law cut at the failure.
    z = subject.latents(7, 0, 200)
    assert torch.equal(subject.generate(z), x)
    assert torch.equal(z[kept], sound.latents(7, 0, 200)[kept])
    assert float(z[:, 0].min()) >= LEAST


def test_a_sample_drawn_again_depends_on_seed_and_number_alone():
    whole, parts = fragile(), fragile()
    x = whole.drawn(7, 0, 200)
    assert torch.equal(torch.cat([parts.drawn(7, start, 40) for start in range(0, 200, 40)]), x)
    assert whole.failures.of(7) == parts.failures.of(7)
    assert not torch.equal(fragile().drawn(8, 0, 200), x)


def test_latents_that_somebody_asks_for_themselves_are_refused_with_their_number():
    z = torch.zeros(5, 4)
    z[1, 0] = -3.0
    with pytest.raises(NotFiniteError, match="1 of 5 samples hold NaN or infinity"):
        fragile().generate(z)


def test_a_generator_that_mostly_fails_is_refused():
    with pytest.raises(SubjectError, match="samples hold NaN or infinity"):
        fragile(0.5)


@pytest.mark.parametrize("cache", [True, False])
def test_the_document_counts_and_locates_them_cold_and_warm(tmp_path, monkeypatch, cache):
    from ganaudit.data.samples import Samples
    from ganaudit.data.splits import Reference

    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path))
    real = fragile(-9.0).drawn(99, 0, 120)
    levels = ((real + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    splits = {"test": Samples.of(levels, "images", "reals", "made up")}
    reference = Reference.of("reals", "made up", splits, seen={"test": "unseen"}, rule="drawn")
    failed = failing(3, 150)
    assert failed
    for _ in range(2):
        document = audit(
            fragile(), reference, samples=150, seed=3, extractor="pixels", cache=cache,
            evaluators={"frechet-distance": {}},
        )  # fmt: skip
        (told,) = [w for w in document.warnings if "of 150 latents" in w]
        assert f"of {len(failed)} of 150 latents" in told
        assert f"samples {', '.join(map(str, failed))} of seed 3" in told
        assert document.results[[r.evaluator for r in document.results].index("frechet-distance")].status == "measured"
    clean = audit(
        fragile(-9.0), reference, samples=150, seed=3, extractor="pixels", cache=cache,
        evaluators={"frechet-distance": {}},
    )  # fmt: skip
    assert not any("of 150 latents" in w for w in clean.warnings)
