SET ROLE identity_owner;

INSERT INTO identity.tenants (name)
SELECT 'Tenant ' || n FROM generate_series(1, 200) AS n;

INSERT INTO identity.users
    (tenant_id, email, display_name, status, factors, password_hash, last_login_at, created_at)
SELECT 1 + n % 200,
       (CASE WHEN n % 3 = 0 THEN 'User' ELSE 'user' END || n || '@example.org')::identity.email,
       (ARRAY['Ada', 'Björn', 'Chloé', 'Dmitri', 'Eşref', 'Fátima', '學明'])[1 + n % 7] || ' ' || n,
       (enum_range(NULL::identity.user_status))[1 + n % 5],
       CASE WHEN n % 4 = 0 THEN '{password,totp}'::identity.factor[]
            WHEN n % 9 = 0 THEN '{}' ELSE '{passkey}' END,
       CASE WHEN n % 6 <> 0 THEN '$sha256$' || encode(public.digest('secret' || n, 'sha256'), 'hex') END,
       CASE WHEN n % 5 <> 0 THEN timestamptz '2025-01-01 00:00+00' + n * interval '7 minutes' END,
       timestamptz '2023-01-01 00:00+00' + n * interval '11 minutes'
FROM generate_series(1, 40000) AS n;

UPDATE identity.tenants SET founder_id = tenant_id;

INSERT INTO identity.sessions (session_id, user_id, token, address, user_agent, valid)
SELECT md5('session ' || n)::uuid,
       1 + n * 7919 % 40000,
       sha256(('token ' || n)::bytea),
       CASE WHEN n % 5 = 0 THEN '2001:db8::'::inet + n ELSE '198.51.100.0'::inet + n % 256 END,
       CASE WHEN n % 10 <> 0 THEN 'Mozilla/5.0 (agent ' || n % 300 || ')' END,
       tstzrange(timestamptz '2025-03-01 00:00+00' + n * interval '3 minutes',
                 CASE WHEN n % 100 <> 0
                      THEN timestamptz '2025-03-01 12:00+00' + n * interval '3 minutes' END)
FROM generate_series(1::bigint, 80000) AS n;

INSERT INTO identity.audit_log (session_id, at, action, detail)
SELECT md5('session ' || 1 + n * 31 % 80000)::uuid,
       timestamptz '2025-03-01 00:00+00' + n * interval '2 minutes',
       (ARRAY['login', 'logout', 'password.change', 'token.refresh'])[1 + n % 4],
       CASE WHEN n % 3 <> 0 THEN jsonb_build_object('n', n, 'ok', n % 17 <> 0) END
FROM generate_series(1::bigint, 100000) AS n;

INSERT INTO identity.api_keys (key_id, tenant_id, hash, scopes)
SELECT md5('key ' || n)::uuid, 1 + n % 200, sha256(('key ' || n)::bytea),
       ARRAY['read', 'write:' || n, 'quote"d, comma']
FROM generate_series(1, 500) AS n;
