"""Subjects that a Python factory makes: only of trusted code, with a digest that stands for all of them."""

import hashlib
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ganaudit.document.errors import SubjectError
from ganaudit.subjects.factory import PythonFactory
from ganaudit.subjects.loading import LoadOptions, load_subject
from ganaudit.subjects.samples import SampleFiles
from ganaudit.subjects.subject import Subject

from ..foreign import NETWORKS, Write, forget
from .networks import find

MARK = "open('it-ran', 'w').close()\n"


def load(spec: str, **more) -> Subject:
    options = LoadOptions(network=find, **({"trust_code": True} | more))
    return load_subject(spec, [PythonFactory(), SampleFiles()], [], options)


def cautions(made: Subject) -> list[str]:
    return [check for check in made.checks if check.startswith("caution")]


# --- what a factory may return


@pytest.mark.parametrize(
    ("attribute", "more", "judges"),
    [
        ("generator", {"latent": 8}, False),
        ("pair", {"latent": 8}, True),
        ("listed", {"latent": 8}, True),
        ("alone", {"latent": 8}, False),
        ("subject", {}, True),
        ("Nested.make", {"latent": 8}, False),
        ("partial", {"latent": 8}, False),
        ("with_defaults", {"latent": 8}, False),
    ],
)
def test_every_allowed_answer_becomes_a_subject(code: Write, attribute: str, more: dict, judges: bool) -> None:
    module = code(
        NETWORKS + "import functools\n"
        "import ganaudit\n"
        "def listed(): return list(pair())\n"
        "def alone(): return generator(), None\n"
        "def subject(): return ganaudit.Subject.from_modules(*pair(), latent=8)\n"
        "class Nested:\n"
        "    @staticmethod\n"
        "    def make(): return generator()\n"
        "partial = functools.partial(seeded, generator())\n"
        "def with_defaults(latent=8, *rest, **more): return generator()\n"
    )
    made = load(f"{module}:{attribute}", **more)
    assert (made.trust, made.kind, made.name, made.path) == ("code", "factory", f"{module}:{attribute}", None)
    assert (made.sample.shape, made.latent.size) == ((1, 16, 16), 8)
    assert (made.discriminator is not None) == judges
    network = sys.modules[module].generator()
    z = made.latents(0, 0, 5)
    torch.testing.assert_close(made.generate(z), network(z).detach())
    assert cautions(made) == []
    assert not made.generator.training


def test_a_subject_keeps_what_it_carries(code: Write) -> None:
    module = code(
        NETWORKS + "from ganaudit import Subject\n"
        "from ganaudit.subjects.subject import LatentSpec\n"
        "def subject():\n"
        "    network = seeded(Generator(scale=127.5))\n"
        "    network.register_forward_hook(lambda m, i, o: o + 127.5)\n"
        "    return Subject.from_modules(network, latent=LatentSpec(8, 'uniform'), value_range=(0, 255), name='mine')\n"
    )
    made = load(f"{module}:subject")
    assert (made.name, made.latent.law, made.sample.low, made.sample.high) == ("mine", "uniform", 0, 255)
    assert load(f"{module}:subject", latent=8, value_range=(0.0, 255.0), classes=0).digest == made.digest


def test_a_package_and_what_lies_beside_a_module_are_found(code: Write) -> None:
    code()
    code("", "own_package.__init__")
    code("from own_networks import generator\nfrom . import helper\n", "own_package.inner")
    code("", "own_package.helper")
    assert load("own_package.inner:generator", latent=8).sample.shape == (1, 16, 16)


def test_another_discriminator_may_stand_beside(code: Write, programs: dict) -> None:
    module = code()
    made = load(f"{module}:generator", latent=8, discriminator=Path(f"{module}:discriminator"))
    x = made.generate(made.latents(0, 0, 6))
    torch.testing.assert_close(made.discriminate(x), sys.modules[module].discriminator()(x)[:, 0].detach().double())
    assert made.digest != load(f"{module}:generator", latent=8).digest
    small = code(
        "from tests.subjects.networks import Generator as make\n"
        "class Two:\n"
        "    def __new__(cls): return make(), make()\n",
        "small",
    )
    beside = load(f"{small}:make", latent=8, discriminator=programs["judge"])
    assert (beside.trust, beside.discriminator is not None) == ("code", True)
    with pytest.raises(SubjectError, match="returned a tuple of Generator, Generator; allowed: a discriminator"):
        load(f"{small}:make", latent=8, discriminator=Path(f"{small}:Two"))


