"""Headlines made from templates, the ways a feed rewrites them, and their hard negatives.

A hard negative is the same sentence about another company, number, period or direction.
"""

from __future__ import annotations

import random
import re
from typing import NamedTuple

COMPANIES = (
    "Apple", "Tesla", "Microsoft", "Nvidia", "Amazon", "Boeing", "Pfizer", "Nike", "Walmart",
    "Ford Motor", "General Motors", "JPMorgan Chase", "Goldman Sachs", "Bank of America",
    "Exxon Mobil", "Chevron", "Delta Air Lines", "United Airlines", "AT&T", "Verizon", "Netflix",
    "Walt Disney", "Coca-Cola", "PepsiCo", "Procter & Gamble", "Johnson & Johnson", "Merck",
    "Moderna", "Intel", "Advanced Micro Devices", "Cisco", "Oracle", "Salesforce", "Adobe",
    "Starbucks", "McDonald's", "Home Depot", "Lowe's", "Caterpillar", "Deere",
)  # fmt: skip
OPPOSITES = (
    ("beats", "misses"), ("tops", "trails"), ("rise", "fall"), ("jump", "drop"), ("raises", "cuts"),
    ("surge", "plunge"), ("upgraded", "downgraded"), ("gains", "loses"), ("wins", "loses"),
    ("higher", "lower"), ("up", "down"), ("approves", "rejects"), ("hires", "fires"),
    ("profit", "loss"), ("above", "below"), ("strong", "weak"), ("buy", "sell"),
)  # fmt: skip
TEMPLATES = (
    "{co} {beats} quarterly estimates, {raises} full-year outlook to ${n} billion",
    "{co} shares {jump} {p}% after earnings, revenue of ${n} billion {tops} forecasts",
    "{co} {raises} dividend by {p}%, announces ${n} billion buyback",
    "{co} {upgraded} to {buy} at Morgan Stanley, price target ${d}",
    "{co} reports {quarter} {profit} of ${n} a share, {above} analysts' consensus",
    "{co} to hire {k} workers in Texas as demand for its products stays {strong}",
    "Judge {approves} {co}'s ${n} billion settlement with investors over {year} disclosures",
    "{co} {wins} ${n} billion Pentagon contract, edging out two European rivals",
    "{co} stock closes {higher} for the {d}th session, longest streak since {year}",
    "{co} recalls {k} vehicles, citing a faulty software update",
    "FDA {approves} {co} drug for rare blood disease; launch planned in {quarter} {year}",
    "{co} CEO steps down after {d} months; finance chief to take over in {month}",
    "Analysts at Citi see {co} {up} {p}% this year, citing {strong} cloud demand",
    "{co} in talks to buy smaller rival for ${n} billion, people familiar with the matter say",
    "{co} to close {d} stores in {month}, cut {k} jobs",
    "{co} {quarter} revenue {up} {p}% year on year, operating margin at {p2}%",
    "EU regulators fine {co} {n} billion euros over advertising practices",
    "{co} sells ${n} billion of {d}-year bonds, order book more than {p2} times covered",
    "{co} options traders bet on a {p}% move before results on {month} {d}",
    "Hedge fund takes {p}% stake in {co}, pushes for board seats and a breakup",
    "{co} {gains} market share in China; deliveries {rise} to {k} units in {month}",
    "{co} insiders {buy} {k} shares at ${d} in open-market transactions",
    "Short interest in {co} {jump}s to {p}% of float, a {year} record",
    "{co} sets {month} {d} shareholder vote on planned ${n} billion merger",
    "Moody's changes {co} outlook, cites debt of ${n} billion and {strong} cash flow",
    "{co} guides {quarter} EPS of ${n} to ${n2}, {below} the Street view of ${n3}",
    "{co} {surge} {p}% premarket: what traders are watching today",
    "{co} expands factory in Ohio with ${n} billion investment, creating {k} jobs",
    "Union at {co} plants {approves} {d}-month labour deal, ending a strike by {k} workers",
    "{co} data breach exposed records of {k} customers, company says in a filing",
    "{co} delays flagship product launch to {month} {year}, suppliers' shares {fall}",
    "Why {co} shares are trading {higher} by {p}% in Monday's session",
)
MONTHS = ("January", "March", "May", "July", "September", "November")
QUARTERS = ("first-quarter", "second-quarter", "third-quarter", "fourth-quarter", "Q1", "Q2", "Q3")
BODY = (
    " The company said the decision followed a review of its operations. Management will hold a"
    " call with investors on Thursday morning. Analysts had been waiting for details for weeks,"
    " and several had changed their models ahead of the announcement."
)
_SLOT = re.compile(r"\{(\w+)\}")
_WAYS = {word: pair for pair in OPPOSITES for word in pair}


