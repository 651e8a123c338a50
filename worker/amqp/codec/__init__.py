"""Bytes to commands, and outcomes to bytes: the only reader of the published schemas. Pure."""
