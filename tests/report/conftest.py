"""A document as an audit of the digits generator leaves it, with its sample files."""

from __future__ import annotations

import hashlib
import io
import math
import random
from datetime import date
from typing import Any

import pytest
from PIL import Image, ImageChops

from ganaudit.document.gates import Gate, Policy, Waiver
from ganaudit.document.judge import judge
from ganaudit.document.model import (
    AuditDocument,
    Axis,
    Comparability,
    Curve,
    DeclaredMeasurement,
    Environment,
    EvaluatorResult,
    ExtractorRecord,
    Gallery,
    GalleryItem,
    Histogram,
    HistogramSeries,
    Interval,
    Measurement,
    Note,
    Null,
    Picture,
    ReferenceRecord,
    Rule,
    Series,
    Slider,
    SplitRecord,
    SubjectRecord,
    Table,
    Triplet,
    Triplets,
)

TODAY = date(2026, 11, 22)
SUBJECT = "sha256:" + hashlib.sha256(b"weights").hexdigest()


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def png(seed: int, size: int = 16, side: str = "fake") -> bytes:
    """Return a small grey blob, another one for each seed."""
    rng = random.Random(f"{side}{seed}")
    x0, y0, r = rng.uniform(5, 11), rng.uniform(5, 11), rng.uniform(2.5, 5.5)
    image = Image.new("L", (size, size))
    for y in range(size):
        for x in range(size):
            ring = math.exp(-((math.hypot(x - x0, y - y0) - r) ** 2) / 1.5)
            noise = rng.uniform(0, 0.18) if side == "fake" else 0.0
            image.putpixel((x, y), min(255, int(255 * min(1.0, ring + noise))))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def gallery(side: str, files: dict[str, bytes], n: int = 64) -> Gallery:
    items = []
    for i in range(n):
        name = f"samples/{side}/{i:04d}.png"
        files[name] = png(i, side=side)
        sha = hashlib.sha256(files[name]).hexdigest()
        items.append(GalleryItem(file=name, sha256=sha, index=i, caption=f"class {i % 10}"))
    words = {
        "fake": ("Generated", "the first 64 samples of seed 0, none left out"),
        "real": ("Real (test split)", "the first 64 samples of the test split, in its order"),
    }
    title, rule = words[side]
    return Gallery(title=title, rule=rule, side=side, width=16, height=16, items=items)


def changed(files: dict[str, bytes], n: int = 3) -> Triplets:
    items = []
    for i in range(n):
        before = Image.open(io.BytesIO(png(i, side="fake")))
        shift = Image.new("L", before.size)
        shift.putdata([128 + ((37 * i + 11 * p) % 81 - 40) for p in range(16 * 16)])
        after = ImageChops.add(before, shift, scale=1.0, offset=-128)
        pictures = []
        for stage, image in (("before", before), ("change", shift), ("after", after)):
            name, buffer = f"samples/attack-fake-{i:06d}-{stage}.png", io.BytesIO()
            image.save(buffer, "PNG")
            files[name] = buffer.getvalue()
            pictures.append(Picture(file=name, sha256=hashlib.sha256(files[name]).hexdigest()))
        items.append(
            Triplet(
                index=i,
                before=pictures[0],
                change=pictures[1],
                after=pictures[2],
                factor=16.25,
                norm=2 / 255,
                score_before=-1.25 - i,
                score_after=0.5 + i,
                caption=f"class {i}",
            )
        )
    return Triplets(
        title="Generated samples that pass after a small change",
        rule="the first three that were caught",
        side="fake",
        unit="largest change of any value, share of the range",
        threshold=-0.4127,
        width=16,
        height=16,
        items=items,
    )


def points() -> Table:
    """Six operating points, as an evaluator gives them."""
    rows = [
        (-3.0, 0.0, 0.0, ""),
        (-2.0, 0.001, 0.117, "PAC: 0.05 in 95% of draws"),
        (-1.0, 0.01, 0.24, ""),
        (-0.4127, 0.0489, 0.3915, "conformal: 0.05 on average"),
        (0.0, 0.2, 0.607, ""),
        (1.0, 0.75, 0.915, ""),
    ]
    return Table(
        title="Operating points: what a threshold does",
        columns=["threshold", "false positive rate", "true positive rate", "precision if half are generated",
                 "what lies here"],
        rows=[[t, f, c, c / (c + f) if c + f else None, here] for t, f, c, here in rows],
        slider=Slider(label="Threshold: a sample that scores below it is called generated", start=3, marks=4),
    )  # fmt: skip


