"""A sequence member: the formula, one by one as all together, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from math import exp, isnan, tanh

import msgspec
import numpy as np
import pytest

from models.artifact import ArtifactError, from_bytes, sha256_of, to_bytes
from models.differences import differences
from models.explain import Explainer
from models.importances import importances
from models.pool import Pool
from models.row import Row
from models.scorer import ArtifactScorer
from models.sequence import CLIP, Lstm, SequenceModel
from stream.features.sequence import CHANNELS, LENGTH
from tests.artifacts import FEATURES, sequence_artifact, sequence_member

MEMBER = sequence_member("direction")
VECTOR = [0.5] * len(FEATURES.names)


def sequences(n, seed=0):
    draw = np.random.default_rng(seed)
    found = draw.normal(0.0, 4.0, (n, LENGTH, len(CHANNELS))).astype(np.float32)
    found[draw.random(found.shape) < 0.2] = np.nan
    return found


def by_hand(net, panes):
    """The published formula, number by number."""
    n = len(net.recurrent)
    hidden, cell = [0.0] * n, [0.0] * n

    def gate(i, x):
        told = sum(v * w[i] for v, w in zip(x, net.inputs, strict=True))
        return told + sum(v * w[i] for v, w in zip(hidden, net.recurrent, strict=True))

    for pane in panes:
        x = [
            0.0 if isnan(v) else max(-CLIP, min(CLIP, (v - c) / s))
            for v, c, s in zip(pane, net.centre, net.scale, strict=True)
        ]
        told = [gate(i, x) + net.bias[i] for i in range(4 * n)]
        i, f, o = ([1 / (1 + exp(-v)) for v in told[at : at + n]] for at in (0, n, 3 * n))
        g = [tanh(v) for v in told[2 * n : 3 * n]]
        cell = [f[k] * cell[k] + i[k] * g[k] for k in range(n)]
        hidden = [o[k] * tanh(cell[k]) for k in range(n)]
    columns = zip(*net.head, strict=True)
    return [
        sum(h * w for h, w in zip(hidden, column, strict=True)) + bias
        for column, bias in zip(columns, net.head_bias, strict=True)
    ]


def test_one_sequence_is_scored_as_by_hand():
    net = msgspec.json.decode(MEMBER.text, type=Lstm)
    model = SequenceModel(MEMBER.text, 3)
    for each in sequences(5):
        assert model.raw(each.tobytes()) == pytest.approx(by_hand(net, each.tolist()), abs=1e-12)


def test_many_are_scored_as_one_by_one_to_the_bit():
    artifact, x = sequence_artifact(pooled=True), np.full((40, len(VECTOR)), 0.5)
    pool = Pool(artifact.of("direction"), len(VECTOR), 3)
    panes = sequences(40)
    one_by_one = [pool.raw(Row.of(VECTOR), each.tobytes()) for each in panes]
    assert pool.many(x, panes).tolist() == one_by_one
    assert pool.many(x[::3], panes[::3]).tolist() == one_by_one[::3]


def test_a_wild_value_moves_the_score_no_further_than_a_large_one():
    model, (panes,) = SequenceModel(MEMBER.text, 3), sequences(1)
    large, wild = panes.copy(), panes.copy()
    large[-1, 0], wild[-1, 0] = 1e3, 1e30
    assert model.raw(large.tobytes()) == model.raw(wild.tobytes()) != model.raw(panes.tobytes())


def test_a_stored_artifact_scores_as_before_and_reads_its_panes():
    artifact = sequence_artifact()
    raw = to_bytes(artifact)
    again = ArtifactScorer(from_bytes(raw, sha256_of(raw)))
    one, other = (each.tobytes() for each in sequences(2))
    assert again.reads_sequence
    assert again.score(VECTOR, one) == ArtifactScorer(artifact).score(VECTOR, one)
    assert again.score(VECTOR, one) != again.score(VECTOR, other)
    assert again.score(VECTOR, one).expected_return_bps is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": (0.0,)}, "expected an LSTM of shapes .*24.*, got .*1"),
        ({"scale": (1.0,)}, "expected an LSTM of shapes"),
        ({"head": ((1.0,),)}, "expected an LSTM of shapes"),
        ({"inputs": ((1.0, 2.0), (1.0,))}, "expected an LSTM, .*inhomogeneous"),
        ({"recurrent": ()}, "expected an LSTM of shapes"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(change, message):
    net = msgspec.structs.replace(msgspec.json.decode(MEMBER.text, type=Lstm), **change)
    with pytest.raises(ArtifactError, match=message):
        SequenceModel(msgspec.json.encode(net).decode(), 3)


def test_text_of_another_kind_and_other_outputs_are_refused():
    with pytest.raises(ArtifactError, match=r"expected an LSTM, .*centre"):
        SequenceModel("{}", 3)
    with pytest.raises(ArtifactError, match="expected an LSTM of shapes"):
        SequenceModel(MEMBER.text, 1)


def test_without_its_panes_it_does_not_guess():
    scorer = ArtifactScorer(sequence_artifact())
    with pytest.raises(ArtifactError, match="expected a sequence of panes beside the vector"):
        scorer.score(VECTOR)
    with pytest.raises(ArtifactError, match="expected panes of 8 float32, got 12 bytes"):
        scorer.score(VECTOR, b"\0" * 12)
    with pytest.raises(ArtifactError, match="expected a sequence of panes"):
        Pool([MEMBER], len(VECTOR), 3).many(np.zeros((1, len(VECTOR))))


def test_other_channels_are_refused_when_it_is_loaded():
    artifact = sequence_artifact()
    given = (FEATURES.name, FEATURES.version, FEATURES.names)
    artifact.check_fits(*given, channels=CHANNELS)
    with pytest.raises(ArtifactError, match="expected channels tone of panes, got move, body, ran"):
        artifact.check_fits(*given, channels=("tone",))
    fewer = msgspec.structs.replace(artifact, channels=CHANNELS[:3])
    with pytest.raises(ArtifactError, match=r"expected members of 3 channels of panes, got \[8\]"):
        ArtifactScorer(fewer)


@pytest.mark.parametrize("pooled", [False, True])
def test_it_is_not_explained_by_features(pooled):
    with pytest.raises(ArtifactError, match="it reads panes one by one and no feature"):
        Explainer(sequence_artifact(pooled=pooled))


def test_importances_are_those_of_the_other_members():
    assert importances(sequence_artifact()) == {}
    assert sum(importances(sequence_artifact(pooled=True)).values()) == pytest.approx(1.0)


def test_two_of_them_differ_by_their_members_alone():
    found = {what for what, *_ in differences(sequence_artifact(0), sequence_artifact(3))}
    assert {"direction model sequence", "return model sequence"} <= found
    assert not {what for what in found if "feature" in what or "channels" in what}


def test_serving_it_imports_no_torch():
    code = (
        "import sys, msgspec; from models.pool import Pool; from models.artifact import Member\n"
        "Pool([msgspec.json.decode(sys.stdin.read(), type=Member)], 1, 3)\n"
        "sys.exit('torch' in sys.modules)"
    )
    told = msgspec.json.encode(MEMBER)
    assert subprocess.run([sys.executable, "-c", code], input=told).returncode == 0
