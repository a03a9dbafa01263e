"""The machine that Ansible runs on: its tools, its kubeconfig, its hosts file."""
