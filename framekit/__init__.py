"""framekit: films in, an audited Parquet dataset of (crop, edge-smoothed crop) pairs out."""

__version__ = "0.1.0"
