"""Two small clouds on one machine, real enough that a migration between them proves something."""