def measured(key: str, title: str, value: float, **more: Any) -> Measurement:
    interval, null = more.pop("interval", None), more.pop("null", None)
    data: dict[str, Any] = {"n": 899, "sizes": {"real": 899, "fake": 2000}, "unit": "share", "better": "higher"}
    if interval:
        covers = more.pop("covers", "the draw of real and of generated samples; not the training of the generator")
        method = more.pop("method", "percentile bootstrap, 400 resamples of both sides")
        data["interval"] = Interval(low=interval[0], high=interval[1], method=method, covers=covers)
    else:
        data["interval_reason"] = more.pop("interval_reason", "no interval is known for this estimator")
    if null:
        rule = more.pop("rule", "calibration split in the place of the generated samples, against the test split")
        data["null"] = Null(value=null[0], low=null[1], high=null[2], n=more.pop("null_n", 448), rule=rule)
    else:
        data["null_reason"] = more.pop("null_reason", "real samples have no such quantity")
    return Measurement(key=key, title=title, value=value, **(data | more))


def frechet() -> EvaluatorResult:
    distance = {"unit": "squared feature distance", "better": "lower"}
    ns = [250, 500, 1000, 2000]
    fake, real = [21.9, 17.2, 14.8, 13.42], [6.4, 3.4, 1.9, 1.13]
    return EvaluatorResult(
        evaluator="frechet-distance",
        title="Fréchet distance",
        question="How far is the cloud of generated features from the cloud of real ones?",
        status="measured",
        measurements=[
            measured(
                "fd",
                "Fréchet distance",
                13.4213,
                null=(1.131, 0.98, 1.31),
                estimator="biased plug-in; covariances divided by n - 1",
                interval_reason="the plug-in is biased upwards by more than its spread: see the corrected distance",
                **distance,
            ),
            measured(
                "fd-corrected",
                "Fréchet distance, bias removed",
                12.2904,
                interval=(11.62, 12.97),
                null=(0.012, -0.14, 0.19),
                estimator="fd minus the bias of first order, by jackknife",
                **distance,
            ),
            measured(
                "bias-floor",
                "Bias of the plug-in at this n",
                1.131,
                null_reason="it is itself a real-against-real number",
                unit="squared feature distance",
                better="none",
            ),
        ],
        details=[
            Curve(
                title="The plug-in falls with n",
                x=Axis(title="samples on each side", log=True),
                y=Axis(title="Fréchet distance"),
                series=[
                    Series(
                        name="generated against real",
                        x=[float(n) for n in ns],
                        y=fake,
                        low=[v - 12 / math.sqrt(n) for v, n in zip(fake, ns, strict=True)],
                        high=[v + 12 / math.sqrt(n) for v, n in zip(fake, ns, strict=True)],
                    ),
                    Series(name="real against real", x=[float(n) for n in ns], y=real),
                ],
                rules=[Rule(at=899, label="n of this audit"), Rule(at=12.0, label="limit of the policy", orient="y")],
                points=True,
            ),
            Table(
                title="Where the distance comes from",
                columns=["part", "share", "value"],
                rows=[["means", 0.6132, 8.2299], ["covariances", 0.3868, 5.1914]],
            ),
            Note(text="The distance is in units of this extractor; it cannot be set beside an Inception FID."),
        ],
        warnings=["899 real samples in 64 dimensions: the bias floor is 8 % of the value"],
        options={"shrinkage": None, "repeats": 400},
        references=[
            "Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule (https://arxiv.org/abs/1706.08500)"
        ],
        misleads="It compares two Gaussians: matching means and covariances score well however the samples look.",
        declares=[
            DeclaredMeasurement(
                key="fd-infinity",
                title="Extrapolated to infinite n",
                unit="squared feature distance",
                better="lower",
                meaning="the distance at infinite n",
            )
        ],
        seconds=1.874,
    )


def kernel() -> EvaluatorResult:
    return EvaluatorResult(
        evaluator="kernel-distance",
        title="Kernel distance",
        question="Can a polynomial kernel tell generated from real features?",
        status="measured",
        measurements=[
            measured(
                "kd",
                "Kernel distance",
                0.000614,
                interval=(0.000532, 0.000701),
                null=(-0.0000021, -0.0000313, 0.0000288),
                unit="squared MMD",
                better="lower",
                estimator="unbiased U-statistic, cubic polynomial kernel",
                method="block subsampling, 100 blocks of 500",
            )
        ],
        misleads="The kernel sees moments up to the third of these features and nothing else.",
        references=["Bińkowski et al. 2018, Demystifying MMD GANs"],
        seconds=0.62,
    )


