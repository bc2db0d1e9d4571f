"""The command line's root: its verbs, its errors, its exit codes.

0 done; 1 a check found something wrong; 2 a setting or state does not fit; 3 a model was refused by
its gates; 4 signals come from another build; 5 a server is away; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import typer

from stream.cli import (
    backtest,
    benchmark,
    cache,
    compare,
    dataset,
    demo,
    dlq,
    drift,
    explain,
    learn,
    look,
    models,
    outcomes,
    prove,
    rescore,
    returns,
    run,
    schedule,
    sentiment,
    served,
    study,
    validate,
)
from stream.cli.process import exit_code, log_to_stderr

app = typer.Typer(
    name="tapewire",
    help="News and ticks in over Kafka, explained signals out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 a check failed, 2 a setting does not fit, 3 a model was refused, "
    "4 signals of another build, 5 a server is away, 130 stopped by Ctrl-C. "
    "Settings: TAPEWIRE_* (README, Settings).",
)
app.command()(demo.demo)
app.command()(run.worker)
app.command()(run.migrate)
app.command()(run.load)
app.command()(look.tail)
app.command()(learn.retrain)
app.command()(validate.validate)
app.add_typer(dataset.dataset, name="dataset")
app.add_typer(study.study, name="study")
app.add_typer(models.models, name="models")
app.add_typer(sentiment.sentiment, name="sentiment")
sentiment.sentiment.command()(rescore.rescore)
sentiment.sentiment.command()(returns.train_returns)
app.command()(outcomes.outcomes)
app.command()(compare.compare)
app.command()(backtest.backtest)
app.add_typer(benchmark.benchmark, name="benchmark")
app.command()(prove.verify)
app.command()(served.served)
app.command()(drift.drift)
app.command()(schedule.schedule)
app.command()(explain.explain)
app.add_typer(dlq.dlq, name="dlq")
app.add_typer(cache.cache, name="cache")
app.command()(look.sql)
app.command()(look.schema)
app.command()(look.check)


def main() -> None:
    """Run the command line; every known error is one line on stderr."""
    log_to_stderr("warning")
    with exit_code():
        app()
