"""Codecs: what a packet's headers say of its picture, so that nobody has to decode it to know."""
