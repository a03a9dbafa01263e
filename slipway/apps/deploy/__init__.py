"""Deploys apps: decides what differs, writes it, waits until it runs, removes what left."""
