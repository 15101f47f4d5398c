-- Pictures and films: bytes in rows, and large objects with owners, rights and comments.
CREATE EXTENSION lo;

SET ROLE media_owner;

CREATE TABLE assets (
    asset_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title text NOT NULL,
    mime text NOT NULL,
    content lo NOT NULL UNIQUE,
    length bigint NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32)
);
COMMENT ON COLUMN assets.content IS 'A large object; lo_manage removes it with its row';

CREATE TABLE previews (
    asset_id integer NOT NULL,
    width smallint NOT NULL,
    picture bytea NOT NULL,
    PRIMARY KEY (asset_id, width)
);
ALTER TABLE previews ALTER COLUMN picture SET STORAGE EXTERNAL;

CREATE TABLE blobs (
    name text COLLATE "C" PRIMARY KEY,
    content bytea
);
