"""Protocols: what they say can be used, and two of them never pass for one."""

import inspect

import pytest

from ganaudit import registry
from ganaudit.config import make_plan
from ganaudit.document.errors import ConfigError
from ganaudit.features.preprocessing import Preprocessing
from ganaudit.protocol import protocol, protocols

EVALUATORS = registry.names("evaluators")


def test_the_protocols_are_the_named_ones():
    assert list(protocols()) == ["ganaudit", "tf1-fid", "pytorch-fid", "clean-fid", "torchmetrics", "stylegan"]


@pytest.mark.parametrize("name", list(protocols()))
def test_what_a_protocol_asks_for_exists(name):
    found = protocol(name)
    assert found.extractor is None or found.extractor in registry.names("extractors")
    if found.resize is not None:
        Preprocessing(found.resize, found.normalisation)  # raises for kernels it does not know
    for evaluator, options in found.evaluators.items():
        known = inspect.signature(registry.find("evaluators", evaluator)).parameters
        assert set(options) <= set(known), evaluator


def test_no_two_protocols_have_one_fingerprint():
    prints = [found.fingerprint for found in protocols().values()]
    assert len(set(prints)) == len(prints)


def test_the_fingerprint_sees_conventions_and_no_words():
    found = protocol("tf1-fid")
    assert found.model_copy(update={"title": "other", "caution": "other", "id": "x"}).fingerprint == found.fingerprint
    for change in ({"resize": "bilinear"}, {"quantiser": "floor"}, {"samples": 10}, {"evaluators": {}}):
        assert found.model_copy(update=change).fingerprint != found.fingerprint


def test_an_unknown_protocol_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match=r"protocol 'clean-fit': unknown; .*clean-fid"):
        make_plan({"subject": "digits", "protocol": "clean-fit"}, "options", EVALUATORS)
    with pytest.raises(ConfigError, match="unknown"):
        protocol("clean-fit")


@pytest.mark.parametrize(
    "until", [{"measure": "fd", "width": 0.1}, {"measure": "a/b", "width": 0}, {"measure": "a/b"}, {"width": 1}]
)
def test_a_stopping_rule_needs_a_number_and_a_width(until):
    with pytest.raises(ConfigError, match="until"):
        make_plan({"subject": "digits", "until": until}, "options", EVALUATORS)
