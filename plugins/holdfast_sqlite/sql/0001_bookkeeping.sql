-- The layouts that the tables of this file were made from, and the number given to the last migrate.
CREATE TABLE _holdfast_sqlite_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO _holdfast_sqlite_state (id, version) VALUES (1, 0);

CREATE TABLE _holdfast_sqlite_field (
    table_name TEXT NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    indexed INTEGER NOT NULL,
    PRIMARY KEY (table_name, position)
) STRICT;
