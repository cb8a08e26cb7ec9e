"""Other subjects in the report: each with its digest, escaped; no trace where there are none."""

from ganaudit.document.model import AuditDocument, OtherRecord
from ganaudit.report.html import render_html
from ganaudit.report.words import count

DIGEST = "sha256:" + "7" * 64


def test_other_subjects_stand_in_a_table_of_their_own(document: AuditDocument, samples: dict[str, bytes]) -> None:
    early = OtherRecord(name="early", subject="digits-<64>", kind="directory", path="runs/a", digest=DIGEST,
                        trust="data", converted="values in [-1, 1] are mapped linearly onto its range [0, 1]",
                        training={"images": 64_000})  # fmt: skip
    foreign = OtherRecord(name="foreign", subject="made", kind="in-process", digest=DIGEST, trust="in-process",
                          training={"images": "many"})  # fmt: skip
    page = render_html(document.model_copy(update={"others": [early, foreign]}), samples)
    section = page.partition("what stood beside it")[2].partition("</section>")[0]
    for told in (
        "early",
        "digits-&lt;64&gt;",
        "runs/a",
        DIGEST,
        f"{count(64_000)} images",
        "mapped linearly onto",
        "foreign",
    ):
        assert told in section, told
    assert "what stood beside it" not in render_html(document, samples)
