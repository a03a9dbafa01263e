"""The cache of a user: where what is slow to make lies, who claims it, and what may go."""
