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
);
CREATE TABLE IF NOT EXISTS approvals (
    id VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C" NOT NULL,
    subject VARCHAR COLLATE "C" NOT NULL,
    actor VARCHAR COLLATE "C" NOT NULL,
    reason VARCHAR COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE IF NOT EXISTS artifacts (
    path VARCHAR COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    digest VARCHAR COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (path)
);
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
);
CREATE TABLE IF NOT EXISTS audit_counts (
    hour BIGINT NOT NULL,
    actor VARCHAR COLLATE "C" NOT NULL,
    action VARCHAR COLLATE "C" NOT NULL,
    subject VARCHAR COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (hour, actor, action, subject)
);
CREATE TABLE IF NOT EXISTS contracts (
    digest VARCHAR COLLATE "C" NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    dataset VARCHAR COLLATE "C" NOT NULL,
    contract TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (digest, project, dataset)
);
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
);
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
);
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
);
CREATE TABLE IF NOT EXISTS endpoints (
    name VARCHAR COLLATE "C" NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    model VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE IF NOT EXISTS experiment_tags (
    experiment BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment, name)
);
CREATE TABLE IF NOT EXISTS experiments (
    id BIGSERIAL NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    artifact_location VARCHAR COLLATE "C" NOT NULL,
    lifecycle VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);
