"""The Kubernetes API: a client, server-side apply, and what objects say of themselves."""
