"""Memory: entities, what is known of them and how they are related, kept in one SQLite file that outlasts the session.

What keeps it safe: a call is one transaction on a connection of its own, so all of it is kept or nothing, however many
threads and servers share the file, and even if the process is killed. Values reach SQL as parameters, never as part of
a statement; a search term is text, not a pattern. Texts, lists, answers and the whole memory have a greatest size.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

MOST = 50  # items in a list, also after many calls
WAIT_SECONDS = 10.0  # for others that write into the same file

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
DELETES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)

# A target is looked for when the call ends: new entities may be related to each other in any order.
TABLES = """CREATE TABLE IF NOT EXISTS entity (name TEXT PRIMARY KEY, kind TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS observation (
  entity TEXT NOT NULL REFERENCES entity (name) ON DELETE CASCADE, text TEXT NOT NULL, PRIMARY KEY (entity, text));
CREATE TABLE IF NOT EXISTS relation (
  source TEXT NOT NULL REFERENCES entity (name) ON DELETE CASCADE, kind TEXT NOT NULL,
  target TEXT NOT NULL REFERENCES entity (name) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  PRIMARY KEY (source, kind, target));"""
FIND = """SELECT name FROM entity WHERE name > ?2 AND (instr(fold(name), ?1) OR instr(fold(kind), ?1) OR EXISTS (
  SELECT 1 FROM observation WHERE entity = name AND instr(fold(text), ?1))) ORDER BY name LIMIT ?3"""
TOO_MUCH = """SELECT (SELECT count(*) FROM entity) > ?1
  OR EXISTS (SELECT 1 FROM observation GROUP BY entity HAVING count(*) > ?2)
  OR EXISTS (SELECT 1 FROM relation GROUP BY source HAVING count(*) > ?2)"""
SAMPLES = """INSERT OR IGNORE INTO entity VALUES ('Ada', 'person'), ('Engine', 'project'), ('Grace', 'person');
INSERT OR IGNORE INTO observation VALUES ('Ada', 'writes programs'), ('Ada', 'is 100% sure'), ('Grace', 'found a moth');
INSERT OR IGNORE INTO relation VALUES ('Ada', 'works on', 'Engine');"""

Name = Annotated[str, Field(min_length=1, max_length=100)]
Fact = Annotated[str, Field(min_length=1, max_length=500)]
Names = Annotated[list[Name], Field(description="The names of entities.", min_length=1, max_length=MOST)]
Query = Annotated[str, Field(description="Text in a name, kind or observation, in any case.", max_length=100)]
After = Annotated[str, Field(description="For more: the last name of the answer before.", max_length=100)]


class Relation(BaseModel, extra="forbid"):
    """How an entity stands to another, in the active voice: works on, Engine."""

    kind: Name = Field(description="How it is related: works on.")
    target: Name = Field(description="The name of the other entity.")


class Entity(BaseModel, extra="forbid"):
    """A thing to remember: a person, a project, a decision."""

    name: Name = Field(description="What it is called; no other entity has this name.")
    kind: Name = Field(description="What sort of thing it is: person, project.")
    observations: list[Fact] = Field([], description="What is known of it, a fact each.", max_length=MOST)
    relations: list[Relation] = Field([], description="How it stands to other entities.", max_length=MOST)


Entities = Annotated[list[Entity], Field(description="The entities.", min_length=1, max_length=MOST)]
Found = Annotated[list[Entity], Field(description="The entities.", max_length=MOST)]
Changed = Annotated[int, Field(description="How many of the entities named are new, or gone.", ge=0)]


def make_server(database: Path, max_entities: int = 2_000, max_each: int = MOST) -> MCPServer:
    """Return a server on the file ``database``, with room for so many entities and so much of each."""
    server = MCPServer("memory", version="1.0.0", log_level="WARNING")
    with closing(sqlite3.connect(database, timeout=WAIT_SECONDS)) as made:
        # With a write-ahead log readers do not wait for a writer. Another server may just be turning it on.
        with suppress(sqlite3.OperationalError):
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
            raise ToolError("not_found: a relation leads to an entity that is not there; create it too.") from None
        except sqlite3.Error:
            raise ToolError("unavailable: the memory cannot be read or written now; try again later.") from None

    def read(connection: sqlite3.Connection, name: str) -> Entity:
        row = connection.execute("SELECT kind FROM entity WHERE name = ?", [name]).fetchone()
        if row is None:
            raise ToolError(f"not_found: no entity is called {name!r}; look for it with search_nodes.")
        facts = connection.execute("SELECT text FROM observation WHERE entity = ? ORDER BY rowid", [name])
        ends = connection.execute("SELECT kind, target FROM relation WHERE source = ? ORDER BY rowid", [name])
        relations = [Relation(kind=kind, target=target) for kind, target in ends]
        return Entity(name=name, kind=row[0], observations=[fact for (fact,) in facts], relations=relations)

    @server.tool(annotations=WRITES)
    def create_entities(entities: Entities) -> Changed:
        """Remember entities; one that is there already, of the same kind, gets what is new of it."""
        changed = 0
        with transaction("BEGIN IMMEDIATE") as connection:
            for new in entities:
                named = (new.name, new.kind)
                changed += connection.execute("INSERT OR IGNORE INTO entity VALUES (?, ?)", named).rowcount
                if not connection.execute("SELECT 1 FROM entity WHERE name = ? AND kind = ?", named).fetchone():
                    raise ToolError(f"conflict: {new.name!r} is of another kind; use that kind, or another name.")
                facts = [(new.name, fact) for fact in new.observations]
                connection.executemany("INSERT OR IGNORE INTO observation VALUES (?, ?)", facts)
                ends = [(new.name, relation.kind, relation.target) for relation in new.relations]
                connection.executemany("INSERT OR IGNORE INTO relation VALUES (?, ?, ?)", ends)
            if connection.execute(TOO_MUCH, (max_entities, max_each)).fetchone() == (1,):
                raise ToolError(f"full: there is room for {max_entities} entities, {max_each} facts each; delete some.")
        return changed

    @server.tool(annotations=READS)
    def search_nodes(query: Query = "", after: After = "") -> Found:
        """Find the entities in which a text occurs, or all, in the order of their names; the answer has 50 at most."""
        with transaction("BEGIN") as connection:
            connection.create_function("fold", 1, str.casefold, deterministic=True)
            names = [name for (name,) in connection.execute(FIND, (query.casefold(), after, MOST))]
            return [read(connection, name) for name in names]

    @server.tool(annotations=READS)
    def open_nodes(names: Names) -> Found:
        """Return the entities of these names."""
        with transaction("BEGIN") as connection:
            return [read(connection, name) for name in names]

    @server.tool(annotations=DELETES)
    def delete_entities(names: Names) -> Changed:
        """Forget entities for good, with all that is known of them and all relations to them."""
        with transaction("BEGIN IMMEDIATE") as connection:
            return connection.executemany("DELETE FROM entity WHERE name = ?", [(name,) for name in names]).rowcount

    return server


def demo(folder: Path) -> MCPServer:
    """Return a server with a small memory in ``folder``, and room for little more."""
    server = make_server(folder / "memory.sqlite", max_entities=5, max_each=3)
    with closing(sqlite3.connect(folder / "memory.sqlite")) as made:
        made.executescript(SAMPLES)
    return server


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the file that keeps the memory, and nothing else: python server.py DATABASE")
    try:
        stored = make_server(Path(sys.argv[1]))
    except sqlite3.Error as error:
        sys.exit(f"The memory cannot be opened ({error}); name a database in a folder that may be written.")
    stored.run()
