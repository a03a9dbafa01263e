"""Renders the Kubernetes objects of apps."""
