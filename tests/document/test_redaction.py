"""What a document tells of the machine: nothing. Canaries in every text come out in no file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganaudit.document.files import dumps
from ganaudit.document.redaction import Private, redacted, shell_line

from .test_files import full

ADA = Private(home="/home/ada-canary", user="ada-canary", host="mill-canary.example.org")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/ada-canary/runs/a", "~/runs/a"),
        ("read from /home/ada-canary", "read from ~"),
        ("'/home/ada-canary/my data'", "'~/my data'"),
        ("/home/ada-canary2/x", "/home/ada-canary2/x"),
        ("/mnt/ada-canary/x", "/mnt/(user)/x"),
        ("ada-canary@mill-canary:~/x", "(user)@(host):~/x"),
        ("on mill-canary.example.org", "on (host)"),
        ("https://ada:hunter2@example.org/d.zip", "https://(withheld)@example.org/d.zip"),
        ("https://example.org/d.zip?sig=abc123&x=1", "https://example.org/d.zip?sig=(withheld)&x=1"),
        ("ganaudit audit d --hf-token abc123 --seed 1", "ganaudit audit d --hf-token (withheld) --seed 1"),
        ("ganaudit audit d --api-key=abc123", "ganaudit audit d --api-key=(withheld)"),
        ("PASSWORD=hunter2 ganaudit", "PASSWORD=(withheld) ganaudit"),
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer (withheld)"),
        ("ghp_0123456789abcdefghij0123", "(withheld)"),
        ("hf_abcdefghijklmnopqrstuvwx", "(withheld)"),
        ("AKIAABCDEFGHIJKLMNOP", "(withheld)"),
        ("glpat-abcdefghij0123456789", "(withheld)"),
    ],
)
def test_what_is_taken_out(text, told):
    assert ADA.redact(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "frechet-distance/fd",
        "a password of is no word here",
        "the token is fed to the text encoder",
        "sha256:0123",
        "https://example.org/a/b@c",
        "robust accuracy at 0.02",
        "discriminator-detection",
        "authors: Sutherland et al.",
        "AUC = 0.93, EER: 0.1",
        "What weakens a pass of this gate",
        "the password of nobody, the secret: none",
        "significance sig = 0.05",
    ],
)
def test_what_stays(text):
    assert ADA.redact(text) == text


@pytest.mark.parametrize("name", ["root", "runner", "ubuntu", "", "a"])
def test_names_that_tell_nothing_stay(name):
    private = Private(home="/home/x", user=name, host=name)
    assert private.redact("the root of the runner on ubuntu a") == "the root of the runner on ubuntu a"


def test_the_root_of_all_files_is_no_home():
    assert Private(home="/", user="", host="").redact("/data/x") == "/data/x"
    assert Private(home="/house", user="root", host="").redact("/house/x and /housed") == "~/x and /housed"


def test_a_command_can_be_typed_again():
    line = shell_line(["ganaudit", "audit", "/home/ada-canary/my run", "--reference", "a b", "--token", "xyz123"], ADA)
    assert line == "ganaudit audit ~/'my run' --reference 'a b' --token (withheld)"


@given(st.text())
def test_redaction_twice_is_redaction_once(text):
    once = ADA.redact(f"{text} /home/ada-canary/{text} --token {text}")
    assert ADA.redact(once) == once


def test_no_text_of_a_document_keeps_a_canary():
    made = full()
    canaries = "/home/ada-canary/x ada-canary mill-canary --token hunter2canary"
    texts = {
        "warnings": [canaries],
        "subject": made.subject.model_copy(
            update={"path": canaries, "name": canaries, "training": {"data": [canaries, {"deep": canaries}]}}
        ),
        "plan": {**made.plan, "reference": canaries, "others": {"o": {"subject": canaries}}},
        "environment": made.environment.model_copy(update={"command": canaries}),
    }
    planted = made.model_copy(update=texts)
    text = dumps(redacted(planted, ADA))
    assert "canary" in dumps(planted)
    assert "canary" not in text
    assert json.loads(text)["results"] == json.loads(dumps(made))["results"]


def test_a_document_without_anything_private_stays_as_it_is():
    assert redacted(full(), ADA) == full()
