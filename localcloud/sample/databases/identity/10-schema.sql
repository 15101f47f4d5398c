-- Users, their sessions and keys, and a log of what they did. Extensions are the administrator's,
-- as on a managed service; everything else is the owner's.
CREATE EXTENSION citext;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION pg_trgm;

SET ROLE identity_owner;

CREATE SCHEMA identity;
COMMENT ON SCHEMA identity IS 'Who may log in';

CREATE TYPE identity.user_status AS ENUM ('invited', 'active', 'locked', 'Über-privileged', 'gone');
CREATE TYPE identity.factor AS ENUM ('password', 'totp', 'passkey');
CREATE DOMAIN identity.email AS public.citext
    CONSTRAINT email_form CHECK (VALUE ~ '^[^@\s]+@[^@\s]+\.[^@\s]+$');
CREATE DOMAIN identity.token_hash AS bytea
    CONSTRAINT token_length CHECK (octet_length(VALUE) = 32);
COMMENT ON DOMAIN identity.email IS 'Compared without regard to case';

CREATE TABLE identity.tenants (
    tenant_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    founder_id bigint
);

CREATE TABLE identity.users (
    user_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id integer NOT NULL REFERENCES identity.tenants,
    email identity.email NOT NULL UNIQUE,
    display_name text NOT NULL,
    status identity.user_status NOT NULL DEFAULT 'invited',
    factors identity.factor[] NOT NULL DEFAULT '{password}',
    password_hash text,
    last_login_at timestamptz,
    logins integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE identity.sessions (
    session_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id bigint NOT NULL,
    token identity.token_hash NOT NULL,
    address inet NOT NULL,
    user_agent text,
    valid tstzrange NOT NULL,
    CHECK (NOT isempty(valid))
);

CREATE TABLE identity.audit_log (
    entry_id bigserial PRIMARY KEY,
    session_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    action text NOT NULL,
    detail jsonb
);

CREATE TABLE identity.api_keys (
    key_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id integer NOT NULL REFERENCES identity.tenants,
    hash identity.token_hash NOT NULL,
    scopes text[] NOT NULL
);
