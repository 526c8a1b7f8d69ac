"""First release."""

from kept.store.migrations.statements import execute

revision = "0001"
down_revision = None

_SQLITE = [
    """
CREATE TABLE IF NOT EXISTS alerts (
    id VARCHAR(36) NOT NULL,
    project VARCHAR(250) NOT NULL,
    endpoint VARCHAR(250) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    severity VARCHAR(10) NOT NULL,
    title TEXT NOT NULL,
    evidence TEXT NOT NULL,
    version_id VARCHAR(36),
    event_time BIGINT,
    at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS approvals (
    id VARCHAR(36) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    subject VARCHAR(36) NOT NULL,
    actor VARCHAR(250) NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS artifacts (
    path TEXT NOT NULL,
    size BIGINT NOT NULL,
    digest VARCHAR(71) NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (path)
)
""",
    """
CREATE TABLE IF NOT EXISTS audit (
    sequence INTEGER NOT NULL,
    at BIGINT NOT NULL,
    actor VARCHAR(250) NOT NULL,
    origin VARCHAR(40) NOT NULL,
    action VARCHAR(250) NOT NULL,
    subject TEXT NOT NULL,
    outcome VARCHAR(20) NOT NULL,
    details TEXT NOT NULL,
    previous VARCHAR(71) NOT NULL,
    digest VARCHAR(71) NOT NULL,
    PRIMARY KEY (sequence)
)
""",
    """
CREATE TABLE IF NOT EXISTS audit_counts (
    hour BIGINT NOT NULL,
    actor VARCHAR(250) NOT NULL,
    action VARCHAR(250) NOT NULL,
    subject VARCHAR(250) NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (hour, actor, action, subject)
)
""",
    """
CREATE TABLE IF NOT EXISTS contracts (
    digest VARCHAR(71) NOT NULL,
    project VARCHAR(250) NOT NULL,
    dataset VARCHAR(250) NOT NULL,
    contract TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (digest, project, dataset)
)
""",
    """
CREATE TABLE IF NOT EXISTS dataset_versions (
    id VARCHAR(36) NOT NULL,
    project VARCHAR(250) NOT NULL,
    dataset VARCHAR(250) NOT NULL,
    number INTEGER NOT NULL,
    table_version INTEGER NOT NULL,
    mode VARCHAR(10) NOT NULL,
    fingerprint VARCHAR(71) NOT NULL,
    rows BIGINT NOT NULL,
    rows_added BIGINT NOT NULL,
    rows_quarantined BIGINT NOT NULL,
    columns TEXT NOT NULL,
    contract_digest VARCHAR(71) NOT NULL,
    quality TEXT NOT NULL,
    source TEXT NOT NULL,
    created_by VARCHAR(250) NOT NULL,
    run_id VARCHAR(36),
    event_from BIGINT,
    event_to BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (project, dataset, number)
)
""",
    """
CREATE TABLE IF NOT EXISTS datasets (
    id INTEGER NOT NULL,
    experiment INTEGER NOT NULL,
    name VARCHAR(500) NOT NULL,
    digest VARCHAR(36) NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema TEXT,
    profile TEXT,
    PRIMARY KEY (id),
    UNIQUE (experiment, name, digest)
)
""",
    """
CREATE TABLE IF NOT EXISTS decisions (
    id VARCHAR(36) NOT NULL,
    project VARCHAR(250) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    "trigger" VARCHAR(20) NOT NULL,
    reason TEXT NOT NULL,
    evidence TEXT NOT NULL,
    run_id VARCHAR(36),
    event_time BIGINT,
    at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS endpoints (
    name VARCHAR(250) NOT NULL,
    project VARCHAR(250) NOT NULL,
    model VARCHAR(250) NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS experiment_tags (
    experiment INTEGER NOT NULL,
    name VARCHAR(250) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS experiments (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name VARCHAR(500) NOT NULL,
    artifact_location TEXT NOT NULL,
    lifecycle VARCHAR(7) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS label_files (
    endpoint VARCHAR(250) NOT NULL,
    digest VARCHAR(71) NOT NULL,
    name TEXT NOT NULL,
    rows BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, digest)
)
""",
    """
CREATE TABLE IF NOT EXISTS label_inbox (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    endpoint VARCHAR(250) NOT NULL,
    prediction_id VARCHAR(250),
    "key" TEXT,
    value TEXT NOT NULL,
    known_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    source TEXT NOT NULL,
    actor VARCHAR(250) NOT NULL
)
""",
    """
CREATE TABLE IF NOT EXISTS logged_model_params (
    model VARCHAR(36) NOT NULL,
    name VARCHAR(250) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS logged_model_points (
    model VARCHAR(36) NOT NULL,
    name VARCHAR(250) NOT NULL,
    at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    run VARCHAR(36) NOT NULL,
    nan SMALLINT NOT NULL,
    value FLOAT NOT NULL,
    dataset_name VARCHAR(500),
    dataset_digest VARCHAR(36),
    PRIMARY KEY (model, name, at, step, run)
)
""",
    """
CREATE TABLE IF NOT EXISTS logged_model_tags (
    model VARCHAR(36) NOT NULL,
    name VARCHAR(250) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS logged_models (
    id VARCHAR(36) NOT NULL,
    experiment INTEGER NOT NULL,
    name TEXT NOT NULL,
    artifact_location TEXT NOT NULL,
    run VARCHAR(36),
    type TEXT NOT NULL,
    status VARCHAR(7) NOT NULL,
    status_message TEXT,
    lifecycle VARCHAR(7) NOT NULL,
    created_by VARCHAR(250) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS metrics (
    series INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    experiment INTEGER NOT NULL,
    name VARCHAR(250) NOT NULL,
    run INTEGER NOT NULL,
    nan SMALLINT NOT NULL,
    value FLOAT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    UNIQUE (run, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS model_aliases (
    model VARCHAR(250) NOT NULL,
    alias VARCHAR(250) NOT NULL,
    version_id VARCHAR(36) NOT NULL,
    set_by VARCHAR(250) NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (model, alias)
)
""",
    """
CREATE TABLE IF NOT EXISTS model_versions (
    id VARCHAR(36) NOT NULL,
    project VARCHAR(250) NOT NULL,
    model VARCHAR(250) NOT NULL,
    number INTEGER NOT NULL,
    status VARCHAR(12) NOT NULL,
    bundle VARCHAR(71) NOT NULL,
    run_id VARCHAR(36),
    verdict TEXT NOT NULL,
    card TEXT NOT NULL,
    created_by VARCHAR(250) NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (model, number)
)
""",
    """
CREATE TABLE IF NOT EXISTS monitor_states (
    endpoint VARCHAR(250) NOT NULL,
    monitor VARCHAR(250) NOT NULL,
    version_id VARCHAR(36) NOT NULL,
    watermark BIGINT,
    state BLOB NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, monitor, version_id)
)
""",
    """
CREATE TABLE IF NOT EXISTS notices (
    id VARCHAR(36) NOT NULL,
    alert_id VARCHAR(36) NOT NULL,
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at BIGINT,
    delivered_at BIGINT,
    error TEXT,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS points (
    series INTEGER NOT NULL,
    at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value FLOAT NOT NULL,
    nan SMALLINT NOT NULL,
    PRIMARY KEY (series, at, step, value, nan)
)
 WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS processes (
    id VARCHAR(36) NOT NULL,
    kind VARCHAR(10) NOT NULL,
    host VARCHAR(250) NOT NULL,
    pid INTEGER NOT NULL,
    address TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    details TEXT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS projects (
    name VARCHAR(250) NOT NULL,
    question TEXT NOT NULL,
    owner VARCHAR(250) NOT NULL,
    "plan" TEXT NOT NULL,
    plan_digest VARCHAR(71) NOT NULL,
    source TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS registered_model_tags (
    model VARCHAR(250) NOT NULL,
    name VARCHAR(250) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS registered_models (
    name VARCHAR(250) NOT NULL,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS registered_version_tags (
    model VARCHAR(250) NOT NULL,
    number INTEGER NOT NULL,
    name VARCHAR(250) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, number, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS registered_versions (
    model VARCHAR(250) NOT NULL,
    number INTEGER NOT NULL,
    id VARCHAR(36) NOT NULL,
    judged BOOLEAN NOT NULL,
    source TEXT NOT NULL,
    location TEXT NOT NULL,
    run_id TEXT,
    run_link TEXT,
    logged_model TEXT,
    description TEXT NOT NULL,
    stage VARCHAR(10) NOT NULL,
    lifecycle VARCHAR(7) NOT NULL,
    created_by VARCHAR(250) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (model, number),
    UNIQUE (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS rollouts (
    id VARCHAR(36) NOT NULL,
    endpoint VARCHAR(250) NOT NULL,
    candidate VARCHAR(36) NOT NULL,
    champion VARCHAR(36),
    rule TEXT NOT NULL,
    state VARCHAR(16) NOT NULL,
    step INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    reason TEXT NOT NULL,
    event_time BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS routes (
    revision INTEGER NOT NULL,
    endpoint VARCHAR(250) NOT NULL,
    arms TEXT NOT NULL,
    reason TEXT NOT NULL,
    rollout_id VARCHAR(36),
    set_by VARCHAR(250) NOT NULL,
    at BIGINT NOT NULL,
    event_time BIGINT,
    PRIMARY KEY (revision)
)
""",
    """
CREATE TABLE IF NOT EXISTS run_datasets (
    run INTEGER NOT NULL,
    dataset INTEGER NOT NULL,
    tags TEXT NOT NULL,
    context TEXT,
    PRIMARY KEY (run, dataset)
)
""",
    """
CREATE TABLE IF NOT EXISTS run_models (
    number INTEGER NOT NULL,
    run INTEGER NOT NULL,
    model VARCHAR(36) NOT NULL,
    role VARCHAR(6) NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (number)
)
""",
    """
CREATE TABLE IF NOT EXISTS run_params (
    experiment INTEGER NOT NULL,
    name VARCHAR(250) NOT NULL,
    run INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment, name, run)
)
 WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS run_steps (
    run_id VARCHAR(36) NOT NULL,
    step VARCHAR(250) NOT NULL,
    position INTEGER NOT NULL,
    status VARCHAR(12) NOT NULL,
    attempt INTEGER NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    cache_key VARCHAR(71),
    output VARCHAR(71),
    log VARCHAR(71),
    done FLOAT,
    total FLOAT,
    message TEXT,
    failure TEXT,
    PRIMARY KEY (run_id, step)
)
""",
    """
CREATE TABLE IF NOT EXISTS run_tags (
    experiment INTEGER NOT NULL,
    name VARCHAR(250) NOT NULL,
    run INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment, name, run)
)
 WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id VARCHAR(36) NOT NULL,
    experiment INTEGER NOT NULL,
    project VARCHAR(250) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    name TEXT NOT NULL,
    parent VARCHAR(36),
    status VARCHAR(12) NOT NULL,
    reason TEXT NOT NULL,
    request TEXT NOT NULL,
    code VARCHAR(71),
    environment VARCHAR(71),
    seed BIGINT NOT NULL,
    error TEXT,
    created_by VARCHAR(250) NOT NULL,
    user TEXT NOT NULL,
    artifact_location TEXT NOT NULL,
    lifecycle VARCHAR(7) NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    deleted_at BIGINT,
    UNIQUE (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS step_cache (
    "key" VARCHAR(71) NOT NULL,
    output VARCHAR(71) NOT NULL,
    run_id VARCHAR(36) NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY ("key")
)
""",
    """
CREATE TABLE IF NOT EXISTS window_results (
    endpoint VARCHAR(250) NOT NULL,
    version_id VARCHAR(36) NOT NULL,
    start BIGINT NOT NULL,
    monitor VARCHAR(250) NOT NULL,
    metric VARCHAR(250) NOT NULL,
    slice VARCHAR(250) NOT NULL,
    value FLOAT,
    low FLOAT,
    high FLOAT,
    rows BIGINT NOT NULL,
    holds BOOLEAN,
    PRIMARY KEY (endpoint, version_id, start, monitor, metric, slice)
)
""",
    """CREATE INDEX IF NOT EXISTS alerts_endpoint ON alerts (endpoint, at)""",
    """CREATE INDEX IF NOT EXISTS approvals_subject ON approvals (subject)""",
    """CREATE INDEX IF NOT EXISTS audit_subject ON audit (subject, sequence)""",
    """CREATE INDEX IF NOT EXISTS decisions_project ON decisions (project, at)""",
    """CREATE INDEX IF NOT EXISTS label_inbox_endpoint ON label_inbox (endpoint, sequence)""",
    """CREATE INDEX IF NOT EXISTS logged_model_points_name ON logged_model_points (name, model)""",
    """CREATE INDEX IF NOT EXISTS logged_models_experiment ON logged_models (experiment, created_at)""",
    """CREATE INDEX IF NOT EXISTS metrics_value ON metrics (experiment, name, nan, value, run)""",
    """CREATE INDEX IF NOT EXISTS registered_versions_run ON registered_versions (run_id)""",
    """CREATE INDEX IF NOT EXISTS registered_versions_updated ON registered_versions (updated_at)""",
    """CREATE INDEX IF NOT EXISTS rollouts_endpoint ON rollouts (endpoint, created_at)""",
    """CREATE INDEX IF NOT EXISTS routes_endpoint ON routes (endpoint, revision)""",
    """CREATE INDEX IF NOT EXISTS run_datasets_dataset ON run_datasets (dataset)""",
    """CREATE INDEX IF NOT EXISTS run_models_run ON run_models (run)""",
    """CREATE INDEX IF NOT EXISTS run_params_run ON run_params (run)""",
    """CREATE INDEX IF NOT EXISTS run_tags_run ON run_tags (run)""",
    """CREATE INDEX IF NOT EXISTS runs_begun ON runs (experiment, lifecycle, started_at DESC, id)""",
    """CREATE INDEX IF NOT EXISTS runs_parent ON runs (parent)""",
    """CREATE INDEX IF NOT EXISTS runs_project ON runs (project, kind, created_at)""",
    """CREATE INDEX IF NOT EXISTS runs_status ON runs (status)""",
    """CREATE INDEX IF NOT EXISTS window_results_monitor ON window_results (endpoint, monitor, start)""",
]

