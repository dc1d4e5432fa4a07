"""FetchXML: Dataverse's own query language, from text to a plan of joins."""
