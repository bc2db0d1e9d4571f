"""The sequence learner: learns an order of panes, does not collapse, is served as PyTorch computes.

Networks of 6 panes and 3 channels: what is learnt here, a worker's 24 panes only make slower.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from models.artifact import Member
from models.pool import Pool
from models.sequence import SequenceModel, standard
from tests.unit.training.planted import make_block
from training.errors import TrainingRefused
from training.evaluate import log_losses
from training.learners.learner import Block

pytestmark = pytest.mark.skipif(
    find_spec("torch") is None and "CI" not in os.environ,
    reason="needs torch: pip install -c constraints.txt -e '.[torch]'",
)
NAMES = ("noise", "more")
SMALL = {"hidden": 8}


def block(n: int, seed: int, effect: float, drift: float = 0.0) -> Block:
    """The last move goes on where the volume before was high, and turns where it was low.

    The features are noise; `drift` is of the returns, in their standard deviations.
    """
    draw = np.random.default_rng(seed)
    panes = draw.normal(size=(n, 6, 3)).astype(np.float32)
    goes_on = panes[:, -1, 0] * np.sign(panes[:, -2, 1])
    bps = 10.0 * (effect * goes_on + drift + draw.normal(size=n))
    panes[draw.random(panes.shape) < 0.05] = np.nan
    y = np.digitize(bps, [-2.0, 2.0])
    return Block(draw.normal(size=(n, 2)), y, bps, np.ones(n), sequence=panes)


PLANTED = block(2_000, 0, 1.5), block(500, 1, 1.5), block(1_000, 2, 1.5)
FAINT = tuple(block(n, seed, 0.15, 0.35) for seed, n in enumerate((1_000, 400, 1_000)))


@cache
def fitted(faint: bool = False, **parameters: float) -> tuple[Member, ...]:
    from training.learners.sequence import Sequence

    fit, tune, _ = FAINT if faint else PLANTED
    return Sequence(**{**SMALL, **parameters}).fit(fit, tune, NAMES, 0, 1)  # type: ignore[arg-type]


def told(member: Member, rows: Block) -> np.ndarray:
    n_outputs = 3 if member.role == "direction" else 1
    return Pool([member], len(NAMES), n_outputs).many(rows.x, rows.sequence)


def gained(member: Member, rows: Block) -> float:
    """Mean log-loss on the class shares of what was fitted."""
    raw = told(member, rows)
    p = np.exp(raw - raw.max(axis=1, keepdims=True))
    shares = np.bincount(PLANTED[0].y, minlength=3) / len(PLANTED[0].y)
    chance = log_losses(np.tile(shares, (len(p), 1)), rows.y)
    return float((chance - log_losses(p / p.sum(axis=1, keepdims=True), rows.y)).mean())


@pytest.mark.parametrize("variant", [{}, {"focal": 1.0, "quantiles": 1}], ids=str)
def test_an_order_of_panes_that_no_feature_shows_is_learnt(variant: dict[str, float]) -> None:
    direction, expected = fitted(**variant)
    judge = PLANTED[2]
    assert gained(direction, judge) > 0.05
    assert np.corrcoef(told(expected, judge)[:, 0], judge.outcome)[0, 1] > 0.4
    turned = judge._replace(sequence=judge.sequence[:, ::-1])  # type: ignore[index]
    assert gained(direction, turned) < 0.0


def test_features_alone_gain_nothing_there() -> None:
    from training.learners.lightgbm import LightGBM

    fit, tune, judge = PLANTED
    assert gained(LightGBM().fit(fit, tune, NAMES, 0, 1)[0], judge) < 0.01


def apart(member: Member, rows: Block) -> float:
    """Share of rises said less realised, as the gate takes it."""
    raw = told(member, rows)
    return abs(float((raw[:, 2] > raw[:, 0]).mean()) - float((rows.outcome > 0.0).mean()))


def test_the_plain_loss_collapses_where_the_terms_keep_it_from_it() -> None:
    judge = FAINT[2]
    plain, kept = fitted(True, spread=0.0), fitted(True)
    assert apart(plain[0], judge) > 0.25  # the gate's FAIL
    assert apart(kept[0], judge) < 0.15  # under its WARN
    spread = [told(member, judge).std() / judge.outcome.std() for member in (plain[1], kept[1])]
    assert spread[0] < 0.08 < spread[1]


def test_what_is_served_is_what_pytorch_computes() -> None:
    import torch

    from training.learners.sequence import Network, Sequence, Task, member

    rows = PLANTED[2].sequence
    assert rows is not None
    centre, scale = np.array([0.1, -0.2, 0.0]), np.array([1.5, 0.7, 2.0])
    for role, n_outputs in (("direction", 3), ("return", 3), ("return", 1)):
        torch.manual_seed(n_outputs)
        net = Network(3, 16, n_outputs, 0.0).eval()
        for weights in net.parameters():  # large enough that gates close
            weights.data *= 3.0
        task = Task(role, n_outputs, Sequence()._return().loss, lambda raw: raw[:, 0])
        made = member(net, task, centre, scale, unit=1.0)
        x = torch.tensor(standard(rows.astype(np.float64), centre, scale))
        with torch.no_grad():
            raw = net.double()(x).numpy()
        expected = raw if role == "direction" else raw.mean(axis=1, keepdims=True)
        served = SequenceModel(made.text, expected.shape[1]).many(rows)
        np.testing.assert_allclose(served, expected, rtol=0.0, atol=1e-6)


def test_the_same_seed_gives_the_same_network_and_another_another() -> None:
    import torch

    from training.learners.sequence import Sequence

    fit, tune = block(300, 0, 0.9), block(100, 1, 0.9)
    state = torch.random.get_rng_state()
    one, again, other = (
        Sequence(**SMALL).fit(fit, tune, NAMES, seed, 1)  # type: ignore[arg-type]
        for seed in (1, 1, 2)
    )
    assert one == again != other
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_loss_that_is_no_number_stops_with_its_batch() -> None:
    from training.learners.sequence import Sequence

    bad = block(300, 0, 0.9)
    bad.outcome[200] = np.nan
    with pytest.raises(
        TrainingRefused, match=r"loss of the return, got nan in epoch 1, batch [123]"
    ):
        Sequence().fit(bad, block(100, 1, 0.9), NAMES, 0, 1)
    tune = block(100, 1, 0.9)
    tune.weight[0] = np.inf
    with pytest.raises(
        TrainingRefused, match="loss of the direction, got nan in epoch 1, the tune"
    ):
        Sequence().fit(block(300, 0, 0.9), tune, NAMES, 0, 1)


def test_rows_without_their_panes_are_refused() -> None:
    from training.learners.named import learner

    with pytest.raises(TrainingRefused, match="build the dataset with --sequences"):
        learner("lightgbm+sequence").fit(make_block(300), make_block(100), tuple("abcdef"), 0, 1)


def test_an_ensemble_reads_features_and_panes() -> None:
    from training.learners.ensemble import Ensemble
    from training.learners.lightgbm import LightGBM
    from training.learners.sequence import Sequence

    class Fitted(Sequence):
        def fit(self, *block: object) -> tuple[Member, ...]:
            return fitted()

    both = Ensemble((LightGBM(), Fitted()))
    assert both.name == "lightgbm+sequence"
    assert both.reads_sequence
    assert not LightGBM().reads_sequence
    fit, tune, judge = PLANTED
    members = [each for each in both.fit(fit, tune, NAMES, 0, 1) if each.role == "return"]
    bps = Pool(members, len(NAMES), 1).many(judge.x, judge.sequence)[:, 0]
    assert np.corrcoef(bps, judge.outcome)[0, 1] > 0.4
