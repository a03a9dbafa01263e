#!/usr/bin/python
"""Documentation of the action plugin apps_verify; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_verify
short_description: Prove that every route answers, and show all apps
description:
  - Asks every route of every app, at the load balancer's address and with the route's host name,
    until the answer is right or the time is over. Without an expected text, each status below 400
    is right.
  - A host with a certificate is asked over HTTPS, and the certificate has to stand up to a check
    by the root of the local authority or, if it is one of the secrets, by this machine's roots
    and the chain that is with it. Over plain HTTP such a host has to redirect to HTTPS.
  - Shows a table of all apps with what their routes answered, and below it the lines for a hosts
    file of those hosts that do not resolve to the ingress controller on this machine.
  - A record without a commit gets that of its Deployment. The routes of an app that failed before
    are asked once, to show what serves in its stead.
  - It fails only if the cluster does not answer. Why an app failed, at this step or at an earlier
    one, is in RV(failures) and in its record.
  - It runs on the controller.
options:
  address:
    description:
      - Where the ingress controller listens. Without it, the address is used that the ingress
        controller reports on the master Ingress of each host.
    type: str
  timeout:
    description: How many seconds a route has until it must answer right.
    type: int
    default: 60
  tell_names:
    description: Whether the lines for a hosts file are shown.
    type: bool
    default: true
  dashboard_host:
    description: The host of the page of all environments, to be told like those of the apps.
    type: str
    default: ""
extends_documentation_fragment:
  - shared.kubeconfig
  - shared.apps
  - shared.secrets
  - shared.ca_dir
  - shared.ports
attributes:
  check_mode:
    support: full
    details: Nothing is asked, as what is not deployed yet cannot answer.
  diff_mode:
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Prove that every route answers
  apps_verify:
    kubeconfig: ~/.kube/slipway.yaml
    apps: "{{ deployed.apps }}"
    ca_dir: ~/.local/share/slipway/ca
    address: 172.20.255.200
"""

RETURN = r"""
apps:
  description: A JSON file with the records, for as long as the run lasts.
  returned: always
  type: str
  contains:
    failed:
      description: The C(step) at which the app failed, and the C(reason).
      type: dict
    held:
      description: The commit at which a rollback holds the app.
      type: str
failures:
  description: Of each app that failed the step and the reason; none in check mode.
  returned: always
  type: list
  elements: str
  sample: ["greeter (main), build: no compiler"]
table:
  description: The lines of the table that was shown; none in check mode.
  returned: always
  type: list
  elements: str
  sample:
    - "APP      BRANCH  COMMIT   NAMESPACE     URL                                ANSWER"
    - "greeter  main    0e1f3a5  greeter-main  http://demo.test/greeter/main/     Hello from main"
names:
  description: >-
    All hosts that an ingress controller serves, as lines of a hosts file; none in check mode.
  returned: always
  type: list
  elements: str
  sample: ["172.20.255.200 admin.slipway.test demo.slipway.test"]
"""