def inception() -> EvaluatorResult:
    rng = random.Random(3)
    shares = [rng.uniform(0.05, 0.16) for _ in range(10)]
    total = sum(shares)
    return EvaluatorResult(
        evaluator="inception-score",
        title="Inception score",
        question="Are the samples of one class each, and all classes there?",
        status="measured",
        measurements=[
            measured(
                "is",
                "Inception score",
                8.913,
                interval=(8.79, 9.02),
                null=(9.71, 9.66, 9.76),
                unit="classes",
                n=2000,
                sizes={"fake": 2000},
                null_n=899,
                estimator="exp of the mean divergence, one group, natural logarithm",
            )
        ],
        details=[
            Histogram(
                title="Classes of the classifier",
                x=Axis(title="class"),
                labels=[str(i) for i in range(10)],
                series=[
                    HistogramSeries(name="real (test)", shares=[0.1] * 10),
                    HistogramSeries(name="generated", shares=[s / total for s in shares]),
                ],
            )
        ],
        misleads="One perfect sample of each class, repeated, reaches the maximum.",
        seconds=0.11,
    )


def precision_recall() -> EvaluatorResult:
    rows = [
        ("precision", "Precision", 0.8145, (0.783, 0.842), (0.934, 0.917, 0.951)),
        ("recall", "Recall", 0.7031, (0.667, 0.741), (0.931, 0.912, 0.949)),
        ("density", "Density", 0.7712, (0.731, 0.812), (1.002, 0.958, 1.046)),
        ("coverage", "Coverage", 0.8409, (0.815, 0.864), (0.968, 0.953, 0.981)),
    ]
    return EvaluatorResult(
        evaluator="precision-recall",
        title="Precision, recall, density and coverage",
        question="How much of what is generated looks real, and how much of what is real can be generated?",
        status="measured",
        measurements=[
            measured(k, t, v, interval=i, null=n, estimator="5 nearest neighbours, boundary inside")
            for k, t, v, i, n in rows
        ],
        options={"neighbours": 5, "boundary": "<="},
        references=["Kynkäänniemi et al. 2019", "Naeem et al. 2020"],
        misleads="One real outlier with a wide neighbourhood lifts recall; density and coverage are made against that.",
        seconds=2.31,
    )


def bell(edges: list[float], centre: float) -> list[float]:
    heights = [math.exp(-(((edge + 0.125 - centre) / 1.1) ** 2)) for edge in edges[:-1]]
    return [h / sum(heights) for h in heights]


def detection(files: dict[str, bytes]) -> EvaluatorResult:
    fpr = [0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0]
    tpr = [f**0.31 for f in fpr]
    edges = [i / 4 - 4 for i in range(33)]
    fixed = {"interval": (0.031, 0.069), "null": (0.049, 0.036, 0.064), "better": "lower"}
    return EvaluatorResult(
        evaluator="discriminator-detection",
        title="Detection by the own discriminator",
        question="Does the generator's own discriminator tell its samples from unseen real ones?",
        status="measured",
        measurements=[
            measured("auc", "Area under the ROC curve", 0.7634, interval=(0.741, 0.785), null=(0.502, 0.463, 0.541),
                     better="target", target=0.5),
            measured("eer", "Equal error rate", 0.3042, interval=(0.284, 0.325), null=(0.499, 0.47, 0.53)),
            measured("threshold", "Threshold", -0.4127, unit="score", better="none",
                     interval_reason="it is set, not estimated: the 5 % quantile of the calibration split",
                     null_reason="it is made of real samples alone"),
            measured("fpr-at-threshold", "False alarms at the threshold", 0.0489, **fixed),
            measured("tpr-at-threshold", "Caught at the threshold", 0.3915, interval=(0.370, 0.413),
                     null=(0.051, 0.036, 0.064), better="lower"),
            Measurement(key="calibration-error", title="Calibration error", value=None, n=0, unit="share",
                        better="lower", reason="the discriminator gives margins, not probabilities"),
        ],
        details=[
            Curve(
                title="Caught against false alarms",
                x=Axis(title="false alarms: share of real samples called generated"),
                y=Axis(title="caught: share of generated"),
                series=[
                    Series(name="own discriminator", x=fpr, y=tpr, low=[max(0.0, t - 0.04) for t in tpr],
                           high=[min(1.0, t + 0.04) for t in tpr]),
                    Series(name="chance", x=[0.0, 1.0], y=[0.0, 1.0]),
                ],
                rules=[Rule(at=0.0489, label="threshold")],
            ),
            Histogram(
                title="Scores",
                x=Axis(title="score of the discriminator (larger: more real)"),
                edges=edges,
                series=[
                    HistogramSeries(name="real (test)", shares=bell(edges, 0.7)),
                    HistogramSeries(name="generated", shares=bell(edges, -0.4)),
                ],
                rules=[Rule(at=-0.4127, label="threshold, fixed on the calibration split")],
            ),
            Table(title="Counts at the threshold", columns=["", "called real", "called generated"],
                  rows=[["real", 855, 44], ["generated", 1217, 783]]),
            points(),
            changed(files),
        ],
        warnings=["the discriminator scores train reals 0.21 higher than unseen ones: it remembers some of them"],
        misleads="A weak discriminator makes any generator look good; the null says what no skill looks like.",
        seconds=0.93,
    )  # fmt: skip