class Headline(NamedTuple):
    """A sentence, and the same with one fact changed, by the fact (`co`: the company)."""

    text: str
    negatives: dict[str, str]


def headlines(seed: int, n: int) -> list[Headline]:
    """`n` headlines, each with a negative for every fact that it holds."""
    rng = random.Random(seed)
    return [headline(rng, TEMPLATES[i % len(TEMPLATES)]) for i in range(n)]


def headline(rng: random.Random, template: str) -> Headline:
    slots = list(dict.fromkeys(_SLOT.findall(template)))
    facts = {slot: _fact(rng, slot) for slot in slots}
    negatives = {}
    for slot in slots:
        other = facts[slot]
        while other == facts[slot]:
            other = _other(rng, slot, facts[slot])
        negatives[slot] = _filled(template, facts | {slot: other})
    return Headline(_filled(template, facts), negatives)


def _filled(template: str, facts: dict[str, str]) -> str:
    return _SLOT.sub(lambda found: facts[found[1]], template)


def _fact(rng: random.Random, slot: str) -> str:
    if slot in _WAYS:
        return rng.choice(_WAYS[slot])
    if slot == "co":
        return rng.choice(COMPANIES)
    if slot == "month":
        return rng.choice(MONTHS)
    if slot == "quarter":
        return rng.choice(QUARTERS)
    if slot == "year":
        return str(rng.randrange(1990, 2026))
    if slot == "k":
        return f"{rng.randrange(1, 900)},{rng.randrange(10)}00"
    if slot == "d":
        return str(rng.randrange(3, 29))
    if slot.startswith("p"):
        return f"{rng.uniform(0.5, 30):.1f}"
    return f"{rng.uniform(0.1, 60):.2f}".rstrip("0").rstrip(".")


def _other(rng: random.Random, slot: str, fact: str) -> str:
    if slot in _WAYS:
        return next(word for word in _WAYS[slot] if word != fact)
    return _fact(rng, slot)


# -- what feeds do to a headline -----------------------------------------------------------------


def punctuation(rng: random.Random, text: str) -> str:
    """Marks dropped or changed; those inside numbers and names stay."""
    text = re.sub(r"[;:,](?=\s)", lambda _: rng.choice(["", ";", " -", ","]), text)
    return text.replace("'", rng.choice(["'", "’"])) + rng.choice(["", ".", "!", "..", " ..."])


def case(rng: random.Random, text: str) -> str:
    return rng.choice([str.upper, str.lower, str.title, str.capitalize])(text)


def order(rng: random.Random, text: str) -> str:
    """The last clause first."""
    for mark in ("; ", ", ", ": ", " after ", " as "):
        head, found, tail = text.rpartition(mark)
        if found:
            return f"{tail.rstrip('.')}{rng.choice([', ', '; ', ' - '])}{head}"
    return text


def truncation(rng: random.Random, text: str) -> str:
    """60 to 90 % of the characters, at a word or in mid-word."""
    cut = text[: int(len(text) * rng.uniform(0.6, 0.9))]
    if rng.random() < 0.5:
        return cut.rpartition(" ")[0] + rng.choice(["", "...", " ...", "…"])
    return cut + rng.choice(["...", "…"])


def source_tag(rng: random.Random, text: str) -> str:
    return rng.choice([
        "{} - Reuters", "{} | Bloomberg", "{} (Reuters)", "{} -- CNBC", "{} via @MarketWatch",
        "Reuters: {}", "BREAKING: {}", "UPDATE 1-{}", "EXCLUSIVE - {}", "CORRECTED-{}",
        "(AP) - {}", "{} By Benzinga", "{} - Dow Jones Newswires", "{} | Seeking Alpha",
    ]).format(text)  # fmt: skip


def repost(rng: random.Random, text: str) -> str:
    return rng.choice(["RT @x: {}", "RT @stock_news {}", "rt @a: RT @b: {}"]).format(text)


def link(rng: random.Random, text: str) -> str:
    return rng.choice([
        "{} https://t.co/Ab3dE", "{} http://reut.rs/2x", "https://example.org/n/1 {}",
        "{} bit.ly/3x",
    ]).format(text)  # fmt: skip


def hashtags(rng: random.Random, text: str) -> str:
    return f"{text} {rng.choice(['#stocks', '#trading #news', '#earnings', '@traders'])}"


REWRITES = (punctuation, case, order, truncation, source_tag, repost, link, hashtags)


def rewritten(rng: random.Random, text: str, n_ways: int) -> str:
    """The text after `n_ways` different rewrites: the words first, then what feeds put around."""
    ways = rng.sample(REWRITES, n_ways)
    for way in REWRITES:
        if way in ways:
            text = way(rng, text)
    return text
