"""Which field of a claim a column or a key means, and how its cells are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganaudit.linting.metrics import normal
from ganaudit.linting.writing import count, pair, real_number, text, truth, unsaid, whole_number

__all__ = ["FIELDS", "NAMES_OF_METRIC", "NAMES_OF_VALUE", "SIDES", "Field", "field_of", "read_field"]

Parser = Callable[[Any, bool], Any]

NAMES_OF_METRIC = ("metric", "measure", "metric_name", "measurement", "quantity")
NAMES_OF_VALUE = ("value", "score", "result", "mean", "estimate", "reported")
SIDES = {
    "std": "std", "sd": "std", "stdev": "std", "se": "se", "stderr": "se", "sem": "se",
    "low": "low", "lower": "low", "ci_low": "low", "high": "high", "upper": "high", "ci_high": "high",
}  # fmt: skip
"""What follows a metric's name in ``kernel_inception_distance_std``."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a claim."""

    name: str
    """``a+b`` fills two fields; ``low+high`` takes a pair."""
    parse: Parser
    asked: str
    """What a cell must hold, for the message where it does not."""


_A_COUNT, _A_NUMBER, _A_WORD, _YES_NO = "a whole number", "a number", "a word", "yes or no"
_KINDS: list[tuple[str, Parser, str, str]] = [
    ("model", text, _A_WORD, "model generator checkpoint run snapshot snapshot_pkl method system gan"),
    ("n_real", count, _A_COUNT, "n_real num_real reals real_samples n_reals n_reference reference_samples num_ref"),
    ("n_fake", count, _A_COUNT, "n n_fake num_fake n_fakes n_gen num_gen n_generated generated_samples fakes samples "
     "fake_samples num_samples n_samples sample_size"),
    ("repeats", whole_number, _A_COUNT, "repeats seeds n_seeds num_seeds replicates n_runs num_runs repetitions"),
    ("std", real_number, _A_NUMBER, "std sd stdev std_dev plus_minus pm"),
    ("se", real_number, _A_NUMBER, "se stderr standard_error sem error"),
    ("low", real_number, _A_NUMBER, "low lower ci_low ci_lower lo lower_bound"),
    ("high", real_number, _A_NUMBER, "high upper ci_high ci_upper hi upper_bound"),
    ("low+high", pair, "two numbers", "ci interval ci95 confidence_interval ci_95"),
    ("level", real_number, _A_NUMBER, "level confidence confidence_level"),
    ("covers", text, _A_WORD, "covers std_over std_of error_of spread_over interval_covers"),
    ("extractor", text, _A_WORD, "extractor feature_extractor features backbone embedding encoder feature_network"),
    ("dimensions", whole_number, _A_COUNT, "dimensions dims dim feature_dim feature_dimensions d"),
    ("resize", text, _A_WORD, "resize resizer resize_filter resizing mode"),
    ("antialias", truth, _YES_NO, "antialias anti_alias antialiasing antialiased aa"),
    ("flip", text, _A_WORD, "flip flips flipped mirror mirrored xflip hflip reference_flip mirror_reference"),
    ("real_format", text, _A_WORD, "real_format reference_format"),
    ("fake_format", text, _A_WORD, "fake_format generated_format"),
    ("real_format+fake_format", text, _A_WORD, "format image_format file_format"),
    ("splits", whole_number, _A_COUNT, "splits n_splits isc_splits num_splits"),
    ("subsets", whole_number, _A_COUNT, "subsets n_subsets kid_subsets num_subsets"),
    ("neighbours", whole_number, _A_COUNT, "neighbours neighbors k nearest_k nhood_size n_neighbors"),
    ("bins", whole_number, _A_COUNT, "bins n_bins num_bins"),
    ("classes", whole_number, _A_COUNT, "classes n_classes num_classes classifier_classes"),
    ("epsilon", real_number, _A_NUMBER, "epsilon eps budget"),
    ("norm", text, _A_WORD, "norm attack_norm threat_model"),
    ("range", pair, "two numbers", "range value_range data_range bounds input_range pixel_range"),
    ("attack", text, _A_WORD, "attack attacks adversary"),
    ("steps", whole_number, _A_COUNT, "steps attack_steps iterations n_iter attack_iterations"),
    ("step_size", real_number, _A_NUMBER, "step_size stepsize alpha eps_step"),
    ("masking_check", truth, _YES_NO, "masking_check masking_checked gradient_masking_check sanity_checks"),
    ("masked", truth, _YES_NO, "masking masked gradient_masking gradients_masked"),
    ("clean_accuracy", real_number, _A_NUMBER, "clean_accuracy clean_acc natural_accuracy standard_accuracy clean"),
    ("threshold", real_number, _A_NUMBER, "threshold tau cutoff cut_off"),
    ("threshold_source", text, _A_WORD, "threshold_source threshold_from threshold_rule threshold_chosen_on "
     "threshold_split threshold_selection operating_point"),
    ("fpr", real_number, _A_NUMBER, "at_fpr fpr_target target_fpr"),
    ("base_rate", real_number, _A_NUMBER, "base_rate prevalence share_fake fake_share positive_rate prior"),
    ("scores", text, _A_WORD, "scores score_kind score_type score_scale output_activation activation"),
    ("split", text, _A_WORD, "split reference_split against eval_split evaluation_split reference"),
    ("selection", text, _A_WORD, "selection selected_by checkpoint_selection selected snapshot_selection"),
    ("counts", text, _A_WORD, "counts convention op_convention counted"),
    ("scope", text, _A_WORD, "scope flops_of operations_of"),
    ("dtype", text, _A_WORD, "dtype image_dtype sample_dtype samples_dtype"),
    ("space", text, _A_WORD, "space latent_space"),
    ("path", text, _A_WORD, "path sampling endpoints interpolation"),
    ("device", text, _A_WORD, "device gpu hardware machine accelerator"),
    ("batch", whole_number, _A_COUNT, "batch batch_size"),
    ("measured", text, _A_WORD, "measured energy_method measured_by meter"),
    ("unit", text, _A_WORD, "unit units"),
    ("tool", text, _A_WORD, "tool library package implementation software computed_with toolkit"),
    ("version", text, _A_WORD, "version tool_version library_version"),
    ("null", real_number, _A_NUMBER, "null real_vs_real real_real noise_floor bias_floor floor"),
    ("baseline", text, _A_WORD, "baseline compared_with versus vs"),
    ("improvement", real_number, _A_NUMBER, "improvement improved_by gain delta improvement_over_baseline"),
]  # fmt: skip
FIELDS = {alias: Field(name, parse, asked) for name, parse, asked, aliases in _KINDS for alias in aliases.split()}


def field_of(key: str) -> Field | None:
    """Return the field that a key means, or None."""
    return FIELDS.get(normal(key))


def read_field(field: Field, value: Any, commas: bool = False) -> dict[str, Any] | None:
    """Return what a cell says of a claim: empty where it says nothing, None where it cannot be read."""
    if unsaid(value):
        return {}
    names = field.name.split("+")
    found = field.parse(value, commas)
    if found is None:
        nothing = isinstance(value, str) and value.strip().lower() == "none"
        return {} if nothing else None
    if field.name == "low+high":
        return dict(zip(names, found, strict=True))
    return dict.fromkeys(names, found)
