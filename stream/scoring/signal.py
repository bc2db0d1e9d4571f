"""From what is due and what the model said to the signal, its reasons and its abstention."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from models.scorer import Score, Scorer
from stream.events import (
    Direction,
    Freshness,
    ModelRef,
    ModelRole,
    Probabilities,
    Signal,
    moment,
)
from stream.features.news import FOREIGN_SHARE
from stream.scoring.due import Due
from stream.scoring.policy import Policy


def build_signal(
    due: Due,
    scorer: Scorer,
    policy: Policy,
    policy_id: str,
    positions: Mapping[str, int],
    *,
    set_off_by: str,
    rules_because: str | None,
    role: ModelRole = "champion",
    build: str,
    emitted_at_us: int,
) -> Signal:
    """The signal for `due`, scored by `scorer`.

    Parameters
    ----------
    rules_because : why the rules model speaks in the champion's place; None when it does not.
    role : whose place `scorer` has, where the rules model has not.
    positions : for each input topic the last offset applied in this partition.
    build : names the code and platform that computes; outside the signal's identity.
    set_off_by : the topic of the last of those records.
    emitted_at_us : wall clock in microseconds; outside the signal's identity.
    """
    score = scorer.score(due.vector, due.sequence)
    direction = direction_of(score)
    confidence = max(score.bullish, score.bearish)
    model_age_s = (
        None
        if scorer.trained_until_us is None
        else max(0.0, (due.as_of - scorer.trained_until_us) / 1e6)
    )
    freshness = Freshness(
        last_tick_age_s=_age_s(due.as_of, due.last_tick_at),
        last_news_age_s=_age_s(due.as_of, due.last_news_at),
        model_age_s=model_age_s,
    )
    abstain = abstain_reason(
        due, scorer, policy, direction, confidence, freshness, rules_because=rules_because
    )
    key = digest(
        "score", due.symbol, scorer.horizon, policy.feature_set, due.trigger, due.trigger_ref
    )
    features = dict(zip(policy.features.names, due.vector, strict=True))
    return Signal(
        signal_id=digest(key, str(due.revision)),
        signal_key=key,
        revision=due.revision,
        symbol=due.symbol,
        as_of=moment(due.as_of),
        valid_until=moment(due.as_of + int(scorer.horizon_s * 1e6)),
        horizon=scorer.horizon,
        trigger=due.trigger,
        trigger_ref=due.trigger_ref,
        direction=direction,
        probabilities=Probabilities(
            bearish=score.bearish, neutral=score.neutral, bullish=score.bullish
        ),
        confidence=confidence,
        score=score.bullish - score.bearish,
        expected_return_bps=score.expected_return_bps,
        actionable=abstain is None,
        abstain_reason=abstain,
        model=ModelRef(
            name=scorer.name,
            version=scorer.version,
            role=role if rules_because is None else "rules",
        ),
        feature_set=policy.feature_set,
        feature_set_version=policy.feature_set_version,
        policy_id=policy_id,
        build=build,
        features=features,
        reasons=reasons(due, features, rules_because),
        evidence=due.evidence,
        sentiment_models=tuple(sorted(due.sentiment_models)),
        positions=dict(positions),
        set_off_by=set_off_by,
        freshness=freshness,
        emitted_at=moment(emitted_at_us),
    )


def digest(*parts: str) -> str:
    """Thirty-two hex digits that name `parts`, in order."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def direction_of(score: Score) -> Direction:
    """The likeliest class; NEUTRAL on a tie."""
    if score.bullish > max(score.neutral, score.bearish):
        return "BULLISH"
    if score.bearish > max(score.neutral, score.bullish):
        return "BEARISH"
    return "NEUTRAL"


def abstain_reason(
    due: Due,
    scorer: Scorer,
    policy: Policy,
    direction: Direction,
    confidence: float,
    freshness: Freshness,
    *,
    rules_because: str | None,
) -> str | None:
    """Why nobody should act on the signal, the gravest reason first; None when one may."""
    if not due.warm:
        return f"warming up: under {policy.features.warmup_panes} panes of prices"
    age_s = freshness.last_tick_age_s
    if age_s is None or age_s > policy.staleness_s:
        came = "no price yet" if age_s is None else f"last price {age_s:.0f} s old"
        return f"stale prices: {came}, at most {policy.staleness_s:g} s expected"
    if rules_because is not None and not policy.rules_may_act:
        return rules_because
    if foreign := _foreign_sentiment(due, scorer):
        return foreign
    if scorer.unlike(due.vector):
        return "input unlike the training data"
    if direction == "NEUTRAL":
        return "direction is NEUTRAL"
    if confidence < scorer.threshold:
        return f"confidence {confidence:.3f} is under the threshold {scorer.threshold:.3f}"
    return None


def _foreign_sentiment(due: Due, scorer: Scorer) -> str | None:
    if scorer.sentiment_model is None or not due.sentiment_models:
        return None
    total = sum(due.sentiment_models.values())
    foreign = total - due.sentiment_models.get(scorer.sentiment_model, 0)
    if foreign <= FOREIGN_SHARE * total:
        return None
    return (
        f"{foreign} of {total} sentiment scores come from another model than "
        f"{scorer.sentiment_model}, which this artifact was trained on"
    )


def _age_s(as_of: int, at: int | None) -> float | None:
    return None if at is None else max(0.0, (as_of - at) / 1e6)


# What a person wants to read first, whichever of these the feature set has.
_SENTENCES = (
    ("sentiment_mean_1h", "mean news sentiment over 1 h is {:+.2f}"),
    ("sentiment_mean_1d", "mean news sentiment over 1 day is {:+.2f}"),
    ("return_log_5m", "return over 5 minutes is {:+.2%}"),
    ("return_log_1h", "return over 1 hour is {:+.2%}"),
    ("return_log_1d", "return over 1 session is {:+.2%}"),
    ("return_log_20d", "return over 20 sessions is {:+.2%}"),
)
_STATUS = {
    "published": "article {} came in",
    "corrected": "article {} was corrected (revision {})",
    "retracted": "article {} was retracted (revision {})",
}


def reasons(
    due: Due, features: Mapping[str, float | None], rules_because: str | None
) -> tuple[str, ...]:
    """Sentences that say what set the signal off and what the score rests on."""
    said = []
    if due.trigger == "news":
        said.append(_STATUS[due.status].format(due.trigger_ref, due.revision))
    elif due.trigger == "pane":
        said.append(f"the pane that ended {moment(due.cut).isoformat()} closed")
    else:
        said.append(f"a trade at {due.price}")
    for name, sentence in _SENTENCES:
        value = features.get(name)
        if value is not None:
            said.append(sentence.format(value))
    if due.evidence:
        said.append(f"{len(due.evidence)} articles in evidence")
    if rules_because is not None:
        said.append(f"scored by the rules model: {rules_because}")
    return tuple(said)
