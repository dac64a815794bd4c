"""Sources: films and image folders, and the pictures in them: upright RGB with square pixels."""
