"""Features of one symbol's own panes: returns, volatility, flow, range, indicators."""

from __future__ import annotations

from math import fsum, log, sqrt

from stream.features.groups import Feature, Group, Values
from stream.features.indicators import (
    BOLLINGER_PANES,
    MACD_PANES,
    RSI_PANES,
    bollinger_b,
    macd_histogram,
    rsi_cutler,
)
from stream.features.view import View, Window

NO_PANE = "no pane in the window"
SHORT = "fewer panes than the window"


def returns(*windows: Window) -> Group:
    """Log return over each window."""

    def compute(view: View) -> Values:
        return [view.returns[window] for window in windows]

    missing = "no pane in the window, or no close before it (in time windows: within 30 min)"
    return Group(
        tuple(
            Feature(f"return_log_{w.name}", "log return", w.name, "(-inf, inf)", missing)
            for w in windows
        ),
        compute,
    )


def volatility(*windows: Window, tick: Window | None = None, base: Window) -> Group:
    """Root of the summed squared pane returns; between ticks; and the first window against base."""

    def sums(view: View, window: Window) -> tuple[float, int] | None:
        low = view.lows[window]
        if low is None or (low == 0 and window.panes):
            return None  # the first bar has no return
        return fsum(view.panes.pane_r2[low : view.high]), view.high - low

    def compute(view: View) -> Values:
        found = [sums(view, window) for window in windows]
        out: Values = [None if each is None else sqrt(each[0]) for each in found]
        if tick is not None:
            low = view.lows[tick]
            out.append(None if low is None else sqrt(fsum(view.panes.tick_r2[low : view.high])))
        short, usual = found[0], sums(view, base)
        if short is None or usual is None or usual[0] == 0.0:
            out.append(None)
        else:
            out.append(sqrt(short[0] / short[1] / (usual[0] / usual[1])))
        return out

    features = [
        Feature(f"volatility_realised_{w.name}", "log return", w.name, "[0, inf)", NO_PANE)
        for w in windows
    ]
    if tick is not None:
        name = f"volatility_tick_{tick.name}"
        features.append(Feature(name, "log return", tick.name, "[0, inf)", NO_PANE))
    name, missing = f"volatility_surprise_{windows[0].name}", "no pane, or no price moved"
    features.append(Feature(name, f"ratio to {base.name}", base.name, "[0, inf)", missing))
    return Group(tuple(features), compute)


FLOW = (
    ("volume_surprise", "ratio", "[0, inf)", "no pane in the window, or no volume in the base"),
    ("trades_surprise", "ratio", "[0, inf)", "no pane in the window, or no count in the base"),
    ("vwap_distance", "log ratio", "(-inf, inf)", "no volume"),
    ("imbalance_signed", "share", "[-1, 1]", "no volume"),
)


def flow(*windows: Window, base: Window) -> Group:
    """For each window: volume and trade count a pane against those of a longer base, log of the
    last close over the volume-weighted price, and signed volume over volume (tick rule; of a bar,
    the sign of its close - open)."""

    def compute(view: View) -> Values:
        panes, high = view.panes, view.high
        volumes, trades = panes.volumes, panes.trades
        base_low = view.lows[base]
        usual_volume = usual_trades = 0.0
        if base_low is not None:
            usual_volume = fsum(volumes[base_low:high]) / (high - base_low)
            usual_trades = sum(trades[base_low:high]) / (high - base_low)
        out: Values = []
        for window in windows:
            low = view.lows[window]
            if low is None:
                out += (None, None, None, None)
                continue
            n = high - low
            volume = fsum(volumes[low:high])
            out.append(volume / n / usual_volume if usual_volume > 0.0 else None)
            out.append(sum(trades[low:high]) / n / usual_trades if usual_trades > 0.0 else None)
            notional = fsum(panes.notionals[low:high]) if volume > 0.0 else 0.0
            if notional > 0.0:
                out.append(log(panes.closes[high - 1] * volume / notional))
                share = fsum(panes.signed[low:high]) / volume
                out.append(max(-1.0, min(1.0, share)))
            else:
                out += (None, None)
        return out

    return Group(
        tuple(
            Feature(
                f"{signal}_{w.name}",
                f"{unit} to {base.name}" if unit == "ratio" else unit,
                base.name if unit == "ratio" else w.name,
                span,
                missing,
            )
            for w in windows
            for signal, unit, span, missing in FLOW
        ),
        compute,
    )


