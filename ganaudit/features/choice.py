"""Which extractor an audit uses, and why: a rule, told in the document."""

from __future__ import annotations

from dataclasses import dataclass

from ganaudit.document.errors import ExtractorError, nearest

__all__ = ["Choice", "choose_extractor"]

_TINY = 192
"""Values per sample up to which the pixels themselves serve as features."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An extractor's id and the rule that picked it."""

    id: str
    why: str
    is_fallback: bool = False
    """Whether nothing better was at hand."""


def choose_extractor(
    asked: str | None,
    *,
    available: list[str],
    reference_extractor: str | None,
    reference_name: str,
    are_features: bool,
    shape: tuple[int, ...],
    has_weights: bool,
) -> Choice:
    """Return the extractor to use: the one asked for, else the first rule that fits.

    1. the reference's own extractor; 2. ``log-mel`` for audio; 3. ``inception-v3`` when its weights are given and
    samples are RGB; 4. ``pixels`` for samples of at most 192 values; 5. ``random-conv``.
    Raises ExtractorError for an unknown name, or when arrays of features and an image extractor meet.
    """
    if asked is not None and asked not in available:
        raise ExtractorError(f"extractor {asked!r}: unknown; {nearest(asked, available)}")
    if are_features:
        if asked not in (None, "identity"):
            raise ExtractorError(f"extractor {asked!r} was asked for arrays of features; only identity reads them")
        return Choice("identity", "the samples are feature arrays, used as they stand")
    if asked == "identity":
        raise ExtractorError(
            f"extractor 'identity' was asked for samples of shape {shape}; it takes arrays of features (N, D)"
        )
    if asked is not None:
        return Choice(asked, "asked for by name")
    if reference_extractor is not None and reference_extractor in available:
        return Choice(reference_extractor, f"trained on the train split of the reference {reference_name!r}")
    if len(shape) == 2:
        return Choice("log-mel", "the samples are audio, and spectra need no weights")
    if has_weights and shape[0] == 3:
        return Choice("inception-v3", "its weights were given and the samples are RGB")
    values = shape[0] * shape[1] * shape[2]
    if values <= _TINY:
        return Choice("pixels", f"samples of {values} values are small enough to be their own features")
    return Choice(
        "random-conv",
        "no shipped extractor suits these images and no weights were given; an untrained fixed-seed network stands in",
        is_fallback=True,
    )
