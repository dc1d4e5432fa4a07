-- The hidden column, if there is one, that holds the form in which a field compares, indexed.
ALTER TABLE _holdfast_sqlite_field ADD COLUMN key_column TEXT;

-- The Unicode tables by which those forms were made; a newer Python makes them anew.
ALTER TABLE _holdfast_sqlite_state ADD COLUMN unicode TEXT;