def ranges(*windows: Window) -> Group:
    """Log of high over low, and where the last close stands between them."""

    def compute(view: View) -> Values:
        out: Values = []
        panes, high = view.panes, view.high
        for window in windows:
            low = view.lows[window]
            if low is None:
                out += (None, None)
                continue
            top, bottom = max(panes.highs[low:high]), min(panes.lows[low:high])
            out.append(log(top / bottom))
            close = panes.closes[high - 1]
            out.append((close - bottom) / (top - bottom) if top > bottom else None)
        return out

    features = []
    for w in windows:
        features += [
            Feature(f"range_log_{w.name}", "log ratio", w.name, "[0, inf)", NO_PANE),
            Feature(f"range_position_{w.name}", "share", w.name, "[0, 1]", "no range"),
        ]
    return Group(tuple(features), compute)


def illiquidity(window: Window) -> Group:
    """Amihud: mean size of the pane return per million traded."""

    def compute(view: View) -> Values:
        low = view.lows[window]
        if low is None:
            return [None]
        n = sum(view.panes.impact_counts[low : view.high])
        return [fsum(view.panes.impacts[low : view.high]) / n if n else None]

    name = f"illiquidity_amihud_{window.name}"
    missing = "no pane with volume and a neighbour"
    feature = Feature(name, "bps per million", window.name, "[0, inf)", missing)
    return Group((feature,), compute)


def spread(window: Window) -> Group:
    """Mean quoted spread at trades, as a share of the mid price."""

    def compute(view: View) -> Values:
        low = view.lows[window]
        if low is None:
            return [None]
        n = sum(view.panes.quotes[low : view.high])
        return [1e4 * fsum(view.panes.spreads[low : view.high]) / n if n else None]

    name = f"spread_mean_{window.name}"
    return Group(
        (Feature(name, "bps", window.name, "(-inf, inf)", "no trade with a quote"),), compute
    )


def last_pane(suffix: str) -> Group:
    """Parts of the newest bar's return: close to open overnight, open to close within."""

    def compute(view: View) -> Values:
        high, panes = view.high, view.panes
        if high == 0:
            return [None, None]
        opened = panes.opens[high - 1]
        gap = log(opened / panes.closes[high - 2]) if high > 1 else None
        return [gap, log(panes.closes[high - 1] / opened)]

    return Group(
        (
            Feature(
                f"gap_overnight_{suffix}", "log return", "2 bars", "(-inf, inf)", "no bar before"
            ),
            Feature(f"return_open_{suffix}", "log return", suffix, "(-inf, inf)", "no bar"),
        ),
        compute,
    )


def indicators(within: Window | None, unit: str) -> Group:
    """RSI, Bollinger %b, MACD histogram over the newest closes, none older than `within`."""

    def compute(view: View) -> Values:
        high = view.high
        first: int | None = 0
        if within is not None:
            first = view.lows[within]
        if first is None:
            return [None] * 3
        first = max(first, high - MACD_PANES)
        closes = view.panes.closes[first:high]
        n = len(closes)
        return [
            rsi_cutler(closes[-RSI_PANES - 1 :]) if n > RSI_PANES else None,
            bollinger_b(closes[-BOLLINGER_PANES:]) if n >= BOLLINGER_PANES else None,
            macd_histogram(closes) if n >= MACD_PANES else None,
        ]

    short = SHORT if within is None else f"{SHORT} in the last {within.name}"
    rsi_name, b_name = f"rsi_cutler_{RSI_PANES}{unit}", f"bollinger_b_{BOLLINGER_PANES}{unit}"
    return Group(
        (
            Feature(rsi_name, "percent", f"{RSI_PANES + 1} panes", "[0, 100]", short),
            Feature(
                b_name, "share", f"{BOLLINGER_PANES} panes", "(-inf, inf)", f"{short}, or all equal"
            ),
            Feature(
                f"macd_histogram_26{unit}",
                "share of price",
                f"{MACD_PANES} panes",
                "(-inf, inf)",
                short,
            ),
        ),
        compute,
    )
