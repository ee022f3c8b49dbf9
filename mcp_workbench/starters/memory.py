"""Memory: a graph of entities, relations and observations that outlasts the session, kept in one SQLite file.

Copy this file as ``server.py`` to begin a server of your own; ``python server.py DATABASE`` runs it. What keeps it safe:

- A call is one transaction on a connection of its own. All of it is kept or nothing, in whatever thread it runs, however
  many servers share the file, and even if the process is killed.
- Values reach SQL as parameters, never as part of a statement; a search term is text, not a pattern.
- Everything is bounded: texts and lists by their schema, answers by pages, the graph by ``max_entities`` and ``EACH``.
"""

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

EACH = 50  # how many observations an entity may have, and how many relations may begin at it
WAIT_SECONDS = 10.0  # how long a call waits for others that write into the same file

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
DELETES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)

TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS entity (name TEXT PRIMARY KEY, kind TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS observation (
  entity TEXT NOT NULL REFERENCES entity (name) ON DELETE CASCADE, text TEXT NOT NULL, PRIMARY KEY (entity, text));
CREATE TABLE IF NOT EXISTS relation (
  source TEXT NOT NULL REFERENCES entity (name) ON DELETE CASCADE, kind TEXT NOT NULL,
  target TEXT NOT NULL REFERENCES entity (name) ON DELETE CASCADE, PRIMARY KEY (source, kind, target));
CREATE INDEX IF NOT EXISTS relation_target ON relation (target);
COMMIT;
"""
FIND = """
SELECT name FROM entity WHERE name > :after AND (instr(fold(name), :words) OR instr(fold(kind), :words) OR EXISTS (
  SELECT 1 FROM observation WHERE entity = name AND instr(fold(text), :words))) ORDER BY name LIMIT :limit
"""
TOO_MUCH = """
SELECT (SELECT count(*) FROM entity) > :entities
  OR EXISTS (SELECT 1 FROM observation GROUP BY entity HAVING count(*) > :each)
  OR EXISTS (SELECT 1 FROM relation GROUP BY source HAVING count(*) > :each)
"""

Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
OneName = Annotated[str, Field(description="The name of an entity.", min_length=1, max_length=100)]
Names = Annotated[list[Name], Field(description="The names of entities.", min_length=1, max_length=EACH)]
Texts = Annotated[list[Text], Field(description="What is known of it, a fact each.", min_length=1, max_length=EACH)]
Words = Annotated[str, Field(description="Text to find in names, kinds, observations.", min_length=1, max_length=100)]
After = Annotated[str, Field(description="Where to go on: next_after of the page before.", max_length=100)]
Limit = Annotated[int, Field(description="The greatest number of entities in the answer.", ge=1, le=EACH)]


class Entity(BaseModel, extra="forbid"):
    """A thing to remember: a person, a project, a decision."""

    name: Name = Field(description="What it is called; no other entity has this name.")
    kind: Name = Field(description="What sort of thing it is: person, project.")
    observations: list[Text] = Field(default=[], description="What is known of it, a fact each.", max_length=EACH)


class Relation(BaseModel, extra="forbid"):
    """How one entity stands to another, in the active voice: Ada, works on, Engine."""

    source: Name = Field(description="The name of the entity that it begins at.")
    kind: Name = Field(description="How the two are related: works on.")
    target: Name = Field(description="The name of the entity that it leads to.")


class Graph(BaseModel, extra="forbid"):
    """Some entities, and the relations that begin at them."""

    entities: list[Entity] = Field(description="The entities; pages go by their names.", max_length=EACH)
    relations: list[Relation] = Field(description="The relations that begin at them.", max_length=EACH * EACH)
    next_after: Name | None = Field(description="What to pass as after for the next page; null on the last one.")


class Change(BaseModel, extra="forbid"):
    """What a call changed."""

    changed: int = Field(description="How many are new, or gone; what was so before is not counted.", ge=0)


Entities = Annotated[list[Entity], Field(description="The entities.", min_length=1, max_length=EACH)]
Relations = Annotated[list[Relation], Field(description="The relations.", min_length=1, max_length=EACH)]


def make_server(database: Path, max_entities: int = 2_000) -> MCPServer:
    """Return a server on the file ``database``, made if it is not there, with room for ``max_entities``."""
    server = MCPServer("memory", version="1.0.0", log_level="WARNING")
    with closing(sqlite3.connect(database, timeout=WAIT_SECONDS)) as made:
        # Write-ahead log: readers do not wait for a writer, and a process that is killed leaves a whole file.
        made.execute("PRAGMA journal_mode = WAL")
        made.executescript(TABLES)

    @contextmanager
    def transaction(begin: str) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(database, timeout=WAIT_SECONDS, isolation_level=None)
            # The connection's own `with` commits; after any error, a ToolError too, it rolls back.
            with closing(connection), connection:
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute(begin)
                yield connection
        except sqlite3.IntegrityError:
            raise ToolError("not_found: there is no entity of that name; create it with create_entities.") from None
        except sqlite3.Error:
            raise ToolError("unavailable: the memory cannot be read or written now; try again later.") from None

    def write(statement: str, rows: Sequence[tuple[str, ...]], then: str = "SELECT 1 WHERE ?") -> int:


    return server
