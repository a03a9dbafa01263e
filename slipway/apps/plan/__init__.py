"""Reads apps.yml: validated, defaults merged in, apps compared with one another."""
