"""Memory: a graph of entities, relations and observations that outlasts the session, kept in one SQLite file.

What keeps it safe: a call is one transaction on a connection of its own, so all of it is kept or nothing, in whatever
thread it runs, however many servers share the file, and even if the process is killed. Values reach SQL as parameters,
never as part of a statement; a search term is text, not a pattern. Texts and lists are bounded by their schema, answers
by pages, and the graph by ``max_entities`` and ``max_each``.
"""

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

EACH = 50  # observations an entity may have, relations that may begin at it, items in a list
WAIT_SECONDS = 10.0  # for others that write into the same file

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
DELETES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)

TABLES = """BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS entity (name TEXT PRIMARY KEY, kind TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS observation (
  entity TEXT NOT NULL REFERENCES entity (name) ON DELETE CASCADE, text TEXT NOT NULL, PRIMARY KEY (entity, text));
CREATE TABLE IF NOT EXISTS relation (
  source TEXT NOT NULL REFERENCES entity (name) ON DELETE CASCADE, kind TEXT NOT NULL,
  target TEXT NOT NULL REFERENCES entity (name) ON DELETE CASCADE, PRIMARY KEY (source, kind, target));
COMMIT;"""
FIND = """SELECT name FROM entity WHERE name > ?2 AND (instr(fold(name), ?1) OR instr(fold(kind), ?1) OR EXISTS (
  SELECT 1 FROM observation WHERE entity = name AND instr(fold(text), ?1))) ORDER BY name LIMIT ?3"""
TOO_MUCH = """SELECT (SELECT count(*) FROM entity) > ?1
  OR EXISTS (SELECT 1 FROM observation GROUP BY entity HAVING count(*) > ?2)
  OR EXISTS (SELECT 1 FROM relation GROUP BY source HAVING count(*) > ?2)"""
SAMPLES = """BEGIN IMMEDIATE;
INSERT OR IGNORE INTO entity VALUES ('Ada', 'person'), ('Engine', 'project'), ('Grace', 'person');
INSERT OR IGNORE INTO observation VALUES ('Ada', 'writes programs'), ('Ada', 'is 100% sure'), ('Grace', 'found a moth');
INSERT OR IGNORE INTO relation VALUES ('Ada', 'works on', 'Engine');
COMMIT;"""
OBSERVE = "INSERT OR IGNORE INTO observation VALUES (?, ?)"
RELATE = "INSERT OR IGNORE INTO relation VALUES (?, ?, ?)"

Name = Annotated[str, Field(min_length=1, max_length=100)]
Fact = Annotated[str, Field(min_length=1, max_length=500)]
OneName = Annotated[Name, Field(description="The name of the entity.")]
Names = Annotated[list[Name], Field(description="The names of entities.", min_length=1, max_length=EACH)]
Facts = Annotated[list[Fact], Field(description="What is known of it, a fact each.", max_length=EACH)]
NewFacts = Annotated[Facts, Field(min_length=1)]
Query = Annotated[str, Field(description="Text in a name, kind or observation, in any case.", max_length=100)]
After = Annotated[str, Field(description="Where to go on: next_after of the page before.", max_length=100)]
Limit = Annotated[int, Field(description="The greatest number of entities in the answer.", ge=1, le=EACH)]


class Entity(BaseModel, extra="forbid"):
    """A thing to remember: a person, a project, a decision."""

    name: Name = Field(description="What it is called; no other entity has this name.")
    kind: Name = Field(description="What sort of thing it is: person, project.")
    observations: Facts = []


class Relation(BaseModel, extra="forbid"):
    """How one entity stands to another, in the active voice: Ada, works on, Engine."""

    source: Name = Field(description="The name of the entity that it begins at.")
    kind: Name = Field(description="How the two are related: works on.")
    target: Name = Field(description="The name of the entity that it leads to.")


class Graph(BaseModel, extra="forbid"):
    """Some entities, and the relations that begin at them."""

    entities: list[Entity] = Field(description="The entities.", max_length=EACH)
    relations: list[Relation] = Field(description="The relations that begin at them.", max_length=EACH * EACH)
    next_after: Name | None = Field(description="What to pass as after for the next page; null on the last one.")


class Change(BaseModel, extra="forbid"):
    """What a call changed."""

    changed: int = Field(description="How many of those named are new, or gone; the others were so before.", ge=0)