_POSTGRESQL = [
    """
CREATE TABLE IF NOT EXISTS alerts (
    id VARCHAR COLLATE "C" NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    endpoint VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C" NOT NULL,
    severity VARCHAR COLLATE "C" NOT NULL,
    title VARCHAR COLLATE "C" NOT NULL,
    evidence TEXT NOT NULL,
    version_id VARCHAR COLLATE "C",
    event_time BIGINT,
    at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS approvals (
    id VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C" NOT NULL,
    subject VARCHAR COLLATE "C" NOT NULL,
    actor VARCHAR COLLATE "C" NOT NULL,
    reason VARCHAR COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS artifacts (
    path VARCHAR COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    digest VARCHAR COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (path)
)
""",
    """
CREATE TABLE IF NOT EXISTS audit (
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor VARCHAR COLLATE "C" NOT NULL,
    origin VARCHAR COLLATE "C" NOT NULL,
    action VARCHAR COLLATE "C" NOT NULL,
    subject VARCHAR COLLATE "C" NOT NULL,
    outcome VARCHAR COLLATE "C" NOT NULL,
    details TEXT NOT NULL,
    previous VARCHAR COLLATE "C" NOT NULL,
    digest VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (sequence)
)
""",
    """
CREATE TABLE IF NOT EXISTS audit_counts (
    hour BIGINT NOT NULL,
    actor VARCHAR COLLATE "C" NOT NULL,
    action VARCHAR COLLATE "C" NOT NULL,
    subject VARCHAR COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (hour, actor, action, subject)
)
""",
    """
CREATE TABLE IF NOT EXISTS contracts (
    digest VARCHAR COLLATE "C" NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    dataset VARCHAR COLLATE "C" NOT NULL,
    contract TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (digest, project, dataset)
)
""",
    """
CREATE TABLE IF NOT EXISTS dataset_versions (
    id VARCHAR COLLATE "C" NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    dataset VARCHAR COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    table_version BIGINT NOT NULL,
    mode VARCHAR COLLATE "C" NOT NULL,
    fingerprint VARCHAR COLLATE "C" NOT NULL,
    rows BIGINT NOT NULL,
    rows_added BIGINT NOT NULL,
    rows_quarantined BIGINT NOT NULL,
    columns TEXT NOT NULL,
    contract_digest VARCHAR COLLATE "C" NOT NULL,
    quality TEXT NOT NULL,
    source VARCHAR COLLATE "C" NOT NULL,
    created_by VARCHAR COLLATE "C" NOT NULL,
    run_id VARCHAR COLLATE "C",
    event_from BIGINT,
    event_to BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (project, dataset, number)
)
""",
    """
CREATE TABLE IF NOT EXISTS datasets (
    id BIGSERIAL NOT NULL,
    experiment BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    digest VARCHAR COLLATE "C" NOT NULL,
    source_type VARCHAR COLLATE "C" NOT NULL,
    source VARCHAR COLLATE "C" NOT NULL,
    schema VARCHAR COLLATE "C",
    profile VARCHAR COLLATE "C",
    PRIMARY KEY (id),
    UNIQUE (experiment, name, digest)
)
""",
    """
CREATE TABLE IF NOT EXISTS decisions (
    id VARCHAR COLLATE "C" NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C" NOT NULL,
    trigger VARCHAR COLLATE "C" NOT NULL,
    reason VARCHAR COLLATE "C" NOT NULL,
    evidence TEXT NOT NULL,
    run_id VARCHAR COLLATE "C",
    event_time BIGINT,
    at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS endpoints (
    name VARCHAR COLLATE "C" NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    model VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS experiment_tags (
    experiment BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS experiments (
    id BIGSERIAL NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    artifact_location VARCHAR COLLATE "C" NOT NULL,
    lifecycle VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS label_files (
    endpoint VARCHAR COLLATE "C" NOT NULL,
    digest VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    rows BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, digest)
)
""",
    """
CREATE TABLE IF NOT EXISTS label_inbox (
    sequence BIGSERIAL NOT NULL,
    endpoint VARCHAR COLLATE "C" NOT NULL,
    prediction_id VARCHAR COLLATE "C",
    key VARCHAR COLLATE "C",
    value VARCHAR COLLATE "C" NOT NULL,
    known_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    source VARCHAR COLLATE "C" NOT NULL,
    actor VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (sequence)
)
""",
    """
CREATE TABLE IF NOT EXISTS logged_model_params (
    model VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (model, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS logged_model_points (
    model VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    run VARCHAR COLLATE "C" NOT NULL,
    nan SMALLINT NOT NULL,
    value FLOAT NOT NULL,
    dataset_name VARCHAR COLLATE "C",
    dataset_digest VARCHAR COLLATE "C",
    PRIMARY KEY (model, name, at, step, run)
)
""",
    """
CREATE TABLE IF NOT EXISTS logged_model_tags (
    model VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (model, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS logged_models (
    id VARCHAR COLLATE "C" NOT NULL,
    experiment BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    artifact_location VARCHAR COLLATE "C" NOT NULL,
    run VARCHAR COLLATE "C",
    type VARCHAR COLLATE "C" NOT NULL,
    status VARCHAR COLLATE "C" NOT NULL,
    status_message VARCHAR COLLATE "C",
    lifecycle VARCHAR COLLATE "C" NOT NULL,
    created_by VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS metrics (
    series BIGSERIAL NOT NULL,
    experiment BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    nan SMALLINT NOT NULL,
    value FLOAT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (series),
    UNIQUE (run, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS model_aliases (
    model VARCHAR COLLATE "C" NOT NULL,
    alias VARCHAR COLLATE "C" NOT NULL,
    version_id VARCHAR COLLATE "C" NOT NULL,
    set_by VARCHAR COLLATE "C" NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (model, alias)
)
""",
    """
CREATE TABLE IF NOT EXISTS model_versions (
    id VARCHAR COLLATE "C" NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    model VARCHAR COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    status VARCHAR COLLATE "C" NOT NULL,
    bundle VARCHAR COLLATE "C" NOT NULL,
    run_id VARCHAR COLLATE "C",
    verdict TEXT NOT NULL,
    card TEXT NOT NULL,
    created_by VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (model, number)
)
""",
    """
CREATE TABLE IF NOT EXISTS monitor_states (
    endpoint VARCHAR COLLATE "C" NOT NULL,
    monitor VARCHAR COLLATE "C" NOT NULL,
    version_id VARCHAR COLLATE "C" NOT NULL,
    watermark BIGINT,
    state BYTEA NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, monitor, version_id)
)
""",
    """
CREATE TABLE IF NOT EXISTS notices (
    id VARCHAR COLLATE "C" NOT NULL,
    alert_id VARCHAR COLLATE "C" NOT NULL,
    target VARCHAR COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    delivered_at BIGINT,
    error VARCHAR COLLATE "C",
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS points (
    series BIGINT NOT NULL,
    at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value FLOAT NOT NULL,
    nan SMALLINT NOT NULL,
    PRIMARY KEY (series, at, step, value, nan)
)
""",
    """
CREATE TABLE IF NOT EXISTS processes (
    id VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C" NOT NULL,
    host VARCHAR COLLATE "C" NOT NULL,
    pid BIGINT NOT NULL,
    address VARCHAR COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    details TEXT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS projects (
    name VARCHAR COLLATE "C" NOT NULL,
    question VARCHAR COLLATE "C" NOT NULL,
    owner VARCHAR COLLATE "C" NOT NULL,
    plan TEXT NOT NULL,
    plan_digest VARCHAR COLLATE "C" NOT NULL,
    source VARCHAR COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS registered_model_tags (
    model VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (model, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS registered_models (
    name VARCHAR COLLATE "C" NOT NULL,
    description VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS registered_version_tags (
    model VARCHAR COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (model, number, name)
)
""",
    """
CREATE TABLE IF NOT EXISTS registered_versions (
    model VARCHAR COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    id VARCHAR COLLATE "C" NOT NULL,
    judged BOOLEAN NOT NULL,
    source VARCHAR COLLATE "C" NOT NULL,
    location VARCHAR COLLATE "C" NOT NULL,
    run_id VARCHAR COLLATE "C",
    run_link VARCHAR COLLATE "C",
    logged_model VARCHAR COLLATE "C",
    description VARCHAR COLLATE "C" NOT NULL,
    stage VARCHAR COLLATE "C" NOT NULL,
    lifecycle VARCHAR COLLATE "C" NOT NULL,
    created_by VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (model, number),
    UNIQUE (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS rollouts (
    id VARCHAR COLLATE "C" NOT NULL,
    endpoint VARCHAR COLLATE "C" NOT NULL,
    candidate VARCHAR COLLATE "C" NOT NULL,
    champion VARCHAR COLLATE "C",
    rule TEXT NOT NULL,
    state VARCHAR COLLATE "C" NOT NULL,
    step BIGINT NOT NULL,
    evidence TEXT NOT NULL,
    reason VARCHAR COLLATE "C" NOT NULL,
    event_time BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS routes (
    revision BIGINT NOT NULL,
    endpoint VARCHAR COLLATE "C" NOT NULL,
    arms TEXT NOT NULL,
    reason VARCHAR COLLATE "C" NOT NULL,
    rollout_id VARCHAR COLLATE "C",
    set_by VARCHAR COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    event_time BIGINT,
    PRIMARY KEY (revision)
)
""",
    """
CREATE TABLE IF NOT EXISTS run_datasets (
    run BIGINT NOT NULL,
    dataset BIGINT NOT NULL,
    tags TEXT NOT NULL,
    context VARCHAR COLLATE "C",
    PRIMARY KEY (run, dataset)
)
""",
    """
CREATE TABLE IF NOT EXISTS run_models (
    number BIGSERIAL NOT NULL,
    run BIGINT NOT NULL,
    model VARCHAR COLLATE "C" NOT NULL,
    role VARCHAR COLLATE "C" NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (number)
)
""",
    """
CREATE TABLE IF NOT EXISTS run_params (
    experiment BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment, name, run)
)
""",
    """
CREATE TABLE IF NOT EXISTS run_steps (
    run_id VARCHAR COLLATE "C" NOT NULL,
    step VARCHAR COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    status VARCHAR COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    cache_key VARCHAR COLLATE "C",
    output VARCHAR COLLATE "C",
    log VARCHAR COLLATE "C",
    done FLOAT,
    total FLOAT,
    message VARCHAR COLLATE "C",
    failure TEXT,
    PRIMARY KEY (run_id, step)
)
""",
    """
CREATE TABLE IF NOT EXISTS run_tags (
    experiment BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment, name, run)
)
""",
    """
CREATE TABLE IF NOT EXISTS runs (
    number BIGSERIAL NOT NULL,
    id VARCHAR COLLATE "C" NOT NULL,
    experiment BIGINT NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    parent VARCHAR COLLATE "C",
    status VARCHAR COLLATE "C" NOT NULL,
    reason VARCHAR COLLATE "C" NOT NULL,
    request TEXT NOT NULL,
    code VARCHAR COLLATE "C",
    environment VARCHAR COLLATE "C",
    seed BIGINT NOT NULL,
    error VARCHAR COLLATE "C",
    created_by VARCHAR COLLATE "C" NOT NULL,
    "user" VARCHAR COLLATE "C" NOT NULL,
    artifact_location VARCHAR COLLATE "C" NOT NULL,
    lifecycle VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    deleted_at BIGINT,
    PRIMARY KEY (number),
    UNIQUE (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS step_cache (
    key VARCHAR COLLATE "C" NOT NULL,
    output VARCHAR COLLATE "C" NOT NULL,
    run_id VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (key)
)
""",
    """
CREATE TABLE IF NOT EXISTS window_results (
    endpoint VARCHAR COLLATE "C" NOT NULL,
    version_id VARCHAR COLLATE "C" NOT NULL,
    start BIGINT NOT NULL,
    monitor VARCHAR COLLATE "C" NOT NULL,
    metric VARCHAR COLLATE "C" NOT NULL,
    slice VARCHAR COLLATE "C" NOT NULL,
    value FLOAT,
    low FLOAT,
    high FLOAT,
    rows BIGINT NOT NULL,
    holds BOOLEAN,
    PRIMARY KEY (endpoint, version_id, start, monitor, metric, slice)
)
""",
    """CREATE INDEX IF NOT EXISTS alerts_endpoint ON alerts (endpoint, at)""",
    """CREATE INDEX IF NOT EXISTS approvals_subject ON approvals (subject)""",
    """CREATE INDEX IF NOT EXISTS audit_subject ON audit (subject, sequence)""",
    """CREATE INDEX IF NOT EXISTS decisions_project ON decisions (project, at)""",
    """CREATE INDEX IF NOT EXISTS label_inbox_endpoint ON label_inbox (endpoint, sequence)""",
    """CREATE INDEX IF NOT EXISTS logged_model_points_name ON logged_model_points (name, model)""",
    """CREATE INDEX IF NOT EXISTS logged_models_experiment ON logged_models (experiment, created_at)""",
    """CREATE INDEX IF NOT EXISTS metrics_value ON metrics (experiment, name, nan, value, run)""",
    """CREATE INDEX IF NOT EXISTS registered_versions_run ON registered_versions (run_id)""",
    """CREATE INDEX IF NOT EXISTS registered_versions_updated ON registered_versions (updated_at)""",
    """CREATE INDEX IF NOT EXISTS rollouts_endpoint ON rollouts (endpoint, created_at)""",
    """CREATE INDEX IF NOT EXISTS routes_endpoint ON routes (endpoint, revision)""",
    """CREATE INDEX IF NOT EXISTS run_datasets_dataset ON run_datasets (dataset)""",
    """CREATE INDEX IF NOT EXISTS run_models_run ON run_models (run)""",
    """CREATE INDEX IF NOT EXISTS run_params_run ON run_params (run)""",
    """CREATE INDEX IF NOT EXISTS run_tags_run ON run_tags (run)""",
    """CREATE INDEX IF NOT EXISTS runs_begun_first ON runs (experiment, lifecycle, started_at DESC NULLS LAST, id)""",
    """CREATE INDEX IF NOT EXISTS runs_parent ON runs (parent)""",
    """CREATE INDEX IF NOT EXISTS runs_project ON runs (project, kind, created_at)""",
    """CREATE INDEX IF NOT EXISTS runs_status ON runs (status)""",
    """CREATE INDEX IF NOT EXISTS window_results_monitor ON window_results (endpoint, monitor, start)""",
]


def upgrade() -> None:
    """The change of this revision."""
    execute(sqlite=_SQLITE, postgresql=_POSTGRESQL)
