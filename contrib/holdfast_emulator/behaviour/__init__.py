"""One Dataverse organisation without HTTP: what it keeps, allows and does by itself."""
