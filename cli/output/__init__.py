"""How what commands find is told: to people as text and tables, to scripts as JSON and YAML. Importing it costs nothing."""
