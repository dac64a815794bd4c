"""Pure functions of pictures: hash, measure, crop, smooth edges, encode. No files, no films in here."""
