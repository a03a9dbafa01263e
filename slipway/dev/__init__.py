"""``make dev``: runs that follow one another, each ready before there is something for it to do."""
