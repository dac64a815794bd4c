"""Files, local or at any address that fsspec knows."""
