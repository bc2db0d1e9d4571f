"""A model as a file: it comes back as it was or not at all; two models and what differs."""

from __future__ import annotations

import msgspec
import pytest

from models.artifact import ArtifactError, Member, sha256_of, to_bytes, with_version
from models.differences import differences
from models.exchange import exported, imported
from tests.unit.models.test_artifact_scorer import NAMES, boosters, make_artifact

VERDICT = {"says": "WARN", "checks": [{"name": "rows", "says": "WARN", "value": 900.0}]}


@pytest.fixture(scope="module")
def artifact():
    return with_version(make_artifact(boosters()))


def test_it_comes_back_as_it_was(artifact):
    raw = exported(artifact, VERDICT)
    assert imported(raw) == imported(raw, sha256_of(to_bytes(artifact))) == (artifact, VERDICT)


def with_artifact(raw, change):
    file = msgspec.json.decode(raw)
    text = change(file["artifact"])
    return msgspec.json.encode({**file, "artifact": text, "sha256": sha256_of(text.encode())})


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda raw: raw[: len(raw) // 2], "expected a file of tapewire models export"),
        (lambda raw: b"not json", "expected a file of tapewire models export"),
        (lambda raw: raw.replace(b"lightgbm", b"lightgbn", 1), "expected sha256"),
        (lambda raw: with_artifact(raw, lambda text: text[:-40]), "unreadable"),
        (
            lambda raw: with_artifact(raw, lambda text: text.replace('"seed":0', '"seed":1')),
            "expected version .* of its content",
        ),
    ],
)
def test_a_damaged_file_is_refused(artifact, damage, why):
    with pytest.raises(ArtifactError, match=why):
        imported(damage(exported(artifact, VERDICT)))


@pytest.mark.parametrize("pinned", ["0" * 64, ""])
def test_another_file_than_the_hash_names_is_refused(artifact, pinned):
    with pytest.raises(ArtifactError, match=f"expected sha256 {pinned}, got"):
        imported(exported(artifact, VERDICT), pinned)


def test_a_time_that_no_calendar_has_is_refused(artifact):
    strange = msgspec.structs.replace(artifact, trained_until_us=10**20)
    with pytest.raises(ArtifactError, match="expected a time"):
        imported(exported(strange, VERDICT))


def test_a_member_that_cannot_be_read_is_refused(artifact):
    broken = Member(role="direction", format="lightgbm", text="tree")
    strange = with_version(msgspec.structs.replace(artifact, members=(broken,)))
    with pytest.raises(ArtifactError):
        imported(exported(strange, VERDICT))


def test_only_what_differs_is_told(artifact):
    assert differences(artifact, artifact) == []
    other = msgspec.structs.replace(
        artifact,
        seed=artifact.seed + 1,
        feature_names=(*NAMES[:-1], "e"),
        metrics={**artifact.metrics, "ic": 0.1234567, "mcc": 0.12345671},
    )
    nearly = msgspec.structs.replace(other, metrics={**other.metrics, "mcc": 0.12345672})
    assert differences(other, nearly) == [("metrics.mcc", "0.12345671", "0.12345672")]
    found = {what: (one, two) for what, one, two in differences(artifact, other)}
    assert found["seed"] == ("0", "1")
    assert found["metrics.ic"][1] == "0.1234567"
    assert "feature order" in found
    assert found["feature d"][1] == found["feature e"][0] == "none"
    assert "threshold" not in found
