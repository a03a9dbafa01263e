"""Environments: resolved from branches, found in the cluster, listed, kept, pinned."""
