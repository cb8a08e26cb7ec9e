"""A classifier of the user's own in coverage bias: its known errors taken out, and all that makes it useless."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.auditing import audit
from ganaudit.config import load_plan
from ganaudit.data.oracles.oracle import Attribute, Oracle
from ganaudit.document.errors import ConfigError
from ganaudit.evaluators.coverage_bias import CoverageBias
from ganaudit.subjects.subject import Subject

from .made_up import by_key
from .test_coverage_bias import ID, LEVELS, Told, bank, greys, reference, row, table

GREY = 'size = "any"\nchannels = "grey"\nrange = [0, 255]\n'


class Reads(nn.Module):
    """Says between which edges the mean grey of an image lies."""

    def __init__(self, *edges):
        super().__init__()
        self.register_buffer("edges", torch.tensor([float(e) for e in edges]))

    def forward(self, x):
        above = (x.mean((1, 2, 3))[:, None] > self.edges).float()
        ones = torch.ones_like(above[:, :1])
        # 1 between the last edge passed and the next one.
        return torch.cat([ones, above], 1) - torch.cat([above, 0 * ones], 1)


class Constant(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x[:, :, 0, 0]).repeat(1, 4) + 0 * x.mean((1, 2, 3))[:, None]


class One(nn.Module):
    def forward(self, x):
        return x.mean((1, 2, 3))[:, None]


def saved(folder, network, declaration=GREY, name="grey"):
    batch = torch.export.Dim("batch")
    program = torch.export.export(network.eval(), (torch.zeros(4, 1, 6, 6),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / f"{name}.pt2")
    (folder / f"{name}.toml").write_text(declaration)
    return str(folder / f"{name}.pt2")


PLAIN = (LEVELS[1:] + LEVELS[:-1]) / 2
# Half of the greys of class b lie below its middle.
ERRING = (LEVELS[1], *PLAIN[1:])


def test_errors_known_from_labelled_reals_are_taken_out(tmp_path):
    made = bank([0.1, 0.4, 0.25, 0.25])
    file = saved(tmp_path, Reads(*ERRING))
    result = row(made, reference(), classifier=file)
    found = by_key(result)
    shares = {cells["class"]: cells for cells in table(result, "Shares by class")}
    # About half of 0.4 is read as a: what is read is far off, what is corrected is not.
    assert shares["a"]["read"] == pytest.approx((0.1 + 0.2) * 800, abs=4 * np.sqrt(800 * 0.3 * 0.7))
    for name, share in zip("abcd", (0.1, 0.4, 0.25, 0.25), strict=True):
        assert shares[name]["low"] <= share <= shares[name]["high"], name
    gap = found["class-discrepancy"]
    assert gap.interval.low <= 0.15 <= gap.interval.high
    assert gap.value > gap.null.high
    assert "the classifier grey.pt2, right for" in result.details[0].text
    # Confusion and shares by the plain formula, from the greys themselves.
    test = reference().splits["test"]
    greys = test.images(list(range(len(test)))).float().mean((1, 2, 3)).numpy()
    said = np.searchsorted(ERRING, greys, side="left")
    confusion = np.array([[np.mean(said[test.labels == j] == i) for j in range(4)] for i in range(4)])
    read = np.array([shares[name]["read"] for name in "abcd"]) / 800
    solved = np.linalg.solve(confusion, read)
    assert [shares[name]["share, corrected"] for name in "abcd"] == pytest.approx(solved.tolist(), abs=1e-6)
    assert found["worst-class-recall"].value is not None


def test_audits_compare_by_what_the_file_holds_and_not_by_where_it_lies(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    keys = []
    for folder, network in ((tmp_path, Reads(*PLAIN)), (tmp_path / "elsewhere", Reads(*PLAIN)), (tmp_path, Constant())):
        options = {"classifier": saved(folder, network), "truncated": 64}
        document = audit(bank([0.25] * 4), reference(), evaluators={ID: options}, samples=200, cache=False)
        keys.append(document.comparability.fields["evaluators"][ID]["classifier"])
    assert keys[0] == keys[1] != keys[2]
    assert keys[0].startswith("module/1 sha256:")


def test_an_attribute_without_labels_is_read_alike_on_both_sides_and_the_words_say_so(tmp_path):
    file = saved(tmp_path, Reads(120), GREY + 'classes = ["dark", "light"]\n')
    result = row(bank([0.4, 0.4, 0.1, 0.1]), reference(), classifier=file, attribute="tone")
    found = by_key(result)
    # 0.8 of the generated are dark, and 0.5 of the reals.
    assert found["class-discrepancy"].value == pytest.approx(0.3, abs=4 * np.sqrt(0.16 / 800))
    assert "whose errors are not known (0 reals have a label of tone)" in result.details[0].text
    assert {cells["tone"] for cells in table(result, "Shares by tone")} == {"dark", "light"}
    assert found["worst-class-recall"].value is None
    assert "reads tone" in found["worst-class-recall"].reason
    # The greys in the middle of the law are dark as often as light; truncation leaves those.
    assert found["bias-amplification"].value is not None


def test_an_attribute_that_the_oracle_of_the_reference_knows_has_its_errors_taken_out(tmp_path):
    def read(images):
        return (images.reshape(len(images), -1).mean(1) > 120).astype(np.int64)[:, None]

    real = dataclasses.replace(reference(), oracle=Oracle("made", (Attribute("tone", ("dark", "light")),), read))
    # It calls half of class b light, and names its answers in another order.
    turned = nn.Sequential(Reads(LEVELS[1]), Turned())
    file = saved(tmp_path, turned, GREY + 'classes = ["light", "dark"]\n')
    result = row(bank([0.4, 0.4, 0.1, 0.1]), real, classifier=file, attribute="tone")
    shares = {cells["tone"]: cells for cells in table(result, "Shares by tone")}
    assert shares["light"]["read"] / 800 == pytest.approx(0.4, abs=0.07)
    assert shares["light"]["low"] <= 0.2 <= shares["light"]["high"]


class Turned(nn.Module):
    def forward(self, x):
        return x.flip(1)


@pytest.mark.parametrize(
    ("network", "declaration", "attribute", "told"),
    [
        (
            Constant(),
            GREY,
            "class",
            "is right for 200 of 800 held-out reals (0.25; guessing among 4 values gives 0.25)",
        ),
        (Constant(), GREY, "tone", "says 0 of all 800 reals and all 800 generated samples"),
        # It never tells c from d.
        (Reads(PLAIN[0], PLAIN[1], 250), GREY, "class", "only where it tells every two values apart"),
        (Reads(100, 200), GREY, "class", "tells 3 values (0, 1, 2), and reals have 4 of class (a, b, c, d)"),
        (Reads(*PLAIN), GREY + 'classes = ["w", "x", "y", "z"]\n', "class", "they do not match"),
        (Reads(*PLAIN), GREY + 'classes = ["a", "b"]\n', "class", "its declaration names 2 classes"),
        (One(), GREY, "tone", "gives 1 number for a sample"),
    ],
)
def test_a_classifier_that_cannot_serve_is_refused_in_words_and_the_rest_goes_on(
    tmp_path, network, declaration, attribute, told
):
    result = row(bank([0.25] * 4), reference(), classifier=saved(tmp_path, network, declaration), attribute=attribute)
    found = by_key(result)
    assert found["class-discrepancy"].value is None
    assert told in found["class-discrepancy"].reason
    assert any(told in warning for warning in result.warnings)
    assert found["js-divergence"].value is not None


def test_a_file_that_is_not_there_ends_the_audit_before_any_work_and_the_program_is_named_first(tmp_path, monkeypatch):
    made, real = bank([0.25] * 4), reference()
    monkeypatch.setattr(nn.Module, "__call__", None)  # nothing may run
    with pytest.raises(
        ConfigError, match=r"evaluators.coverage-bias: classifier: the program .*none.pt2: no such file"
    ):
        row(made, real, classifier=str(tmp_path / "none.pt2"))
    (tmp_path / "none.pt2").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"its declaration .*none.toml: no such file"):
        row(made, real, classifier=str(tmp_path / "none.pt2"))


def test_a_file_beside_the_plan_is_found_from_there(tmp_path):
    saved(tmp_path, Reads(*PLAIN))
    plan = tmp_path / "audit.toml"
    plan.write_text('subject = "digits"\n[evaluators.coverage-bias]\nclassifier = "grey.pt2"\n')
    assert load_plan(plan, {}, [ID]).evaluators[ID]["classifier"] == str(tmp_path / "grey.pt2")


def test_a_declaration_that_says_too_little_is_told(tmp_path):
    file = saved(tmp_path, Reads(*PLAIN), 'size = "any"\n')
    assert (
        "say either mean and std, or range"
        in by_key(row(bank([0.25] * 4), reference(), classifier=file))["class-discrepancy"].reason
    )


def test_reals_that_it_may_be_fitted_to_tell_no_errors(tmp_path):
    file = saved(tmp_path, Reads(*PLAIN))
    found = by_key(row(bank([0.25] * 4), reference(), against="train", classifier=file))
    assert "needs held-out reals" in found["class-discrepancy"].reason


def test_of_another_attribute_there_is_no_share_asked_for_and_the_title_names_it(tmp_path):
    images = torch.from_numpy(greys(np.repeat(np.arange(4), 200), np.random.default_rng(2)))
    made = Subject.from_modules(Told(images.permute(0, 3, 1, 2).float() / 127.5 - 1), latent=2, classes=4)
    file = saved(tmp_path, Reads(120), GREY + 'classes = ["dark", "light"]\n')
    result = row(made, reference(), classifier=file, attribute="tone")
    assert all("share asked for" not in cells for cells in table(result, "Shares by tone"))
    assert by_key(result)["class-discrepancy"].title == "Discrepancy of shares of tone"
    assert by_key(result)["fairness-discrepancy"].title == "Fairness discrepancy, shares of tone"
    assert "The discrepancy of tone shares" in result.details[0].text


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="attribute: found 'tone'; allowed: auto, oracle"):
        CoverageBias(attribute="tone")
    with pytest.raises(ValueError, match="attribute: found 'probe'; allowed: with classifier"):
        CoverageBias(attribute="probe", classifier="x.pt2")
