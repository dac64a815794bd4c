"""Extraction: sources → segments → shards, with decisions about what is left out."""
