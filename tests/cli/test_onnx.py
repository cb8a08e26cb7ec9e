"""ONNX files through the command line: whole audits, attacks without gradients, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from ganaudit.auditing import audit
from tests.onnx_models import discriminator, generator, save

from .conftest import Run

EVALUATORS = "adversarial-robustness,latent-robustness,frechet-distance"


SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generators and discriminators of any batch and of batches of 4, and reals."""
    folder = tmp_path_factory.mktemp("models")
    save(generator(SHAPE), folder / "g.onnx")
    save(discriminator(SHAPE), folder / "d.onnx")
    save(generator(SHAPE, batch=4), folder / "g4.onnx")
    save(discriminator(SHAPE, batch=4), folder / "d4.onnx")
    rng = np.random.default_rng(0)
    for name in ("calibration", "test"):
        np.save(folder / f"{name}.npy", rng.uniform(-0.5, 0.5, (60, *SHAPE)).astype(np.float32))
    return folder


def audited(ganaudit: Run, models: Path, g: str, d: str, evaluators: str) -> dict:
    reference = f"calibration={models / 'calibration.npy'},test={models / 'test.npy'}"
    called = ganaudit(
        "audit", models / g, "--discriminator", models / d, "--reference", reference, "--evaluators", evaluators,
        "--samples", "40", "--extractor", "pixels", "--no-cache", "--out", "out", "--json",
    )  # fmt: skip
    assert called.code == 0, called.err
    return json.loads(called.out)


def test_an_onnx_subject_is_audited_and_attacked_without_gradients(ganaudit: Run, models: Path) -> None:
    document = audited(ganaudit, models, "g.onnx", "d.onnx", EVALUATORS)
    subject = document["subject"]
    assert (subject["kind"], subject["trust"]) == ("onnx", "data")
    assert any("without gradients" in check for check in subject["checks"])
    assert subject["parameters"] == {}
    rows = {row["evaluator"]: row for row in document["results"]}
    assert rows["frechet-distance"]["status"] == "measured"
    found = {m["key"]: m for m in rows["adversarial-robustness"]["measurements"]}
    queried = {key: m for key, m in found.items() if key.startswith("query-")}
    assert queried
    assert all(m["value"] is not None for m in queried.values())
    needy = [m for key, m in found.items() if key.startswith(("robust-accuracy", "auc-under"))]
    assert needy
    assert all(m["value"] is None and "gives no gradients" in m["reason"] for m in needy)
    assert all("no gradients" in m["reason"] for m in rows["latent-robustness"]["measurements"])


def test_a_fixed_batch_gives_the_numbers_of_a_dynamic_one(models: Path) -> None:
    def numbers(g: str, d: str) -> dict[str, float]:
        document = audit(
            models / g, {"calibration": str(models / "calibration.npy"), "test": str(models / "test.npy")},
            discriminator=models / d, samples=39, extractor="pixels", cache=False,
            evaluators={"frechet-distance": {}, "discriminator-overfit": {}},
        )  # fmt: skip
        return {f"{r.evaluator}/{m.key}": m.value for r in document.results for m in r.measurements if m.value}

    assert numbers("g4.onnx", "d4.onnx") == pytest.approx(numbers("g.onnx", "d.onnx"), rel=1e-3, abs=1e-6)


def test_nobody_knows_which_split_of_a_public_set_it_was_trained_on(ganaudit: Run) -> None:
    called = ganaudit("audit", save(generator(), Path("g.onnx")), "--reference", "digits", "--dry-run", "--json")
    assert called.code == 0, called.err
    told = json.loads(called.out)["warnings"]
    assert any("whether the subject was trained on the test reals is unknown" in warning for warning in told)


def test_an_onnx_file_that_is_more_than_data_is_refused(ganaudit: Run, models: Path) -> None:
    made = generator()
    made.graph.node[1].op_type, made.graph.node[1].domain = "Run", "com.evil"
    called = ganaudit("audit", save(made, Path("g.onnx")), "--reference", "digits", "--out", "out")
    assert called.code == 2
    assert "operator 'com.evil::Run' is none of the standard" in called.err
    assert not Path("out").exists()


def test_the_sign_of_scores_is_an_option_and_a_key(ganaudit: Run, models: Path) -> None:
    def subject(*arguments: str | Path) -> str:
        called = ganaudit("audit", *arguments, "--reference", models / "test.npy", "--dry-run", "--json")
        assert called.code == 0, called.err
        return json.loads(called.out)["subject"]

    given = (models / "g.onnx", "--discriminator", models / "d.onnx")
    turned = subject(*given, "--score-sign", "smaller-real")
    assert turned != subject(*given)
    Path("audit.toml").write_text(
        f'subject = "{models / "g.onnx"}"\ndiscriminator = "{models / "d.onnx"}"\nscore_sign = "smaller-real"\n'
    )
    assert subject("--config", "audit.toml") == turned


@pytest.mark.parametrize(
    ("sign", "told"), [("upwards", "larger-real"), ("smaller-real", "has no discriminator whose scores it could turn")]
)
def test_a_sign_that_cannot_be_is_refused(ganaudit: Run, models: Path, sign: str, told: str) -> None:
    called = ganaudit("audit", models / "g.onnx", "--reference", models / "test.npy", "--score-sign", sign)
    assert called.code == 2
    assert "score" in called.err
    assert told in called.err
    assert not Path("reports").exists()
