-- What watches a running namespace found and did: drift reports, and the runs of scheduled jobs.

-- A report of `tapewire drift`: findings with value, limits and what they say.
CREATE TABLE IF NOT EXISTS drift_reports (
    at timestamptz PRIMARY KEY DEFAULT clock_timestamp(),
    model_version text NOT NULL,
    since date NOT NULL,
    until date NOT NULL,
    says text NOT NULL CHECK (says IN ('PASS', 'WARN', 'FAIL')),
    report jsonb NOT NULL
);

-- Runs of `tapewire schedule`. One without an end is at work, or was cut off with its scheduler.
CREATE TABLE IF NOT EXISTS job_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text NOT NULL,
    because text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    exit_code integer,
    last_line text,
    CHECK ((ended_at IS NULL) = (exit_code IS NULL))
);
CREATE INDEX IF NOT EXISTS job_runs_job ON job_runs (job, started_at DESC);

DO $$
BEGIN
    EXECUTE format('GRANT INSERT ON drift_reports, job_runs TO %I', current_schema() || '_writer');
    EXECUTE format('GRANT UPDATE ON job_runs TO %I', current_schema() || '_writer');
EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
    RAISE NOTICE 'no role %_writer to grant to', current_schema()
        USING ERRCODE = 'insufficient_privilege';
END
$$;
