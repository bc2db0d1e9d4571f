"""A small LSTM over the newest panes, one network a target, by PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from models.artifact import Member
from models.linear import Floats
from models.sequence import Lstm, Sequences, standard
from training.errors import TrainingRefused
from training.learners.learner import Block, Span, Tunable
from training.learners.losses import QUANTILES, collapsed, focal, huber, pinball

MAX_EPOCHS = 60
STOP_AFTER = 8  # epochs without a better loss on the tune rows
_BATCH = 128
_LONGEST_STEP = 1.0  # of the gradient
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of outputs, target and weight
Said = Callable[[Tensor], Tensor]  # from outputs to one prediction, above 0 for a rise


class Task(NamedTuple):
    """What one network learns. target: above 0 for a rise; learnt: what the loss takes."""

    role: Literal["direction", "return"]
    n_outputs: int
    loss: Loss
    said: Said


class Rows(NamedTuple):
    """A block as tensors."""

    x: Tensor
    learnt: Tensor
    target: Tensor
    weight: Tensor

    def take(self, rows: Tensor) -> Rows:
        return Rows(*(each[rows] for each in self))


class Network(nn.Module):  # type: ignore[misc]
    """(n, panes, channels) standard values to (n, outputs)."""

    def __init__(self, n_channels: int, hidden: int, n_outputs: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_channels, hidden, batch_first=True)
        with torch.no_grad():
            self.lstm.bias_ih_l0[hidden : 2 * hidden] = 1.0  # it remembers before it learns to
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        told: Tensor = self.head(self.dropout(out[:, -1]))
        return told


@dataclass(frozen=True)
class Sequence(Tunable):
    """Hyperparameters.

    shrinkage : of the weights, each step, as AdamW takes it.
    spread : weight of the terms against collapse; 0 is the plain loss.
    focal : power of the focal loss of the direction; 0 is cross-entropy.
    quantiles : 1 learns the return's quartiles and gives their mean; 0 the Huber loss.
    """

    learning_rate: float = 0.01
    hidden: int = 16
    dropout: float = 0.1
    shrinkage: float = 0.01
    spread: float = 1.0
    focal: float = 0.0
    quantiles: int = 0

    name: ClassVar[str] = "sequence"
    reads_sequence: ClassVar[bool] = True
    space: ClassVar[Mapping[str, Span]] = {
        "learning_rate": Span(0.001, 0.03, log=True),
        "hidden": Span(4, 16),
        "dropout": Span(0.0, 0.5),
        "shrinkage": Span(1e-4, 1.0, log=True),
        "spread": Span(0.1, 3.0, log=True),
        "focal": Span(0.0, 2.0),
        "quantiles": Span(0, 1),
    }

    def fit(
        self, fit: Block, tune: Block, names: tuple[str, ...], seed: int, threads: int
    ) -> tuple[Member, ...]:
        centre, scale = usual(_given(fit, self.name))
        outcome, weight = fit.returns
        unit = float(np.sqrt(np.average(outcome**2, weights=weight))) or 1.0

        def rows(block: Block, task: Task) -> Rows:
            direction = task.role == "direction"
            told, weight = block.classes if direction else block.returns
            target = told.astype(np.float64) - 1.0 if direction else told / unit
            learnt = torch.tensor(block.y) if direction else _floats(target)
            x = standard(_given(block, self.name).astype(np.float64), centre, scale)
            return Rows(_floats(x), learnt, _floats(target), _floats(weight))

        members = []
        for task in (self._direction(), self._return()):
            with _seeded(seed, threads):
                net = self._fitted(rows(fit, task), rows(tune, task), task, len(centre), seed)
            members.append(member(net, task, centre, scale, unit))
        return tuple(members)

    def _direction(self) -> Task:
        return Task(
            "direction",
            3,
            lambda raw, y, weight: focal(raw, y, weight, self.focal),
            lambda raw: torch.softmax(raw, dim=1)[:, 2] - torch.softmax(raw, dim=1)[:, 0],
        )

    def _return(self) -> Task:
        if self.quantiles:
            return Task("return", len(QUANTILES), pinball, lambda raw: raw.mean(dim=1))
        return Task("return", 1, huber, lambda raw: raw[:, 0])

    def _fitted(self, fit: Rows, tune: Rows, task: Task, n_channels: int, seed: int) -> Network:
        """The network of the epoch that is best on the tune rows."""
        net = Network(n_channels, self.hidden, task.n_outputs, self.dropout)
        steps = torch.optim.AdamW(
            net.parameters(), lr=self.learning_rate, weight_decay=self.shrinkage
        )
        draw = torch.Generator().manual_seed(seed)
        best, best_loss, best_epoch = deepcopy(net), float("inf"), 0
        for epoch in range(1, MAX_EPOCHS + 1):
            net.train()
            order = torch.randperm(len(fit.x), generator=draw)
            for batch, some in enumerate(order.split(_BATCH), start=1):
                loss = self._loss(net, fit.take(some), task)
                _check(task, loss, f"epoch {epoch}, batch {batch}")
                steps.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), _LONGEST_STEP)
                steps.step()
            net.eval()
            with torch.no_grad():
                loss = self._loss(net, tune, task)
            _check(task, loss, f"epoch {epoch}, the tune rows")
            if float(loss) < best_loss:
                best, best_loss, best_epoch = deepcopy(net), float(loss), epoch
            elif epoch - best_epoch >= STOP_AFTER:
                break
        return best

    def _loss(self, net: Network, rows: Rows, task: Task) -> Tensor:
        raw = net(rows.x)
        loss = task.loss(raw, rows.learnt, rows.weight)
        if self.spread == 0.0:
            return loss
        return loss + self.spread * collapsed(task.said(raw), rows.target, rows.weight)


def usual(sequences: Sequences) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each channel; 0 and 1 where it has no spread."""
    values = sequences.reshape(-1, sequences.shape[-1])
    seen = ~np.isnan(values)
    n = np.maximum(seen.sum(axis=0), 1)
    told = np.where(seen, values, 0.0).astype(np.float64)
    centre = told.sum(axis=0) / n
    spread = np.sqrt((np.where(seen, told - centre, 0.0) ** 2).sum(axis=0) / n)
    return centre, np.where(spread > 0.0, spread, 1.0)