CREATE TABLE IF NOT EXISTS label_files (
    endpoint VARCHAR COLLATE "C" NOT NULL,
    digest VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    rows BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, digest)
);
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
);
CREATE TABLE IF NOT EXISTS logged_model_params (
    model VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (model, name)
);
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
);
CREATE TABLE IF NOT EXISTS logged_model_tags (
    model VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (model, name)
);
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
);
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
);
CREATE TABLE IF NOT EXISTS model_aliases (
    model VARCHAR COLLATE "C" NOT NULL,
    alias VARCHAR COLLATE "C" NOT NULL,
    version_id VARCHAR COLLATE "C" NOT NULL,
    set_by VARCHAR COLLATE "C" NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (model, alias)
);
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
);
CREATE TABLE IF NOT EXISTS monitor_states (
    endpoint VARCHAR COLLATE "C" NOT NULL,
    monitor VARCHAR COLLATE "C" NOT NULL,
    version_id VARCHAR COLLATE "C" NOT NULL,
    watermark BIGINT,
    state BYTEA NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, monitor, version_id)
);
CREATE TABLE IF NOT EXISTS notices (
    id VARCHAR COLLATE "C" NOT NULL,
    alert_id VARCHAR COLLATE "C" NOT NULL,
    target VARCHAR COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    delivered_at BIGINT,
    error VARCHAR COLLATE "C",
    PRIMARY KEY (id)
);
CREATE TABLE IF NOT EXISTS points (
    series BIGINT NOT NULL,
    at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value FLOAT NOT NULL,
    nan SMALLINT NOT NULL,
    PRIMARY KEY (series, at, step, value, nan)
);
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
);
CREATE TABLE IF NOT EXISTS projects (
    name VARCHAR COLLATE "C" NOT NULL,
    question VARCHAR COLLATE "C" NOT NULL,
    owner VARCHAR COLLATE "C" NOT NULL,
    plan TEXT NOT NULL,
    plan_digest VARCHAR COLLATE "C" NOT NULL,
    source VARCHAR COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE IF NOT EXISTS registered_model_tags (
    model VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (model, name)
);
CREATE TABLE IF NOT EXISTS registered_models (
    name VARCHAR COLLATE "C" NOT NULL,
    description VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE IF NOT EXISTS registered_version_tags (
    model VARCHAR COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (model, number, name)
);
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
);
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
);
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
);
CREATE TABLE IF NOT EXISTS run_datasets (
    run BIGINT NOT NULL,
    dataset BIGINT NOT NULL,
    tags TEXT NOT NULL,
    context VARCHAR COLLATE "C",
    PRIMARY KEY (run, dataset)
);
CREATE TABLE IF NOT EXISTS run_models (
    number BIGSERIAL NOT NULL,
    run BIGINT NOT NULL,
    model VARCHAR COLLATE "C" NOT NULL,
    role VARCHAR COLLATE "C" NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (number)
);
CREATE TABLE IF NOT EXISTS run_params (
    experiment BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment, name, run)
);
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
);
CREATE TABLE IF NOT EXISTS run_tags (
    experiment BIGINT NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    value VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (experiment, name, run)
);
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
);
CREATE TABLE IF NOT EXISTS step_cache (
    key VARCHAR COLLATE "C" NOT NULL,
    output VARCHAR COLLATE "C" NOT NULL,
    run_id VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (key)
);
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
);
CREATE INDEX IF NOT EXISTS alerts_endpoint ON alerts (endpoint, at);
CREATE INDEX IF NOT EXISTS approvals_subject ON approvals (subject);
CREATE INDEX IF NOT EXISTS audit_subject ON audit (subject, sequence);
CREATE INDEX IF NOT EXISTS decisions_project ON decisions (project, at);
CREATE INDEX IF NOT EXISTS label_inbox_endpoint ON label_inbox (endpoint, sequence);
CREATE INDEX IF NOT EXISTS logged_model_points_name ON logged_model_points (name, model);
CREATE INDEX IF NOT EXISTS logged_models_experiment ON logged_models (experiment, created_at);
CREATE INDEX IF NOT EXISTS metrics_value ON metrics (experiment, name, nan, value, run);
CREATE INDEX IF NOT EXISTS registered_versions_run ON registered_versions (run_id);
CREATE INDEX IF NOT EXISTS registered_versions_updated ON registered_versions (updated_at);
CREATE INDEX IF NOT EXISTS rollouts_endpoint ON rollouts (endpoint, created_at);
CREATE INDEX IF NOT EXISTS routes_endpoint ON routes (endpoint, revision);
CREATE INDEX IF NOT EXISTS run_datasets_dataset ON run_datasets (dataset);
CREATE INDEX IF NOT EXISTS run_models_run ON run_models (run);
CREATE INDEX IF NOT EXISTS run_params_run ON run_params (run);
CREATE INDEX IF NOT EXISTS run_tags_run ON run_tags (run);
CREATE INDEX IF NOT EXISTS runs_begun_first ON runs (experiment, lifecycle, started_at DESC NULLS LAST, id);
CREATE INDEX IF NOT EXISTS runs_parent ON runs (parent);
CREATE INDEX IF NOT EXISTS runs_project ON runs (project, kind, created_at);
CREATE INDEX IF NOT EXISTS runs_status ON runs (status);
CREATE INDEX IF NOT EXISTS window_results_monitor ON window_results (endpoint, monitor, start);
INSERT INTO "alerts" ("id", "project", "endpoint", "kind", "severity", "title", "evidence", "version_id", "event_time", "at") VALUES ('id', 'project', 'endpoint', 'logged', 'severity', 'title', '{"number":0,"text":"it''s ü"}', 'version_id', 1767323045678901, 1767323045678901);
INSERT INTO "alerts" ("id", "project", "endpoint", "kind", "severity", "title", "evidence", "version_id", "event_time", "at") VALUES ('id it''s; 100% ü
:x', 'project it''s; 100% ü
:x', 'endpoint it''s; 100% ü
:x', 'training', 'severity it''s; 100% ü
:x', 'title it''s; 100% ü
:x', '{"number":1,"text":"it''s ü"}', NULL, NULL, 1767409445678901);
INSERT INTO "alerts" ("id", "project", "endpoint", "kind", "severity", "title", "evidence", "version_id", "event_time", "at") VALUES ('id 3', 'project 3', 'endpoint 3', 'trial', 'severity 3', 'title 3', '{"number":2,"text":"it''s ü"}', 'version_id 3', 1767495845678901, 1767495845678901);
INSERT INTO "approvals" ("id", "kind", "subject", "actor", "reason", "at") VALUES ('id', 'logged', 'subject', 'actor', 'reason', 1767323045678901);
INSERT INTO "approvals" ("id", "kind", "subject", "actor", "reason", "at") VALUES ('id it''s; 100% ü
:x', 'training', 'subject it''s; 100% ü
:x', 'actor it''s; 100% ü
:x', 'reason it''s; 100% ü
:x', 1767409445678901);
INSERT INTO "approvals" ("id", "kind", "subject", "actor", "reason", "at") VALUES ('id 3', 'trial', 'subject 3', 'actor 3', 'reason 3', 1767495845678901);
INSERT INTO "artifacts" ("path", "size", "digest", "at") VALUES ('path', 1, 'digest', 1767323045678901);
INSERT INTO "artifacts" ("path", "size", "digest", "at") VALUES ('path it''s; 100% ü
:x', 2, 'digest it''s; 100% ü
:x', 1767409445678901);
INSERT INTO "artifacts" ("path", "size", "digest", "at") VALUES ('path 3', 1099511627776, 'digest 3', 1767495845678901);
INSERT INTO "audit" ("sequence", "at", "actor", "origin", "action", "subject", "outcome", "details", "previous", "digest") VALUES (1, 1767323045678901, 'actor', 'origin', 'action', 'subject', 'done', '{"number":0,"text":"it''s ü"}', 'previous', 'digest');
INSERT INTO "audit" ("sequence", "at", "actor", "origin", "action", "subject", "outcome", "details", "previous", "digest") VALUES (2, 1767409445678901, 'actor it''s; 100% ü
:x', 'origin it''s; 100% ü
:x', 'action it''s; 100% ü
:x', 'subject it''s; 100% ü
:x', 'refused', '{"number":1,"text":"it''s ü"}', 'previous it''s; 100% ü
:x', 'digest it''s; 100% ü
:x');
INSERT INTO "audit" ("sequence", "at", "actor", "origin", "action", "subject", "outcome", "details", "previous", "digest") VALUES (3, 1767495845678901, 'actor 3', 'origin 3', 'action 3', 'subject 3', 'failed', '{"number":2,"text":"it''s ü"}', 'previous 3', 'digest 3');
INSERT INTO "audit_counts" ("hour", "actor", "action", "subject", "count") VALUES (1767323045678901, 'actor', 'action', 'subject', 1);
INSERT INTO "audit_counts" ("hour", "actor", "action", "subject", "count") VALUES (1767409445678901, 'actor it''s; 100% ü
:x', 'action it''s; 100% ü
:x', 'subject it''s; 100% ü
:x', 2);
INSERT INTO "audit_counts" ("hour", "actor", "action", "subject", "count") VALUES (1767495845678901, 'actor 3', 'action 3', 'subject 3', 1099511627776);
INSERT INTO "contracts" ("digest", "project", "dataset", "contract", "created_at") VALUES ('digest', 'project', 'dataset', '{"number":0,"text":"it''s ü"}', 1767323045678901);
INSERT INTO "contracts" ("digest", "project", "dataset", "contract", "created_at") VALUES ('digest it''s; 100% ü
:x', 'project it''s; 100% ü
:x', 'dataset it''s; 100% ü
:x', '{"number":1,"text":"it''s ü"}', 1767409445678901);
INSERT INTO "contracts" ("digest", "project", "dataset", "contract", "created_at") VALUES ('digest 3', 'project 3', 'dataset 3', '{"number":2,"text":"it''s ü"}', 1767495845678901);
INSERT INTO "dataset_versions" ("id", "project", "dataset", "number", "table_version", "mode", "fingerprint", "rows", "rows_added", "rows_quarantined", "columns", "contract_digest", "quality", "source", "created_by", "run_id", "event_from", "event_to", "created_at") VALUES ('id', 'project', 'dataset', 1, 1, 'append', 'fingerprint', 1, 1, 1, '{"number":0,"text":"it''s ü"}', 'contract_digest', '{"number":0,"text":"it''s ü"}', 'source', 'created_by', 'run_id', 1767323045678901, 1767323045678901, 1767323045678901);
INSERT INTO "dataset_versions" ("id", "project", "dataset", "number", "table_version", "mode", "fingerprint", "rows", "rows_added", "rows_quarantined", "columns", "contract_digest", "quality", "source", "created_by", "run_id", "event_from", "event_to", "created_at") VALUES ('id it''s; 100% ü
:x', 'project it''s; 100% ü
:x', 'dataset it''s; 100% ü
:x', 2, 2, 'replace', 'fingerprint it''s; 100% ü
:x', 2, 2, 2, '{"number":1,"text":"it''s ü"}', 'contract_digest it''s; 100% ü
:x', '{"number":1,"text":"it''s ü"}', 'source it''s; 100% ü
:x', 'created_by it''s; 100% ü
:x', NULL, NULL, NULL, 1767409445678901);
INSERT INTO "dataset_versions" ("id", "project", "dataset", "number", "table_version", "mode", "fingerprint", "rows", "rows_added", "rows_quarantined", "columns", "contract_digest", "quality", "source", "created_by", "run_id", "event_from", "event_to", "created_at") VALUES ('id 3', 'project 3', 'dataset 3', 1099511627776, 1099511627776, 'append', 'fingerprint 3', 1099511627776, 1099511627776, 1099511627776, '{"number":2,"text":"it''s ü"}', 'contract_digest 3', '{"number":2,"text":"it''s ü"}', 'source 3', 'created_by 3', 'run_id 3', 1767495845678901, 1767495845678901, 1767495845678901);
INSERT INTO "datasets" ("id", "experiment", "name", "digest", "source_type", "source", "schema", "profile") VALUES (1, 1, 'name', 'digest', 'source_type', 'source', 'schema', 'profile');
INSERT INTO "datasets" ("id", "experiment", "name", "digest", "source_type", "source", "schema", "profile") VALUES (2, 2, 'name it''s; 100% ü
:x', 'digest it''s; 100% ü
:x', 'source_type it''s; 100% ü
:x', 'source it''s; 100% ü
:x', NULL, NULL);
INSERT INTO "datasets" ("id", "experiment", "name", "digest", "source_type", "source", "schema", "profile") VALUES (3, 1099511627776, 'name 3', 'digest 3', 'source_type 3', 'source 3', 'schema 3', 'profile 3');
INSERT INTO "decisions" ("id", "project", "kind", "trigger", "reason", "evidence", "run_id", "event_time", "at") VALUES ('id', 'project', 'logged', 'trigger', 'reason', '{"number":0,"text":"it''s ü"}', 'run_id', 1767323045678901, 1767323045678901);
INSERT INTO "decisions" ("id", "project", "kind", "trigger", "reason", "evidence", "run_id", "event_time", "at") VALUES ('id it''s; 100% ü
:x', 'project it''s; 100% ü
:x', 'training', 'trigger it''s; 100% ü
:x', 'reason it''s; 100% ü
:x', '{"number":1,"text":"it''s ü"}', NULL, NULL, 1767409445678901);
INSERT INTO "decisions" ("id", "project", "kind", "trigger", "reason", "evidence", "run_id", "event_time", "at") VALUES ('id 3', 'project 3', 'trial', 'trigger 3', 'reason 3', '{"number":2,"text":"it''s ü"}', 'run_id 3', 1767495845678901, 1767495845678901);
INSERT INTO "endpoints" ("name", "project", "model", "created_at") VALUES ('name', 'project', 'model', 1767323045678901);
INSERT INTO "endpoints" ("name", "project", "model", "created_at") VALUES ('name it''s; 100% ü
:x', 'project it''s; 100% ü
:x', 'model it''s; 100% ü
:x', 1767409445678901);
INSERT INTO "endpoints" ("name", "project", "model", "created_at") VALUES ('name 3', 'project 3', 'model 3', 1767495845678901);
INSERT INTO "experiment_tags" ("experiment", "name", "value") VALUES (1, 'name', 'value');
INSERT INTO "experiment_tags" ("experiment", "name", "value") VALUES (2, 'name it''s; 100% ü
:x', 'value it''s; 100% ü
:x');
INSERT INTO "experiment_tags" ("experiment", "name", "value") VALUES (3, 'name 3', 'value 3');
INSERT INTO "experiments" ("id", "name", "artifact_location", "lifecycle", "created_at", "updated_at") VALUES (1, 'name', 'artifact_location', 'active', 1767323045678901, 1767323045678901);
INSERT INTO "experiments" ("id", "name", "artifact_location", "lifecycle", "created_at", "updated_at") VALUES (2, 'name it''s; 100% ü
:x', 'artifact_location it''s; 100% ü
:x', 'deleted', 1767409445678901, 1767409445678901);
INSERT INTO "experiments" ("id", "name", "artifact_location", "lifecycle", "created_at", "updated_at") VALUES (3, 'name 3', 'artifact_location 3', 'active', 1767495845678901, 1767495845678901);
INSERT INTO "label_files" ("endpoint", "digest", "name", "rows", "updated_at") VALUES ('endpoint', 'digest', 'name', 1, 1767323045678901);
INSERT INTO "label_files" ("endpoint", "digest", "name", "rows", "updated_at") VALUES ('endpoint it''s; 100% ü
:x', 'digest it''s; 100% ü
:x', 'name it''s; 100% ü
:x', 2, 1767409445678901);
INSERT INTO "label_files" ("endpoint", "digest", "name", "rows", "updated_at") VALUES ('endpoint 3', 'digest 3', 'name 3', 1099511627776, 1767495845678901);
INSERT INTO "label_inbox" ("sequence", "endpoint", "prediction_id", "key", "value", "known_at", "received_at", "source", "actor") VALUES (1, 'endpoint', 'prediction_id', 'key', 'value', 1767323045678901, 1767323045678901, 'source', 'actor');
INSERT INTO "label_inbox" ("sequence", "endpoint", "prediction_id", "key", "value", "known_at", "received_at", "source", "actor") VALUES (2, 'endpoint it''s; 100% ü
:x', NULL, NULL, 'value it''s; 100% ü
:x', 1767409445678901, 1767409445678901, 'source it''s; 100% ü
:x', 'actor it''s; 100% ü
:x');
INSERT INTO "label_inbox" ("sequence", "endpoint", "prediction_id", "key", "value", "known_at", "received_at", "source", "actor") VALUES (3, 'endpoint 3', 'prediction_id 3', 'key 3', 'value 3', 1767495845678901, 1767495845678901, 'source 3', 'actor 3');
INSERT INTO "logged_model_params" ("model", "name", "value") VALUES ('model', 'name', 'value');
INSERT INTO "logged_model_params" ("model", "name", "value") VALUES ('model it''s; 100% ü
:x', 'name it''s; 100% ü
:x', 'value it''s; 100% ü
:x');
INSERT INTO "logged_model_params" ("model", "name", "value") VALUES ('model 3', 'name 3', 'value 3');
INSERT INTO "logged_model_points" ("model", "name", "at", "step", "run", "nan", "value", "dataset_name", "dataset_digest") VALUES ('model', 'name', 1, 1, 'run', 0, 0.1, 'dataset_name', 'dataset_digest');
INSERT INTO "logged_model_points" ("model", "name", "at", "step", "run", "nan", "value", "dataset_name", "dataset_digest") VALUES ('model it''s; 100% ü
:x', 'name it''s; 100% ü
:x', 2, 2, 'run it''s; 100% ü
:x', 0, -1.5e-300, NULL, NULL);
INSERT INTO "logged_model_points" ("model", "name", "at", "step", "run", "nan", "value", "dataset_name", "dataset_digest") VALUES ('model 3', 'name 3', 3, 3, 'run 3', 0, 12345.678, 'dataset_name 3', 'dataset_digest 3');
INSERT INTO "logged_model_tags" ("model", "name", "value") VALUES ('model', 'name', 'value');
INSERT INTO "logged_model_tags" ("model", "name", "value") VALUES ('model it''s; 100% ü
:x', 'name it''s; 100% ü
:x', 'value it''s; 100% ü
:x');
INSERT INTO "logged_model_tags" ("model", "name", "value") VALUES ('model 3', 'name 3', 'value 3');
INSERT INTO "logged_models" ("id", "experiment", "name", "artifact_location", "run", "type", "status", "status_message", "lifecycle", "created_by", "created_at", "updated_at") VALUES ('id', 1, 'name', 'artifact_location', 'run', 'type', 'finished', 'status_message', 'active', 'created_by', 1767323045678901, 1767323045678901);
INSERT INTO "logged_models" ("id", "experiment", "name", "artifact_location", "run", "type", "status", "status_message", "lifecycle", "created_by", "created_at", "updated_at") VALUES ('id it''s; 100% ü
:x', 2, 'name it''s; 100% ü
:x', 'artifact_location it''s; 100% ü
:x', NULL, 'type it''s; 100% ü
:x', 'running', NULL, 'deleted', 'created_by it''s; 100% ü
:x', 1767409445678901, 1767409445678901);
INSERT INTO "logged_models" ("id", "experiment", "name", "artifact_location", "run", "type", "status", "status_message", "lifecycle", "created_by", "created_at", "updated_at") VALUES ('id 3', 1099511627776, 'name 3', 'artifact_location 3', 'run 3', 'type 3', 'failed', 'status_message 3', 'active', 'created_by 3', 1767495845678901, 1767495845678901);
INSERT INTO "metrics" ("series", "experiment", "name", "run", "nan", "value", "step", "at") VALUES (1, 1, 'name', 1, 0, 0.1, 1, 1);
INSERT INTO "metrics" ("series", "experiment", "name", "run", "nan", "value", "step", "at") VALUES (2, 2, 'name it''s; 100% ü
:x', 2, 0, -1.5e-300, 2, 2);
INSERT INTO "metrics" ("series", "experiment", "name", "run", "nan", "value", "step", "at") VALUES (3, 1099511627776, 'name 3', 1099511627776, 0, 12345.678, 1099511627776, 1099511627776);
INSERT INTO "model_aliases" ("model", "alias", "version_id", "set_by", "set_at") VALUES ('model', 'alias', 'version_id', 'set_by', 1767323045678901);
INSERT INTO "model_aliases" ("model", "alias", "version_id", "set_by", "set_at") VALUES ('model it''s; 100% ü
:x', 'alias it''s; 100% ü
:x', 'version_id it''s; 100% ü
:x', 'set_by it''s; 100% ü
:x', 1767409445678901);
INSERT INTO "model_aliases" ("model", "alias", "version_id", "set_by", "set_at") VALUES ('model 3', 'alias 3', 'version_id 3', 'set_by 3', 1767495845678901);
INSERT INTO "model_versions" ("id", "project", "model", "number", "status", "bundle", "run_id", "verdict", "card", "created_by", "created_at") VALUES ('id', 'project', 'model', 1, 'finished', 'bundle', 'run_id', '{"number":0,"text":"it''s ü"}', '{"number":0,"text":"it''s ü"}', 'created_by', 1767323045678901);
INSERT INTO "model_versions" ("id", "project", "model", "number", "status", "bundle", "run_id", "verdict", "card", "created_by", "created_at") VALUES ('id it''s; 100% ü
:x', 'project it''s; 100% ü
:x', 'model it''s; 100% ü
:x', 2, 'running', 'bundle it''s; 100% ü
:x', NULL, '{"number":1,"text":"it''s ü"}', '{"number":1,"text":"it''s ü"}', 'created_by it''s; 100% ü
:x', 1767409445678901);
INSERT INTO "model_versions" ("id", "project", "model", "number", "status", "bundle", "run_id", "verdict", "card", "created_by", "created_at") VALUES ('id 3', 'project 3', 'model 3', 1099511627776, 'failed', 'bundle 3', 'run_id 3', '{"number":2,"text":"it''s ü"}', '{"number":2,"text":"it''s ü"}', 'created_by 3', 1767495845678901);
INSERT INTO "monitor_states" ("endpoint", "monitor", "version_id", "watermark", "state", "updated_at") VALUES ('endpoint', 'monitor', 'version_id', 1767323045678901, '\x00ff00', 1767323045678901);
INSERT INTO "monitor_states" ("endpoint", "monitor", "version_id", "watermark", "state", "updated_at") VALUES ('endpoint it''s; 100% ü
:x', 'monitor it''s; 100% ü
:x', 'version_id it''s; 100% ü
:x', NULL, '\x00ff01', 1767409445678901);
INSERT INTO "monitor_states" ("endpoint", "monitor", "version_id", "watermark", "state", "updated_at") VALUES ('endpoint 3', 'monitor 3', 'version_id 3', 1767495845678901, '\x00ff02', 1767495845678901);
INSERT INTO "notices" ("id", "alert_id", "target", "attempts", "next_at", "delivered_at", "error") VALUES ('id', 'alert_id', 'target', 1, 1767323045678901, 1767323045678901, 'error');
INSERT INTO "notices" ("id", "alert_id", "target", "attempts", "next_at", "delivered_at", "error") VALUES ('id it''s; 100% ü
:x', 'alert_id it''s; 100% ü
:x', 'target it''s; 100% ü
:x', 2, NULL, NULL, NULL);
INSERT INTO "notices" ("id", "alert_id", "target", "attempts", "next_at", "delivered_at", "error") VALUES ('id 3', 'alert_id 3', 'target 3', 1099511627776, 1767495845678901, 1767495845678901, 'error 3');
INSERT INTO "points" ("series", "at", "step", "value", "nan") VALUES (1, 1, 1, 0.1, 0);
INSERT INTO "points" ("series", "at", "step", "value", "nan") VALUES (2, 2, 2, -1.5e-300, 0);
INSERT INTO "points" ("series", "at", "step", "value", "nan") VALUES (3, 3, 3, 12345.678, 0);
INSERT INTO "processes" ("id", "kind", "host", "pid", "address", "started_at", "seen_at", "details") VALUES ('id', 'logged', 'host', 1, 'address', 1767323045678901, 1767323045678901, '{"number":0,"text":"it''s ü"}');
INSERT INTO "processes" ("id", "kind", "host", "pid", "address", "started_at", "seen_at", "details") VALUES ('id it''s; 100% ü
:x', 'training', 'host it''s; 100% ü
:x', 2, 'address it''s; 100% ü
:x', 1767409445678901, 1767409445678901, '{"number":1,"text":"it''s ü"}');
INSERT INTO "processes" ("id", "kind", "host", "pid", "address", "started_at", "seen_at", "details") VALUES ('id 3', 'trial', 'host 3', 1099511627776, 'address 3', 1767495845678901, 1767495845678901, '{"number":2,"text":"it''s ü"}');
INSERT INTO "projects" ("name", "question", "owner", "plan", "plan_digest", "source", "updated_at") VALUES ('name', 'question', 'owner', '{"number":0,"text":"it''s ü"}', 'plan_digest', 'source', 1767323045678901);
INSERT INTO "projects" ("name", "question", "owner", "plan", "plan_digest", "source", "updated_at") VALUES ('name it''s; 100% ü
:x', 'question it''s; 100% ü
:x', 'owner it''s; 100% ü
:x', '{"number":1,"text":"it''s ü"}', 'plan_digest it''s; 100% ü
:x', 'source it''s; 100% ü
:x', 1767409445678901);
INSERT INTO "projects" ("name", "question", "owner", "plan", "plan_digest", "source", "updated_at") VALUES ('name 3', 'question 3', 'owner 3', '{"number":2,"text":"it''s ü"}', 'plan_digest 3', 'source 3', 1767495845678901);
INSERT INTO "registered_model_tags" ("model", "name", "value") VALUES ('model', 'name', 'value');
INSERT INTO "registered_model_tags" ("model", "name", "value") VALUES ('model it''s; 100% ü
:x', 'name it''s; 100% ü
:x', 'value it''s; 100% ü
:x');
INSERT INTO "registered_model_tags" ("model", "name", "value") VALUES ('model 3', 'name 3', 'value 3');
INSERT INTO "registered_models" ("name", "description", "created_at", "updated_at") VALUES ('name', 'description', 1767323045678901, 1767323045678901);
INSERT INTO "registered_models" ("name", "description", "created_at", "updated_at") VALUES ('name it''s; 100% ü
:x', 'description it''s; 100% ü
:x', 1767409445678901, 1767409445678901);
INSERT INTO "registered_models" ("name", "description", "created_at", "updated_at") VALUES ('name 3', 'description 3', 1767495845678901, 1767495845678901);
INSERT INTO "registered_version_tags" ("model", "number", "name", "value") VALUES ('model', 1, 'name', 'value');
INSERT INTO "registered_version_tags" ("model", "number", "name", "value") VALUES ('model it''s; 100% ü
:x', 2, 'name it''s; 100% ü
:x', 'value it''s; 100% ü
:x');
INSERT INTO "registered_version_tags" ("model", "number", "name", "value") VALUES ('model 3', 3, 'name 3', 'value 3');
INSERT INTO "registered_versions" ("model", "number", "id", "judged", "source", "location", "run_id", "run_link", "logged_model", "description", "stage", "lifecycle", "created_by", "created_at", "updated_at") VALUES ('model', 1, 'id', true, 'source', 'location', 'run_id', 'run_link', 'logged_model', 'description', 'None', 'active', 'created_by', 1767323045678901, 1767323045678901);
INSERT INTO "registered_versions" ("model", "number", "id", "judged", "source", "location", "run_id", "run_link", "logged_model", "description", "stage", "lifecycle", "created_by", "created_at", "updated_at") VALUES ('model it''s; 100% ü
:x', 2, 'id it''s; 100% ü
:x', false, 'source it''s; 100% ü
:x', 'location it''s; 100% ü
:x', NULL, NULL, NULL, 'description it''s; 100% ü
:x', 'Staging', 'deleted', 'created_by it''s; 100% ü
:x', 1767409445678901, 1767409445678901);
INSERT INTO "registered_versions" ("model", "number", "id", "judged", "source", "location", "run_id", "run_link", "logged_model", "description", "stage", "lifecycle", "created_by", "created_at", "updated_at") VALUES ('model 3', 3, 'id 3', false, 'source 3', 'location 3', 'run_id 3', 'run_link 3', 'logged_model 3', 'description 3', 'Production', 'active', 'created_by 3', 1767495845678901, 1767495845678901);
INSERT INTO "rollouts" ("id", "endpoint", "candidate", "champion", "rule", "state", "step", "evidence", "reason", "event_time", "created_at", "updated_at") VALUES ('id', 'endpoint', 'candidate', 'champion', '{"number":0,"text":"it''s ü"}', 'state', 1, '{"number":0,"text":"it''s ü"}', 'reason', 1767323045678901, 1767323045678901, 1767323045678901);
INSERT INTO "rollouts" ("id", "endpoint", "candidate", "champion", "rule", "state", "step", "evidence", "reason", "event_time", "created_at", "updated_at") VALUES ('id it''s; 100% ü
:x', 'endpoint it''s; 100% ü
:x', 'candidate it''s; 100% ü
:x', NULL, '{"number":1,"text":"it''s ü"}', 'state it''s; 100% ü
:x', 2, '{"number":1,"text":"it''s ü"}', 'reason it''s; 100% ü
:x', NULL, 1767409445678901, 1767409445678901);
INSERT INTO "rollouts" ("id", "endpoint", "candidate", "champion", "rule", "state", "step", "evidence", "reason", "event_time", "created_at", "updated_at") VALUES ('id 3', 'endpoint 3', 'candidate 3', 'champion 3', '{"number":2,"text":"it''s ü"}', 'state 3', 1099511627776, '{"number":2,"text":"it''s ü"}', 'reason 3', 1767495845678901, 1767495845678901, 1767495845678901);
INSERT INTO "routes" ("revision", "endpoint", "arms", "reason", "rollout_id", "set_by", "at", "event_time") VALUES (1, 'endpoint', '{"number":0,"text":"it''s ü"}', 'reason', 'rollout_id', 'set_by', 1767323045678901, 1767323045678901);
INSERT INTO "routes" ("revision", "endpoint", "arms", "reason", "rollout_id", "set_by", "at", "event_time") VALUES (2, 'endpoint it''s; 100% ü
:x', '{"number":1,"text":"it''s ü"}', 'reason it''s; 100% ü
:x', NULL, 'set_by it''s; 100% ü
:x', 1767409445678901, NULL);
INSERT INTO "routes" ("revision", "endpoint", "arms", "reason", "rollout_id", "set_by", "at", "event_time") VALUES (3, 'endpoint 3', '{"number":2,"text":"it''s ü"}', 'reason 3', 'rollout_id 3', 'set_by 3', 1767495845678901, 1767495845678901);
INSERT INTO "run_datasets" ("run", "dataset", "tags", "context") VALUES (1, 1, '{"number":0,"text":"it''s ü"}', 'context');
INSERT INTO "run_datasets" ("run", "dataset", "tags", "context") VALUES (2, 2, '{"number":1,"text":"it''s ü"}', NULL);
INSERT INTO "run_datasets" ("run", "dataset", "tags", "context") VALUES (3, 3, '{"number":2,"text":"it''s ü"}', 'context 3');
INSERT INTO "run_models" ("number", "run", "model", "role", "step") VALUES (1, 1, 'model', 'input', 1);
INSERT INTO "run_models" ("number", "run", "model", "role", "step") VALUES (2, 2, 'model it''s; 100% ü
:x', 'output', 2);
INSERT INTO "run_models" ("number", "run", "model", "role", "step") VALUES (3, 1099511627776, 'model 3', 'input', 1099511627776);
INSERT INTO "run_params" ("experiment", "name", "run", "value") VALUES (1, 'name', 1, 'value');
INSERT INTO "run_params" ("experiment", "name", "run", "value") VALUES (2, 'name it''s; 100% ü
:x', 2, 'value it''s; 100% ü
:x');
INSERT INTO "run_params" ("experiment", "name", "run", "value") VALUES (3, 'name 3', 3, 'value 3');
INSERT INTO "run_steps" ("run_id", "step", "position", "status", "attempt", "started_at", "ended_at", "cache_key", "output", "log", "done", "total", "message", "failure") VALUES ('run_id', 'step', 1, 'finished', 1, 1767323045678901, 1767323045678901, 'cache_key', 'output', 'log', 0.1, 0.1, 'message', '{"number":0,"text":"it''s ü"}');
INSERT INTO "run_steps" ("run_id", "step", "position", "status", "attempt", "started_at", "ended_at", "cache_key", "output", "log", "done", "total", "message", "failure") VALUES ('run_id it''s; 100% ü
:x', 'step it''s; 100% ü
:x', 2, 'running', 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO "run_steps" ("run_id", "step", "position", "status", "attempt", "started_at", "ended_at", "cache_key", "output", "log", "done", "total", "message", "failure") VALUES ('run_id 3', 'step 3', 1099511627776, 'failed', 1099511627776, 1767495845678901, 1767495845678901, 'cache_key 3', 'output 3', 'log 3', 12345.678, 12345.678, 'message 3', '{"number":2,"text":"it''s ü"}');
INSERT INTO "run_tags" ("experiment", "name", "run", "value") VALUES (1, 'name', 1, 'value');
INSERT INTO "run_tags" ("experiment", "name", "run", "value") VALUES (2, 'name it''s; 100% ü
:x', 2, 'value it''s; 100% ü
:x');
INSERT INTO "run_tags" ("experiment", "name", "run", "value") VALUES (3, 'name 3', 3, 'value 3');
INSERT INTO "runs" ("number", "id", "experiment", "project", "kind", "name", "parent", "status", "reason", "request", "code", "environment", "seed", "error", "created_by", "user", "artifact_location", "lifecycle", "created_at", "started_at", "ended_at", "deleted_at") VALUES (1, 'id', 1, 'project', 'logged', 'name', 'parent', 'finished', 'reason', '{"number":0,"text":"it''s ü"}', 'code', 'environment', 1, 'error', 'created_by', 'user', 'artifact_location', 'active', 1767323045678901, 1767323045678901, 1767323045678901, 1767323045678901);
INSERT INTO "runs" ("number", "id", "experiment", "project", "kind", "name", "parent", "status", "reason", "request", "code", "environment", "seed", "error", "created_by", "user", "artifact_location", "lifecycle", "created_at", "started_at", "ended_at", "deleted_at") VALUES (2, 'id it''s; 100% ü
:x', 2, 'project it''s; 100% ü
:x', 'training', 'name it''s; 100% ü
:x', NULL, 'running', 'reason it''s; 100% ü
:x', '{"number":1,"text":"it''s ü"}', NULL, NULL, 2, NULL, 'created_by it''s; 100% ü
:x', 'user it''s; 100% ü
:x', 'artifact_location it''s; 100% ü
:x', 'deleted', 1767409445678901, NULL, NULL, NULL);
INSERT INTO "runs" ("number", "id", "experiment", "project", "kind", "name", "parent", "status", "reason", "request", "code", "environment", "seed", "error", "created_by", "user", "artifact_location", "lifecycle", "created_at", "started_at", "ended_at", "deleted_at") VALUES (3, 'id 3', 1099511627776, 'project 3', 'trial', 'name 3', 'parent 3', 'failed', 'reason 3', '{"number":2,"text":"it''s ü"}', 'code 3', 'environment 3', 1099511627776, 'error 3', 'created_by 3', 'user 3', 'artifact_location 3', 'active', 1767495845678901, 1767495845678901, 1767495845678901, 1767495845678901);
INSERT INTO "step_cache" ("key", "output", "run_id", "created_at") VALUES ('key', 'output', 'run_id', 1767323045678901);
INSERT INTO "step_cache" ("key", "output", "run_id", "created_at") VALUES ('key it''s; 100% ü
:x', 'output it''s; 100% ü
:x', 'run_id it''s; 100% ü
:x', 1767409445678901);
INSERT INTO "step_cache" ("key", "output", "run_id", "created_at") VALUES ('key 3', 'output 3', 'run_id 3', 1767495845678901);
INSERT INTO "window_results" ("endpoint", "version_id", "start", "monitor", "metric", "slice", "value", "low", "high", "rows", "holds") VALUES ('endpoint', 'version_id', 1767323045678901, 'monitor', 'metric', 'slice', 0.1, 0.1, 0.1, 1, true);
INSERT INTO "window_results" ("endpoint", "version_id", "start", "monitor", "metric", "slice", "value", "low", "high", "rows", "holds") VALUES ('endpoint it''s; 100% ü
:x', 'version_id it''s; 100% ü
:x', 1767409445678901, 'monitor it''s; 100% ü
:x', 'metric it''s; 100% ü
:x', 'slice it''s; 100% ü
:x', NULL, NULL, NULL, 2, NULL);
INSERT INTO "window_results" ("endpoint", "version_id", "start", "monitor", "metric", "slice", "value", "low", "high", "rows", "holds") VALUES ('endpoint 3', 'version_id 3', 1767495845678901, 'monitor 3', 'metric 3', 'slice 3', 12345.678, 12345.678, 12345.678, 1099511627776, false);
