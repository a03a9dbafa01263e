"""An ingress controller on NGINX, with mergeable Ingress: a master per host and its minions."""