def member(net: Network, task: Task, centre: Floats, scale: Floats, unit: float) -> Member:
    """The network as numbers; a return times `unit`, of quantiles their mean."""
    weights = {
        name: each.detach().numpy().astype(np.float64) for name, each in net.named_parameters()
    }
    head, head_bias = weights["head.weight"].T, weights["head.bias"]
    if task.role == "return":
        head = unit * head.mean(axis=1, keepdims=True)
        head_bias = unit * head_bias.mean(keepdims=True)
    text = Lstm(
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        inputs=_matrix(weights["lstm.weight_ih_l0"].T),
        recurrent=_matrix(weights["lstm.weight_hh_l0"].T),
        bias=tuple((weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]).tolist()),
        head=_matrix(head),
        head_bias=tuple(head_bias.tolist()),
    )
    return Member(
        role=task.role,
        format="sequence",
        text=msgspec.json.encode(text).decode(),
        learner=Sequence.name,
    )


def _matrix(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


def _floats(values: Floats) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _given(block: Block, name: str) -> Sequences:
    if block.sequence is None:
        raise TrainingRefused(
            f"{name}: expected rows with their sequences of panes, got vectors alone; replay the "
            "history, or build the dataset with --sequences"
        )
    return block.sequence


def _check(task: Task, loss: Tensor, where: str) -> None:
    if not bool(torch.isfinite(loss)):
        raise TrainingRefused(
            f"{Sequence.name}: expected a finite loss of the {task.role}, got {loss.item()} in "
            f"{where}; look at the returns and weights of these rows, or learn more slowly"
        )


@contextmanager
def _seeded(seed: int, threads: int) -> Iterator[None]:
    """The process's own random state and threads are as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
