"""Progress bars on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from stream.events import moment


@contextmanager
def load_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A spinner with the past time reached; call it with (time in us, events so far)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f} events"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task(name, total=None)

        def reached(at_us: int, n_events: int) -> None:
            when = moment(at_us).strftime("%Y-%m-%d %H:%M")
            bar.update(task, completed=n_events, description=f"{name} {when}")

        yield reached


@contextmanager
def step_progress(name: str) -> Iterator[Callable[[str, float | None], None]]:
    """A bar over [0, 1] with the name of the step; call it with (step, share done).

    A share of None leaves the bar where it is.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=1.0)
        yield lambda step, share: bar.update(task, completed=share, description=f"{name}: {step}")
