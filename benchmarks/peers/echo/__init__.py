"""The ceiling of the client library as it is used: no database, no promise."""