Entities = Annotated[list[Entity], Field(description="The entities.", min_length=1, max_length=EACH)]
Relations = Annotated[list[Relation], Field(description="The relations.", min_length=1, max_length=EACH)]


def make_server(database: Path, max_entities: int = 2_000, max_each: int = EACH) -> MCPServer:
    """Return a server on the file ``database``, made if it is not there, with room for so many entities."""
    server = MCPServer("memory", version="1.0.0", log_level="WARNING")
    with closing(sqlite3.connect(database, timeout=WAIT_SECONDS)) as made:
        # With a write-ahead log readers do not wait for a writer. Another server may just be turning it on.
        with suppress(sqlite3.OperationalError):
            made.execute("PRAGMA journal_mode = WAL")
        made.executescript(TABLES)

    @contextmanager
    def transaction(begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
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

    def graph(connection: sqlite3.Connection, names: Sequence[str], next_after: str | None = None) -> Graph:
        found = Graph(entities=[], relations=[], next_after=next_after)
        for name in names:
            row = connection.execute("SELECT kind FROM entity WHERE name = ?", [name]).fetchone()
            if row is None:
                raise ToolError(f"not_found: no entity is called {name!r}; look for it with search_nodes.")
            facts = connection.execute("SELECT text FROM observation WHERE entity = ? ORDER BY rowid", [name])
            found.entities.append(Entity(name=name, kind=row[0], observations=[fact for (fact,) in facts]))
            ends = connection.execute("SELECT kind, target FROM relation WHERE source = ? ORDER BY rowid", [name])
            found.relations.extend(Relation(source=name, kind=kind, target=target) for kind, target in ends)
        return found

    def check_room(connection: sqlite3.Connection) -> None:
        if connection.execute(TOO_MUCH, (max_entities, max_each)).fetchone() == (1,):
            limits = f"{max_entities} entities, each with {max_each} observations and {max_each} relations"
            raise ToolError(f"full: there is room for {limits}; delete what is not needed any more.")

    def add(statement: str, rows: Sequence[tuple[str, ...]]) -> Change:
        with transaction() as connection:
            changed = connection.executemany(statement, rows).rowcount
            check_room(connection)
        return Change(changed=changed)

    @server.tool(annotations=WRITES)
    def create_entities(entities: Entities) -> Change:
        """Remember entities; one that is there already, of the same kind, gets the observations that are new."""
        changed = 0
        with transaction() as connection:
            for new in entities:
                named = (new.name, new.kind)
                changed += connection.execute("INSERT OR IGNORE INTO entity VALUES (?, ?)", named).rowcount
                ((kind,),) = connection.execute("SELECT kind FROM entity WHERE name = ?", [new.name])
                if kind != new.kind:
                    raise ToolError(f"conflict: {new.name!r} is there as {kind!r}; use this kind, or another name.")
                connection.executemany(OBSERVE, [(new.name, fact) for fact in new.observations])
            check_room(connection)
        return Change(changed=changed)

    @server.tool(annotations=WRITES)
    def add_observations(name: OneName, observations: NewFacts) -> Change:
        """Add facts to what is known of an entity."""
        return add(OBSERVE, [(name, fact) for fact in observations])

    @server.tool(annotations=WRITES)
    def create_relations(relations: Relations) -> Change:
        """Relate entities that are there already."""
        return add(RELATE, [(new.source, new.kind, new.target) for new in relations])

    @server.tool(annotations=READS)
    def search_nodes(query: Query = "", after: After = "", limit: Limit = 20) -> Graph:
        """Find the entities in which a text occurs, a page at a time; without a text, all of them."""
        with transaction("BEGIN") as connection:
            connection.create_function("fold", 1, str.casefold, deterministic=True)
            names = [name for (name,) in connection.execute(FIND, (query.casefold(), after, limit + 1))]
            return graph(connection, names[:limit], names[limit - 1] if len(names) > limit else None)

    @server.tool(annotations=READS)
    def open_nodes(names: Names) -> Graph:
        """Return the entities of these names, and the relations that begin at them."""
        with transaction("BEGIN") as connection:
            return graph(connection, list(dict.fromkeys(names)))

    @server.tool(annotations=DELETES)
    def delete_entities(names: Names) -> Change:
        """Forget entities for good, with their observations and all relations that begin or end at them."""
        with transaction() as connection:
            rows = [(name,) for name in names]
            return Change(changed=connection.executemany("DELETE FROM entity WHERE name = ?", rows).rowcount)

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
