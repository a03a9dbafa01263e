"""A Maven that stays between builds, so that an edit does not wait for its start."""
