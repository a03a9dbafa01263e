"""The data of volumes: what writes it as a file, and has a file take its place."""
