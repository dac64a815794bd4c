"""The terminal: flags from options models, progress, and how a command ends. No film, no network in here."""
