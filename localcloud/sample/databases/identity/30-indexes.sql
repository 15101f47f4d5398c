SET ROLE identity_owner;

-- The two tables refer to each other.
ALTER TABLE identity.tenants
    ADD FOREIGN KEY (founder_id) REFERENCES identity.users DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE identity.sessions
    ADD FOREIGN KEY (user_id) REFERENCES identity.users ON DELETE CASCADE;
ALTER TABLE identity.audit_log
    ADD FOREIGN KEY (session_id) REFERENCES identity.sessions;

CREATE INDEX users_display_name_trgm ON identity.users
    USING gin (display_name public.gin_trgm_ops);
CREATE INDEX users_tenant_status_idx ON identity.users (tenant_id, status);
CREATE INDEX sessions_user_idx ON identity.sessions (user_id);
CREATE INDEX sessions_valid_idx ON identity.sessions USING gist (valid);
CREATE INDEX audit_log_session_idx ON identity.audit_log (session_id);
CREATE INDEX audit_log_at_idx ON identity.audit_log USING brin (at);

CREATE FUNCTION identity.note_login(session uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE identity.users AS u
    SET logins = u.logins + 1, last_login_at = clock_timestamp()
    FROM identity.sessions AS s
    WHERE s.session_id = note_login.session AND u.user_id = s.user_id;
END;
REVOKE EXECUTE ON FUNCTION identity.note_login FROM PUBLIC;

CREATE VIEW identity.open_sessions AS
SELECT s.session_id, u.email, s.address
FROM identity.sessions AS s JOIN identity.users AS u USING (user_id)
WHERE upper_inf(s.valid);

-- Each service sees the keys of the tenant it serves; the owner sees all.
ALTER TABLE identity.api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON identity.api_keys FOR SELECT TO identity_app
    USING (tenant_id = current_setting('app.tenant_id', true)::integer);

GRANT USAGE ON SCHEMA identity TO identity_app;
GRANT SELECT ON ALL TABLES IN SCHEMA identity TO identity_app;
GRANT INSERT ON identity.users, identity.sessions, identity.audit_log TO identity_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA identity TO identity_app;
GRANT EXECUTE ON FUNCTION identity.note_login TO identity_app;
