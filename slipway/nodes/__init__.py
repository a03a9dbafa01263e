"""Machines that become nodes: containers, their image, containerd, and loading images on them."""
