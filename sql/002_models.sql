-- The model registry: artifacts, the aliases that choose between them, and who moved an alias.

CREATE TABLE IF NOT EXISTS ml_models (
    version text PRIMARY KEY,
    name text NOT NULL, -- of the learner
    architecture text NOT NULL, -- the members by role
    created_at timestamptz NOT NULL,
    feature_set text NOT NULL,
    feature_set_version integer NOT NULL,
    sentiment_model text,
    horizon text NOT NULL,
    trained_from timestamptz,
    trained_until timestamptz,
    n_rows integer,
    data_fingerprint text NOT NULL, -- sha256 of the training table
    code_revision text NOT NULL,
    hyperparameters jsonb NOT NULL DEFAULT '{}',
    importances jsonb NOT NULL DEFAULT '{}', -- share of the splits' gain by feature
    metrics jsonb NOT NULL DEFAULT '{}',
    verdict jsonb NOT NULL DEFAULT '{}',
    sha256 text NOT NULL,
    artifact bytea NOT NULL
);

CREATE TABLE IF NOT EXISTS ml_aliases (
    alias text PRIMARY KEY,
    version text REFERENCES ml_models (version),
    moved_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS ml_alias_moves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alias text NOT NULL,
    from_version text,
    to_version text,
    moved_at timestamptz NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX IF NOT EXISTS ml_alias_moves_alias ON ml_alias_moves (alias, id DESC);

-- What a signal's policy_id and build stand for.
CREATE TABLE IF NOT EXISTS policies (
    policy_id text PRIMARY KEY,
    policy jsonb NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS builds (
    build_id text PRIMARY KEY,
    build jsonb NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now()
);
