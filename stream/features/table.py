"""The feature table as Markdown: `python -m stream.features.table > docs/features.md`."""

from __future__ import annotations

import sys

from stream.features.stories import REPRINT
from stream.features.vector import FEATURE_SETS, FeatureSet

HEAD = """# Features

Made by `python -m stream.features.table`; do not edit. Missing is None; zero is a value. Windows in
time are (cut - w, cut]: a pane counts when it ends inside. Names are `<signal>_<stat>_<window>`;
`p` counts panes of one minute that traded, `d` in the daily set counts bars (news: times 24 hours).

Features against the market see the newest MarketPane that counts, and those before (market.md);
their windows are market intervals, those in which the symbol itself traded.

A news item is a re-print when an earlier one of the symbol tells {reprint:.0%} of its text or more;
re-prints count in `source_count` and `news_reprinted` only. `news_novel` sums, over the others,
1 - the largest share of an item's text that one earlier item tells.
"""


def table() -> str:
    """Markdown of all feature sets."""
    return HEAD.format(reprint=REPRINT) + "".join(
        f"\n{section(each)}" for each in FEATURE_SETS.values()
    )


def section(feature_set: FeatureSet) -> str:
    """Markdown of one feature set."""
    panes = "one pane a bar" if feature_set.pane_us is None else f"{feature_set.pane_us // 10**6} s"
    lines = [
        f"## `{feature_set.name}` version {feature_set.version}",
        "",
        f"{len(feature_set.names)} features; panes: {panes}; warm after "
        f"{feature_set.warmup_panes} panes; news of {feature_set.news_window.name}, each "
        f"compared with those of the {feature_set.story_window.name} before it.",
        "",
        "| name | unit | window | range | missing |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{each.name}` | {each.unit} | {each.window} | {each.range} | {each.missing} |"
        for each in feature_set.features
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
