"""The rules model: scores before the first trained model, and when that one expires.

    evidence = NEWS x decayed sum of relevance x polarity
             + MOMENTUM x recent return in units of its volatility
    logits   = (-evidence, NEUTRAL, +evidence)

Without news, momentum alone stays under the neutral logit: NEUTRAL.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.scorer import Score, calibrated

NEWS = 4.0  # one relevant article of polarity 0.6, just in, gives P(bullish) about 0.8
MOMENTUM = 0.2  # per standard deviation, at most 3 of them
NEUTRAL = 1.0
_MOST_NEWS = 2.0
_MOST_SIGMAS = 3.0

# The first name that the feature set has is read; return and volatility are over one window.
_SENTIMENT = ("sentiment_decay_30m", "sentiment_decay_6h")
_RETURN = ("return_log_1h", "return_log_5d")
_VOLATILITY = ("volatility_realised_1h", "volatility_realised_5d")
_HORIZONS = {"intraday": ("30m", 1800.0), "daily": ("1d", 86_400.0)}


class RulesModel:
    """Deterministic and untrained; a missing feature counts as no evidence.

    Parameters
    ----------
    names : the feature set's names, in the order of the vectors.
    threshold : least confidence of an actionable signal, 0..1.
    horizon, horizon_s : default by feature set: 30m for intraday, 1d for daily.
    """

    name = "rules"
    version = "rules-1"
    trained_until_us: int | None = None
    sentiment_model: str | None = None
    reads_sequence = False

    def __init__(
        self,
        feature_set: str,
        version: int,
        names: Sequence[str],
        threshold: float = 0.65,
        horizon: str | None = None,
        horizon_s: float | None = None,
    ) -> None:
        usual, usual_s = _HORIZONS.get(feature_set, _HORIZONS["daily"])
        self.feature_set = feature_set
        self.feature_set_version = version
        self.threshold = threshold
        self.horizon = horizon or usual
        self.horizon_s = usual_s if horizon_s is None else horizon_s
        self._sentiment = _first(names, _SENTIMENT)
        self._return = _first(names, _RETURN)
        self._volatility = _first(names, _VOLATILITY)

    def score(self, features: Sequence[float | None], sequence: bytes | None = None) -> Score:
        """Probabilities from the evidence; no expected return."""
        news = _read(features, self._sentiment)
        evidence = 0.0 if news is None else NEWS * max(-_MOST_NEWS, min(_MOST_NEWS, news))
        step, sigma = _read(features, self._return), _read(features, self._volatility)
        if step is not None and sigma is not None and sigma > 0.0:
            sigmas = max(-_MOST_SIGMAS, min(_MOST_SIGMAS, step / sigma))
            evidence += MOMENTUM * sigmas
        return Score(*calibrated((-evidence, NEUTRAL, evidence), 1.0, (0.0, 0.0, 0.0)), None)

    def unlike(self, features: Sequence[float | None]) -> bool:
        """Never: it was trained on nothing."""
        return False


def _first(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _read(features: Sequence[float | None], at: int | None) -> float | None:
    return None if at is None else features[at]
