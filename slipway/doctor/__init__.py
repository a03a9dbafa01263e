"""``make doctor``: whether this machine and the nodes will do, and how to mend what will not."""