def test_samples_judged_by_code_are_of_the_trust_of_the_code(code: Write) -> None:
    module = code()
    np.save("fake.npy", np.random.default_rng(0).uniform(-1, 1, (6, 1, 16, 16)).astype(np.float32))
    made = load("fake.npy", discriminator=Path(f"{module}:discriminator"))
    assert (made.trust, made.kind) == ("code", "samples")
    with pytest.raises(SubjectError, match="--discriminator own_networks:discriminator: names a Python callable"):
        load("fake.npy", discriminator=Path(f"{module}:discriminator"), trust_code=False)


# --- nothing runs without trust


@pytest.mark.parametrize("spec", ["canary:make", "canary.inner:make", "canary:misspelt"])
def test_without_trust_nothing_is_imported(code: Write, tmp_path: Path, spec: str) -> None:
    code(MARK + NETWORKS + "make = generator\n", "canary.__init__")
    code("from . import make\n", "canary.inner")
    with pytest.raises(SubjectError) as caught:
        load(spec, trust_code=False, latent=8)
    told = str(caught.value)
    assert told.startswith(f"subject {spec!r}: names a Python callable")
    for words in ("runs whatever code stands there", "Nothing of it was imported", "--trust-code", "torch.export.save"):
        assert words in told
    assert not (tmp_path / "it-ran").exists()
    assert "canary" not in sys.modules
    if "misspelt" not in spec:
        assert load(spec, latent=8).trust == "code"
        assert (tmp_path / "it-ran").exists()  # the canary does sing


