SET ROLE media_owner;

ALTER TABLE previews ADD FOREIGN KEY (asset_id) REFERENCES assets ON DELETE CASCADE;

-- Every byte, none, one zero, much of the same (it compresses), and no value at all.
INSERT INTO blobs (name, content) VALUES
    ('bytes', (SELECT decode(string_agg(lpad(to_hex(n), 2, '0'), '' ORDER BY n), 'hex')
               FROM generate_series(0, 255) AS n)),
    ('empty', ''),
    ('zero', '\x00'),
    ('backslash', '\x5c785c5c2e0a'),
    ('compressible', decode(repeat('00ff', 1000000), 'hex')),
    ('null', NULL);

CREATE TRIGGER content_managed BEFORE UPDATE OR DELETE ON assets
    FOR EACH ROW EXECUTE FUNCTION lo_manage(content);
CREATE INDEX assets_mime_idx ON assets (mime);
CREATE VIEW film_list AS
SELECT asset_id, title, length FROM assets WHERE mime LIKE 'video/%';

GRANT SELECT ON ALL TABLES IN SCHEMA public TO media_app;

-- Large objects of nobody's row: one of the service's own, one empty, one with a hole in it.
SELECT lo_create(77000001), lo_create(77000002), lo_create(77000003);
SELECT lo_put(77000001, 0, '\x00ff10'), lo_put(77000003, 5000000, 'the end');
COMMENT ON LARGE OBJECT 77000001 IS 'Uploaded by the service; isn''t in "assets"';
COMMENT ON LARGE OBJECT 77000003 IS 'Sparse: zeros up to the last seven bytes';
GRANT SELECT, UPDATE ON LARGE OBJECT 77000003 TO media_app;
DO $$
DECLARE
    asset record;
BEGIN
    FOR asset IN SELECT content, title FROM assets WHERE asset_id % 10 = 0 LOOP
        EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', asset.content, 'Content of ' || asset.title);
        EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO media_app', asset.content);
    END LOOP;
END $$;
RESET ROLE;
ALTER LARGE OBJECT 77000001 OWNER TO media_app;
