-- Signals of all models, and what became of them. The same on plain PostgreSQL and TimescaleDB.

-- Published signals and those that another model said in their shadow.
CREATE OR REPLACE VIEW scored_signals AS
SELECT *, true AS published FROM signals
UNION ALL
SELECT *, false FROM shadow_signals;

-- Each signal with its label, once it has one or never will (`left_out` says why).
CREATE OR REPLACE VIEW signal_outcomes AS
SELECT
    s.signal_id, s.signal_key, s.revision, s.symbol, s.as_of, s.valid_until, s.horizon, s.trigger,
    s.direction, s.p_bearish, s.p_neutral, s.p_bullish, s.confidence, s.score,
    s.expected_return_bps, s.actionable, s.abstain_reason, s.model_name, s.model_version,
    s.model_role, s.published, o.entry_at, o.exit_at, o.forward_return, o.y, o.left_out,
    o.matured_at
FROM scored_signals s
JOIN outcomes o ON o.as_of = s.as_of AND o.signal_id = s.signal_id;
