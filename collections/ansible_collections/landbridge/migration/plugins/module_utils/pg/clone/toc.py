# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""Split the text of ``pg_dump -s -v`` into its entries, each with its object's catalog OID.

With -v every entry follows a comment ``-- TOC entry 215 (class 1259 OID 16385)``. A function's
body, a default or a comment may hold the very same lines, so the text is read as SQL: only a
comment outside every quote is pg_dump's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# What may hide a comment or a semicolon, after src/fe_utils/psqlscan.l. A quote or a dollar
# within an identifier starts nothing, hence the look-behinds.
TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* )
    | (?P<meta> ^\\[^\n]* )
    | (?P<semicolon> ; )
    | (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'
    | '[^']*(?:''[^']*)*'
    | "[^"]*(?:""[^"]*)*"
    | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
ENTRY = re.compile(r"-- TOC entry (\d+) \(class (\d+) OID (\d+)\)\Z")
DEPENDENCIES = re.compile(r"-- Dependencies: ([\d ]+)\Z")
METHOD = re.compile(r"SET default_table_access_method = (.*)\Z", re.DOTALL)


class Entry(NamedTuple):
    """One entry. ``depends`` holds the numbers of other entries, where pg_dump tells them."""

    number: int
    class_oid: int
    oid: int
    depends: tuple[int, ...]
    title: str
    statements: tuple[str, ...]  # each without its semicolon
    access_method: str = "heap"

    @property
    def sql(self) -> str:
        return "".join(f"{statement};\n" for statement in self.statements)


class _Draft:
    """An entry while its text is read."""

    def __init__(self, number: int, class_oid: int, oid: int) -> None:
        self.key = (number, class_oid, oid)
        self.depends: tuple[int, ...] = ()
        self.title = ""
        self.statements: list[str] = []

    def read_header(self, comment: str) -> None:
        if found := DEPENDENCIES.match(comment):
            self.depends = tuple(int(number) for number in found[1].split())
        elif comment.startswith("-- Name: ") and not self.title:
            self.title = comment.removeprefix("-- Name: ")

    def entry(self, access_method: str) -> Entry:
        return Entry(*self.key, self.depends, self.title, tuple(self.statements), access_method)


def split(text: str) -> list[Entry]:
    """Return the entries of a dump in its order; an entry may hold no statement.

    ``SET default_table_access_method`` stands before the header of the table it is for, and
    goes on for those that follow: each entry is given the one in force.
    """
    entries: list[Entry] = []
    draft: _Draft | None = None
    method = in_force = "heap"
    for kind, piece in _pieces(text):
        if kind == "comment" and (found := ENTRY.match(piece)):
            if draft:
                entries.append(draft.entry(in_force))
            draft, in_force = _Draft(*map(int, found.groups())), method
        elif kind == "comment" and draft and not draft.statements:
            draft.read_header(piece)
        elif kind == "statement" and (setting := METHOD.match(piece)):
            method = setting[1]
        elif kind == "statement" and draft and not piece.startswith("SET default_"):
            draft.statements.append(piece)
    if draft:
        entries.append(draft.entry(in_force))
    return entries


def statements(text: str) -> list[str]:
    """Return the statements of ``text`` without comments and semicolons."""
    return [piece for kind, piece in _pieces(text) if kind == "statement"]


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield ("comment", line) and ("statement", text) as they come, quotes understood."""
    start = 0
    for token in TOKEN.finditer(text):
        if token.lastgroup == "semicolon":
            if statement := text[start : token.start()].strip():
                yield "statement", statement
            start = token.end()
        elif token.lastgroup in ("comment", "meta") and not text[start : token.start()].strip():
            if token.lastgroup == "comment":
                yield "comment", token.group()
            start = token.end()