# --- what is wrong with a factory


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("own_network:generator", "there is no module 'own_network', neither in the working folder .*own_networks"),
        ("own_networks.inner:generator", "there is no module 'own_networks.inner'"),
        ("own_networks:generater", r"own_networks \(.*own_networks.py\) has no 'generater'; nearest: generator"),
        ("own_networks:Generator.mke", r"own_networks:Generator \(.*own_networks.py\) has no 'mke'"),
        ("own_networks:Generator.l", r"own_networks:Generator \(.*\) has no 'l'; allowed: forward"),
        ("own_networks:number", "is an int, no callable that makes a network; write one"),
        ("own_networks:ready", "is a Generator, no callable that makes a network; write one"),
        (
            "own_networks:needs",
            r"needs the arguments depth, width; ganaudit calls it with none.*needs\(depth=...\)",
        ),
        ("own_networks:raises", r"the factory raised FileNotFoundError: .*no-such-weights.* \(--debug shows where\)"),
        ("own_networks:ends", "the factory raised SystemExit: 3"),
        (
            "own_networks:nothing",
            r"returned None \(does it lack a return\?\); allowed: a generator \(an nn",
        ),
        ("own_networks:number_of", "returned a dict; allowed: a generator"),
        ("own_networks:three", "returned a tuple of Generator, Generator, Generator; allowed"),
        ("own_networks:a_class", r"returned the class Generator itself \(make one of it\); allowed"),
        ("own_networks:wide", r"% of its values lie outside the declared range \[-1, 1\] .*--range LOW,HIGH"),
        ("own_networks:wide_subject", "outside the declared range.*; what a Subject holds is set where.*value_range="),
        ("own_networks:keyed", r"generator: refused latents \(4, 8\): 'missing'"),
        ("own_networks:stays", "still in training mode after eval"),
        ("own_networks:lazy", "the generator has no digest: "),
        (
            "own_networks.py:generator",
            "no such file, and no package.*mean own_networks:generator",
        ),
        ("./deep/own.py:make()", "did you mean deep.own:make?"),
        ("own-networks:generator", "no package.module:factory either"),
        ("own_networks:", "no package.module:factory either"),
    ],
)
def test_what_is_wrong_is_told(code: Write, spec: str, told: str) -> None:
    code(
        NETWORKS + "number = 3\n"
        "ready = generator()\n"
        "def needs(depth, width, gain=1): return generator()\n"
        "def raises(): return torch.load('no-such-weights.pth')\n"
        "def ends(): raise SystemExit(3)\n"
        "def nothing(): generator()\n"
        "def number_of(): return {'generator': generator()}\n"
        "def three(): return (generator(),) * 3\n"
        "def a_class(): return Generator\n"
        "def wide(): return seeded(Generator(scale=200.0))\n"
        "def wide_subject():\n"
        "    import ganaudit\n"
        "    return ganaudit.Subject.from_modules(wide(), latent=8)\n"
        "class Keyed(Generator):\n"
        "    def forward(self, z): return {}['missing']\n"
        "def keyed(): return seeded(Keyed())\n"
        "class Stays(Generator):\n"
        "    def eval(self): return self\n"
        "def stays(): return seeded(Stays())\n"
        "def lazy(): return nn.LazyLinear(256)\n"
    )
    with pytest.raises(SubjectError, match=f"(?s){told}") as caught:
        load(spec, latent=8)
    assert caught.value.exit_code == 2
    if "keyed" not in spec and "stays" not in spec and "wide" not in spec and "lazy" not in spec:
        assert str(caught.value).startswith(f"subject {str(Path(spec))!r}: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import no_such_package.inner\n", "importing broken needs the module 'no_such_package', which is not there"),
        ("1 / 0\n", "importing broken raised ZeroDivisionError: division by zero"),
        ("def f(:\n", "importing broken raised SyntaxError: "),
        ("import sys\nsys.exit('usage')\n", r"importing broken ended the program \(SystemExit: usage\); .*__main__"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told(code: Write, text: str, told: str) -> None:
    module = code(text, "broken")
    with pytest.raises(SubjectError, match=told):
        load(f"{module}:make", latent=8)


def test_a_network_needs_the_latent_size_and_a_subject_contradicts_no_option(code: Write) -> None:
    module = code(
        NETWORKS + "import ganaudit\ndef subject(): return ganaudit.Subject.from_modules(*pair(), latent=8)\n"
    )
    with pytest.raises(SubjectError, match=r"--latent N, or return ganaudit.Subject.from_modules\(generator, latent=N"):
        load(f"{module}:generator")
    with pytest.raises(SubjectError, match=r"refused latents.*--latent N sets the latent size"):
        load(f"{module}:generator", latent=9)
    with pytest.raises(SubjectError, match="brings its own discriminator; leave the option out"):
        load(f"{module}:pair", latent=8, discriminator=Path("own_networks:discriminator"))
    with pytest.raises(SubjectError) as caught:
        load(f"{module}:subject", latent=9, value_range=(0.0, 1.0), classes=3, discriminator=Path("d.pt2"))
    for words in ("--latent 9 was asked, it has 8", "--range 0,1", "--classes 3", "--discriminator d.pt2"):
        assert words in str(caught.value)


# --- weights that nobody loaded


def test_weights_that_are_drawn_at_random_are_told(code: Write) -> None:
    module = code(
        NETWORKS + "def forgotten(): return Generator(), seeded(Discriminator())\n"
        "def hidden():\n"
        "    network = generator()\n"
        "    network.frequencies = torch.randn(3)\n"
        "    return network\n"
    )
    made = load(f"{module}:forgotten", latent=8)
    (caution,) = cautions(made)
    assert "2 of 4 tensors of its networks are drawn at random" in caution
    assert "generator.linear.weight, generator.linear.bias" in caution
    assert load(f"{module}:forgotten", latent=8).digest == made.digest  # the draws are of a fixed seed
    (caution,) = cautions(load(f"{module}:hidden", latent=8))
    assert "1 of 3 tensors of its networks are drawn at random when the factory is called (generator.freq" in caution
    (told,) = [check for check in load(f"{module}:pair", latent=8).checks if "none is drawn at random" in check]
    assert "4 of them" in told


def test_a_factory_that_answers_once_is_told(code: Write) -> None:
    module = code(
        NETWORKS + "calls = []\ndef once():\n    calls.append(1)\n    assert len(calls) < 2\n    return generator()\n"
    )
    (caution,) = cautions(load(f"{module}:once", latent=8))
    assert "whether all weights are loaded is not known: called once more" in caution
    assert "AssertionError" in caution


# --- the digest


def test_the_digest_is_of_weights_structure_name_and_source(code: Write, tmp_path: Path) -> None:
    def digest(text: str = NETWORKS, attribute: str = "generator", **more) -> str:
        return load(f"{code(text)}:{attribute}", **({"latent": 8} | more)).digest

    first = digest()
    assert digest() == first
    others = [
        digest(NETWORKS.replace("seed=3", "seed=4")),  # other weights
        digest(NETWORKS + "# a remark\n"),  # other source, equal weights
        digest(NETWORKS + "make = generator\n", "make"),
        digest(NETWORKS + "make = generator\n", "generator"),
        digest(value_range=(-2.0, 2.0)),
        digest(attribute="pair"),
    ]
    assert len({first, *others}) == len(others) + 1
    # A helper that the factory's file imports is no part of its source, but what it changes in the networks is.
    code(NETWORKS.replace("scale=1.0", "scale=0.5"), "helper")
    half = digest("from helper import generator\ndef make(): return generator()\n", "make")
    code(NETWORKS, "helper")
    assert digest("from helper import generator\ndef make(): return generator()\n", "make") != half


def test_equal_subjects_have_equal_digests_in_another_folder(code: Write, tmp_path: Path, monkeypatch) -> None:
    first = load(f"{code()}:pair", latent=8).digest
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "own_networks.py").write_text(NETWORKS)
    forget(tmp_path)
    monkeypatch.chdir(tmp_path / "other")
    assert load("own_networks:pair", latent=8).digest == first
    assert sys.modules["own_networks"].__file__ == str(tmp_path / "other" / "own_networks.py")