def missing() -> list[EvaluatorResult]:
    return [
        EvaluatorResult(
            evaluator="memorisation",
            title="Memorisation",
            question="Does it repeat its training samples?",
            status="not_assessable",
            reason="needs the train split, and this reference has none",
            requested=False,
        ),
        EvaluatorResult(
            evaluator="adversarial-robustness",
            title="Adversarial robustness",
            question="How small a change makes a generated sample pass for real?",
            status="failed",
            reason="the discriminator's gradient is not finite for 3 of 256 samples",
            requested=False,
        ),
        EvaluatorResult(
            evaluator="compute-cost",
            title="Cost",
            question="What does one sample cost?",
            status="skipped",
            reason="not part of the profile quick",
            requested=False,
        ),
    ]


POLICY = Policy(
    gate=[
        Gate(id="quality", measure="frechet-distance/fd-corrected", limit=11.0, confidence=0.95),
        Gate(id="recall-floor", measure="precision-recall/recall", limit=0.72, min_n=500),
        Gate(id="memorised", measure="discriminator-detection/calibration-error", limit=0.1),
        Gate(id="kernel", measure="kernel-distance/kd", limit=0.001),
        Gate(id="precision-floor", measure="precision-recall/precision", limit=0.7, level="warn"),
        Gate(id="caught", measure="discriminator-detection/tpr-at-threshold", limit=0.25),
    ],
    waiver=[
        Waiver(gate="caught", subject=SUBJECT, ceiling=0.45, reason="known; new discriminator in training",
               owner="m.ruiz", expires=date(2027, 3, 1)),
    ],
)  # fmt: skip


def build(files: dict[str, bytes]) -> AuditDocument:
    unjudged = AuditDocument(
        subject=SubjectRecord(
            name="digits",
            kind="directory",
            path="reference_models/digits",
            digest=SUBJECT,
            trust="data",
            has_generator=True,
            has_discriminator=True,
            latent="64 values, standard normal",
            sample="1 x 16 x 16, float, -1 to 1",
            classes=10,
            parameters={"generator": 412_801, "discriminator": 287_233},
            training={"images": 2_000_000, "objective": "hinge", "ema": {"half_life": 500, "used": True}, "seed": 0},
            checks=["equal output for equal input", "every output in -1 to 1"],
        ),
        reference=ReferenceRecord(
            name="digits",
            kind="built-in",
            digest=digest("reference"),
            against="test",
            null_rule="the calibration split stands in for generated samples",
            splits={
                "calibration": SplitRecord(n=448, digest=digest("calibration"), seen="unseen"),
                "test": SplitRecord(n=899, digest=digest("test"), seen="unseen"),
            },
            sample="1 x 16 x 16, uint8",
            classes=[str(i) for i in range(10)],
            licence="BSD-3-Clause (scikit-learn), UCI data CC BY 4.0",
        ),
        extractor=ExtractorRecord(
            id="digits-cnn",
            why="the reference is digits and its samples are grey",
            digest=digest("extractor"),
            dimensions=64,
            preprocessing="none: samples as they are, -1 to 1",
            caution="Trained on digits by this project: its distances are not on the scale of published FID.",
        ),
        plan={"samples": 2000, "seed": 0, "profile": "quick", "evaluators": None, "extractor": {"id": "digits-cnn"}},
        environment=Environment(
            ganaudit="0.1.0",
            python="3.11.7",
            platform="Linux-6.1-x86_64",
            processor="AMD EPYC 7B13",
            device="cpu",
            threads=2,
            precision="fp32",
            packages={"torch": "2.6.0", "numpy": "2.2.0", "scipy": "1.15.0"},
            command="ganaudit audit digits --reference digits --against test --samples 2000 --policy policy.toml",
        ),
        comparability=Comparability(
            digest=digest("comparability"),
            fields={"extractor": "digits-cnn", "samples": 2000, "reference": digest("reference"), "against": "test"},
        ),
        started="2026-11-22T19:30:00Z",
        seconds=71.3,
        warnings=["The nulls rest on 448 real samples, the values on 899: they are not at the same n."],
        galleries=[gallery("fake", files), gallery("real", files)],
        results=[frechet(), kernel(), inception(), precision_recall(), detection(files), *missing()],
        policy=POLICY.model_dump(mode="json"),
    )
    return unjudged.model_copy(update={"verdicts": list(judge(unjudged, POLICY, today=TODAY).verdicts)})


@pytest.fixture(scope="session")
def samples() -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    build(files)
    return files


@pytest.fixture(scope="session")
def document() -> AuditDocument:
    return build({})
