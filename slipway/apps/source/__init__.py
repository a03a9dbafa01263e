"""Fetches the sources of apps, each branch at its newest commit."""
