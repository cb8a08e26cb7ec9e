"""Precision: bf16 only where the machine has it, and words where it has not."""

from pathlib import Path

import pytest
import torch

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.inception_v3 import InceptionV3
from ganaudit.features.precision import check_precision, has_bf16

PROBES = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def processor(monkeypatch, *has):
    for probe in PROBES:
        monkeypatch.setattr(torch.cpu, probe, lambda found=probe in has: found, raising=False)


@pytest.mark.parametrize("has", [(), PROBES[:1], PROBES[1:], PROBES])
def test_a_cpu_has_bf16_where_either_instruction_set_is_there(monkeypatch, has):
    processor(monkeypatch, *has)
    assert has_bf16("cpu") == bool(has)


def test_a_torch_that_cannot_tell_has_none(monkeypatch):
    for probe in PROBES:
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert not has_bf16("cpu")


@pytest.mark.parametrize("is_native", [True, False])
def test_of_a_gpu_only_native_bf16_counts(monkeypatch, is_native):
    asked = []

    def supported(including_emulation=True):
        asked.append(including_emulation)
        return is_native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert has_bf16("cuda:0") == is_native
    assert asked == [False]


def test_a_machine_without_bf16_is_told_what_to_do(monkeypatch, tmp_path):
    processor(monkeypatch)
    check_precision("fp32", "cpu")
    with pytest.raises(ExtractorError, match=r"--precision bf16: cpu has no bf16 .*use --precision fp32") as caught:
        check_precision("bf16", "cpu")
    assert caught.value.exit_code == 2
    weights = tmp_path / "none.pth"  # told before any file is looked for
    with pytest.raises(ExtractorError, match="cpu has no bf16 instructions"):
        InceptionV3(ExtractorOptions((3, 8, 8), weights=weights, precision="bf16"))
    processor(monkeypatch, PROBES[0])
    check_precision("bf16", "cpu")
    with pytest.raises(ExtractorError, match="no such file"):
        InceptionV3(ExtractorOptions((3, 8, 8), weights=Path(weights), precision="bf16"))
