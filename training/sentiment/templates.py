"""Sentences of our own about companies, by class: what tweets about stocks seldom say.

Tweets teach a model slang and cashtags; company news is written in whole sentences about results,
orders, plans and courts. Written without looking at any data set that models are judged on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.sentiment.model import Probabilities
from training.sentiment.labelled import Labelled

SOURCE = "templates"
_WORDS = {
    "company": (
        "Halden Energy", "Norvik", "Kestrel Foods", "Brightwater", "Orsay Telecom",
        "Calderon Steel", "Mirova Health", "Pinefield Bank", "Tarn Logistics", "Avelo Motors",
        "Quarry Street Capital", "Sundby Shipping", "Lumen Optics", "Redwood Paper",
        "Castor Pharma", "Delmar Retail",
        "Ostrava Tools", "Verity Insurance", "Bluepeak Software", "Granite Homes",
    ),
    "other": (
        "a European utility", "the city of Leeds", "its largest rival", "a Japanese carmaker",
        "the defence ministry", "a Gulf sovereign fund", "two regional hospitals", "Arden Group",
    ),
    "profit": (
        "operating profit", "net profit", "pretax profit", "earnings", "net income", "EBITDA",
        "earnings per share", "quarterly profit",
    ),
    "sales": ("net sales", "revenue", "turnover", "sales", "order intake", "like-for-like sales"),
    "small": ("2", "3.1", "4", "5.5", "7", "8.2"),
    "large": ("12", "15", "18.4", "21", "27", "35", "48"),
    "money": (
        "$12 million", "EUR 4.3 million", "GBP 85 million", "$1.2 billion", "EUR 310 million",
        "$640 million", "SEK 2.1 billion", "9.8 million euros",
    ),
    "less": ("$3 million", "EUR 1.1 million", "GBP 22 million", "$210 million", "EUR 95 million"),
    "period": (
        "in the first quarter", "in the third quarter", "in the first half", "for the full year",
        "in the fiscal year", "over the past nine months", "year on year",
    ),
    "place": ("Spain", "Poland", "northern Italy", "Texas", "Vietnam", "Canada", "South Africa"),
    "product": (
        "turbines", "payment terminals", "heart pumps", "packaging board", "cloud software",
        "fibre networks", "electric buses", "frozen meals", "mining trucks",
    ),
    "title": ("chief executive", "chief financial officer", "chairman", "head of research"),
    "month": ("January", "March", "May", "September", "November"),
    "many": ("120", "300", "650", "1,400", "2,000"),
}  # fmt: skip
_NEGATIVE = (
    "{company}'s {profit} fell {large}% {period}, hurt by weak demand for {product}",
    "{company} swung to a loss of {money} {period} from a profit of {less} a year earlier",
    "{company}'s loss widened to {money} {period}",
    "{sales} at {company} dropped to {less} from {money} {period}",
    "{profit} decreased to {less} from {money} in the same period last year",
    "{company} cuts its full-year outlook as costs rise faster than prices",
    "{company} warned that {profit} will come in well below its earlier forecast",
    "{company} will cut {many} jobs and close its plant in {place}",
    "{company} starts talks on temporary layoffs of {many} workers",
    "{company} suspends its dividend to save cash",
    "{company} shares slid {small}% after the {title} resigned without notice",
    "{company} shares plunge {large}% as results miss expectations",
    "Regulators fined {company} {money} over faulty {product}",
    "{company} is being sued by {other} for breach of contract",
    "Prosecutors in {place} open a fraud investigation into {company}",
    "{company} recalls {product} after reports of injuries",
    "{company} lost its contract with {other} to supply {product}",
    "Analysts downgraded {company} to sell, citing shrinking margins",
    "A credit agency put {company} on review for a downgrade because of its debt",
    "{company} has filed for protection from its creditors",
    "{company} writes down the value of its business in {place} by {money}",
    "The order book of {company} shrank {large}% {period}",
    "Production of {product} at {company} was halted after a fire",
    "{company} postponed the launch of its {product} because of quality problems",
    "{company} said that tough competition and falling prices in {place} weighed on margins",
    "{company} loses market share in {product} to cheaper rivals",
    "A trial of {company}'s main drug failed to meet its goal",
    "{company} missed an interest payment on its bonds",
)
_NEUTRAL = (
    "{company} will publish its results on {month} 14",
    "{company} is headquartered in {place} and employs {many} people",
    "{company} makes {product} for customers in {place}",
    "The annual general meeting of {company} will be held in {month}",
    "{company} has appointed a new {title}, who takes office in {month}",
    "The {title} of {company} will speak at a conference in {place}",
    "{company}'s share capital consists of {many} thousand shares with one vote each",
    "{sales} of {company} amounted to {money} {period}",
    "{company} was founded in 1962 and is listed in Frankfurt",
    "The value of the transaction was not disclosed",
    "{company} will move its office in {place} to a new address",
    "{company} said the terms of its agreement with {other} stay unchanged",
    "The board of {company} consists of seven members",
    "{company} expects {profit} to be about the same as last year",
    "{company}'s {profit} was unchanged at {money} {period}",
    "{company} plans to build a warehouse in {place}, its {title} told a newspaper",
    "{company} has changed the name of its unit in {place}",
    "{company} and {other} are holding talks, the companies confirmed without details",
    "The report on {product} can be read on the website of {company}",
    "{company} transfers its shares to another segment of the exchange in {month}",
    "The offer period for shares of {company} starts in {month}",
    "Trading in {company} was quiet ahead of the central bank's meeting",
    "{company} issued {many} thousand options to its employees under an earlier programme",
    "The unit in {place} has sales of {less} and {many} employees",
    "{company} notified the exchange of a change in a major holding",
    "The project of {company} in {place} covers an area of {many} square metres",
)
_POSITIVE = (
    "{company}'s {profit} rose {large}% {period}, helped by strong demand for {product}",
    "{company} swung to a profit of {money} {period} from a loss of {less} a year earlier",
    "{company}'s loss narrowed to {less} from {money} {period}",
    "{sales} at {company} grew to {money} from {less} {period}",
    "{profit} increased to {money} from {less} in the same period last year",
    "{company} raises its full-year outlook after a record quarter",
    "{company} said that {profit} will come in clearly above its earlier forecast",
    "{company} hires {many} people in {place} to meet demand",
    "{company} has won an order worth {money} from {other}",
    "{company} will supply {product} to {other} under a five-year contract",
    "{other} has chosen {company} as its partner for {product}",
    "{company} signed an agreement with {other} to sell {product} in {place}",
    "{company} raises its dividend by {large}% and announces a buyback of {money}",
    "{company} shares gained {small}% after results beat expectations",
    "{company} shares jump {large}% to a record high",
    "Analysts upgraded {company} to buy, citing better margins",
    "A credit agency raised its rating of {company} on lower debt",
    "Regulators approved {company}'s new {product}",
    "A court dismissed the suit of {other} against {company}",
    "{company} expands its capacity for {product} in {place}",
    "{company} opens a new plant in {place} to meet growing demand",
    "{company} launches {product} that use {large}% less energy",
    "The order book of {company} grew {large}% {period}",
    "{company} gains market share in {product} for the third year",
    "{company} expects the deal with {other} to lift {profit} from next year on",
    "Cost savings of {money} lifted the margin of {company} {period}",
    "A trial of {company}'s main drug met its goal",
    "{company} repaid {money} of debt earlier than planned",
    "{company}'s {product} won an award for the best design",
)  # fmt: skip
PATTERNS = (_NEGATIVE, _NEUTRAL, _POSITIVE)


def sentences(*, seed: int, each: int = 18, weight: float = 0.5) -> Iterator[Labelled]:
    """`each` fillings of every pattern, all different."""
    rng = random.Random(seed)
    for label, patterns in enumerate(PATTERNS):
        target = Probabilities(*(float(label == other) for other in range(3)))
        for pattern in patterns:
            made: dict[str, None] = {}
            while len(made) < each:
                words = {name: rng.choice(choices) for name, choices in _WORDS.items()}
                text = pattern.format(**words)
                made[text[0].upper() + text[1:]] = None
                if "{" not in pattern or (pattern.count("{") == 1 and len(made) >= 8):
                    break
            yield from (Labelled(text, target, weight, SOURCE) for text in made)
