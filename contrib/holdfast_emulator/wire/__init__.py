"""The Web API over an organisation, without sockets: a call in, a reply out."""
