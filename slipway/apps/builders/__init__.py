"""Builds the images of apps, by Jib, by buildx or from what is built already."""
