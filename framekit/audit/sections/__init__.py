"""The sections of the report: each function gives what its template shows, as values by name."""
