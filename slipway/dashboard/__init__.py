"""All environments of a cluster: as a list for people, as JSON, and as a page.

A pod serves the page with these modules alone, so they need nothing but Python and what
``slipway.apps.manifests.render.labels`` has.
"""