def test_a_subject_that_names_a_digest_of_its_own_cannot_hide_its_weights(code: Write) -> None:
    text = NETWORKS + (
        "from dataclasses import replace\nimport ganaudit, os\n"
        "def subject():\n"
        "    made = ganaudit.Subject.from_modules(seeded(Generator(), int(os.environ['SEED'])), latent=8)\n"
        "    return replace(made, digest='sha256:' + '0' * 64)\n"
    )
    module, found = code(text), []
    for seed in ("1", "2", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SEED", seed)
            found.append(load(f"{module}:subject").digest)
    assert found[0] == found[2] != found[1]
    assert hashlib.sha256().digest_size * 2 == len(found[0].removeprefix("sha256:"))


# --- what is put back


def test_code_leaves_the_process_as_it_was(code: Write, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    module = code(
        "import os, sys, random, numpy, torch\n"
        "assert sys.argv == [__name__] and sys.path[0] == os.getcwd()\n"
        "os.chdir('elsewhere')\nsys.argv = ['other']\ntorch.set_default_dtype(torch.float64)\n"
        "torch.set_grad_enabled(False)\ntorch.manual_seed(1)\nrandom.seed(1)\nnumpy.random.seed(1)\n"
        "torch.set_default_dtype(torch.float32)\n" + NETWORKS + "torch.set_default_dtype(torch.float64)\n"
        "def make():\n"
        "    torch.set_default_dtype(torch.float32)\n"
        "    made = generator()\n"
        "    torch.set_default_dtype(torch.float64)\n"
        "    torch.set_default_device('meta')\n"
        "    random.random(), numpy.random.rand(), torch.rand(1)\n"
        "    return made\n"
    )

    def state() -> tuple:
        drawn = (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
        return (*drawn, list(sys.argv), Path.cwd())

    before = state()
    load(f"{module}:make", latent=8)
    assert state() == before
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.zeros(1).device.type == "cpu"
    assert sys.path[0] != str(tmp_path)
    assert sys.path[-1] == str(tmp_path)
