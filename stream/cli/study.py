"""Verbs that ask stored history for more than the direction: study timing, sentiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.again import again
from stream.cli.extras import needs
from stream.cli.files import ReportOption, in_a_folder
from stream.cli.last_demo import stored
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.cli.search import LearnerOption
from stream.errors import Refused
from stream.settings import Settings, read_settings

if TYPE_CHECKING:
    from training.study.enhancement_judged import EnhancementFound
    from training.study.horizons import Horizons
    from training.study.timing_judged import TimingFound

study = typer.Typer(
    help="Other questions to the rows of a training: timing, sentiment.", no_args_is_help=True
)
HorizonsOption = Annotated[
    str | None, typer.Option(metavar="30m,1d", help="To compare; default: one of each length.")
]
DatasetsOption = Annotated[
    list[Path] | None,
    typer.Option("--from", exists=True, file_okay=False, help="Datasets, one a horizon."),
]
SeedOption = Annotated[int, typer.Option(help="Of every random choice.")]
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Parquet file of enhanced labels to write.",
        dir_okay=False,
        writable=True,
        callback=in_a_folder,
    ),
]
Tell = Callable[[str, float], None]
_REPLAY_SHARE = 0.5  # of the progress


@study.command()
def timing(
    horizons: HorizonsOption = None,
    datasets: DatasetsOption = None,
    seed: SeedOption = 0,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Which horizon pays most on the model's side, after costs and per unit of risk.

    Rows without a label at every horizon are left out. Without TAPEWIRE_DATABASE it studies the
    last demo. Nothing is stored or promoted.

    Example: tapewire study timing --horizons 30m,1d --report timing.html
    """
    with needs("study timing", "train"):
        from training.study import timing as learnt
        from training.study.timing_judged import judge_timing
        from training.study.timing_report import HEAD, html_report, lines

    if horizons is not None and datasets:
        raise Refused("--horizons: expected none with --from: a dataset is of one horizon")
    settings = read_settings()
    with _learning("study timing") as progress:
        rows = _horizons(settings, horizons, datasets, progress)
        timed = learnt.timing(rows, seed=seed, progress=_rest(progress))
        found = judge_timing(timed, seed=seed)
    if report is not None:
        of = [word for each in datasets or () for word in ("--from", str(each))]
        same = again(settings, "study", "timing", *of, horizons=horizons, seed=seed)
        report.write_text(html_report(found, timed, same), "utf-8")
    _tell(found, {HEAD: lines(found)}, as_json)


@study.command()
def sentiment(
    horizon: Annotated[
        str | None, typer.Option(help="Of the reaction, e.g. 30m or 1d; docs/labels.md.")
    ] = None,
    learner: LearnerOption = "lightgbm+linear",
    seed: SeedOption = 0,
    out: LabelsOption = None,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What text scores should have been, given the reaction, and whether that can be foretold.

    Without TAPEWIRE_DATABASE it studies the last demo. Nothing is stored or promoted.

    Example: tapewire study sentiment --horizon 1d --out labels.parquet --report sentiment.html
    """
    with needs("study sentiment", "train"):
        from training.learners.named import learner as named
        from training.study.enhanced_labels import write_labels
        from training.study.enhancement import enhance
        from training.study.enhancement_judged import judge_enhancement
        from training.study.enhancement_report import (
            HEAD,
            STORIES_HEAD,
            html_report,
            lines,
            story_lines,
        )
        from training.study.stored import stored_articles

    from stream.scoring.configured import policy_of

    given = read_settings()
    with _learning("study sentiment") as progress:
        chosen = named(learner)
        with stored(given) as settings:
            policy, dsn = policy_of(settings), settings.database.get_secret_value()
            said = stored_articles(dsn, settings.namespace, policy, horizon, _replay(progress))
        names = policy.features.news_names
        enhanced = enhance(said, chosen, names, seed=seed, progress=_rest(progress))
        found = judge_enhancement(enhanced, seed=seed)
    if out is not None:
        write_labels(out, enhanced, chosen.name, seed)
    if report is not None:
        same = again(settings, "study", "sentiment", horizon=horizon, learner=learner, seed=seed)
        report.write_text(html_report(found, enhanced, same), "utf-8")
    _tell(found, {HEAD: lines(found), STORIES_HEAD: story_lines(found)}, as_json)


def _horizons(
    given: Settings, names: str | None, datasets: Sequence[Path] | None, progress: Tell
) -> Horizons:
    from stream.scoring.configured import policy_of
    from training.dataset.load import load_dataset
    from training.study.horizons import joined
    from training.study.stored import stored_horizons

    if datasets:
        return joined([load_dataset(each) for each in datasets])
    wanted = None if names is None else names.split(",")
    with stored(given) as settings:
        policy, dsn = policy_of(settings), settings.database.get_secret_value()
        return stored_horizons(dsn, settings.namespace, policy, wanted, _replay(progress))


@contextmanager
def _learning(verb: str) -> Iterator[Tell]:
    """Progress on stderr; what cannot be learnt from is Refused, exit code 2."""
    from training.errors import TrainingRefused

    try:
        with step_progress(verb) as progress:
            yield progress
            progress("done", 1.0)
    except TrainingRefused as error:
        raise Refused(f"{verb}: {error}") from None


def _replay(progress: Tell) -> Tell:
    return lambda step, share: progress(step, _REPLAY_SHARE * share)


def _rest(progress: Tell) -> Tell:
    return lambda step, share: progress(step, _REPLAY_SHARE + (1.0 - _REPLAY_SHARE) * share)


def _tell(
    found: TimingFound | EnhancementFound,
    tables: Mapping[tuple[str, ...], Sequence[tuple[str, ...]]],
    as_json: bool,
) -> None:
    """The answer on stdout: tables and a sentence, or everything as one JSON line."""
    if as_json:
        facts = {**msgspec.structs.asdict(found), "sentence": found.sentence}
        print(msgspec.json.encode(facts).decode())
        return
    console = Console()
    for head, lines in tables.items():
        table = Table(*head)
        for line in lines:
            table.add_row(*line)
        console.print(table)
    print(found.sentence)
    print(f"{found.verdict.says} {found.verdict.reason}".strip())
