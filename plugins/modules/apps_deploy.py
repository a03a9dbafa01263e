#!/usr/bin/python
"""Documentation of the action plugin apps_deploy; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_deploy
short_description: Make the apps in the cluster equal to their records
description:
  - Writes the objects of all apps by server-side apply, waits until every changed app is rolled
    out, and removes what an earlier run made and no app needs any more.
  - An object is written only if it is missing, is rendered differently than the last time, or was
    changed by hand. A run with nothing to do asks for each kind once and writes nothing.
  - Each app has a Deployment, a Service, a ConfigMap if it has config files, and one minion
    Ingress for each different rewrite. Each host has one master Ingress in the namespace
    C(slipway-routes), which is made once and stays while any app has a route on that host. Beside
    it is the Secret of the host's certificate, if it has one.
  - A certificate of the local authority is made anew 30 days before its end; one from the secrets
    that does not fit its host, its key or today fails the task before anything is written.
  - An app that cannot be deployed gets RV(apps[].failed) in its record and the others go on; what
    served before still serves. The task itself fails only if the cluster does not answer.
  - A config file is mounted alone, so other files of the image in its directory stay. Its content
    is part of the ConfigMap's name, so a change rolls the pods of that app and of no other, and
    the version before keeps its own.
  - What is secret gets into a Secret that never changes, as a config file does into a ConfigMap;
    its name is drawn by lot, as any digest in it would help to guess the values.
  - What an app brings by manifests and charts is applied before its own objects, by an identity
    that may write the usual kinds in the app's namespace and nothing elsewhere; a role of the
    cluster and a binding in each namespace say so. What C(allow_kinds) names is applied by the
    kubeconfig's user, for the whole cluster too.
  - What apps bring is removed when it leaves the list or the app
    leaves, but for definitions of kinds. A Job that changes is deleted and made anew; any other
    change that the API refuses is the app's failure.
  - ConfigMaps and Secrets that an app refers to must be among its manifests or in the cluster
    before anything of the app is applied, and its ServiceAccount among the manifests.
  - Paths that apps.yml gives to an app are taken from whoever still has them.
  - A namespace is created when it is not there, and is deleted with its last app if it was created
    here and nobody put anything else into it.
  - A check shows a line for each app that says whether it would be built, loaded (and to which
    nodes), rolled, updated, routed or removed, or nothing of it.
  - What belongs to none of the apps that are given is removed. A record with C(failed) is left as
    it is in the cluster.
  - The certificate authority is made when a host needs it and there is none. Charts are rendered by
    the bundle's C(tools/helm), or by the one on PATH where there is no bundle, each in a container
    of the engine that has no network and nothing but the chart.
  - It runs on the controller.
options:
  leaving:
    description:
      - The environments that M(apps_plan) found to have lost their branch. They stay as they are,
        and their namespaces are marked; without this they are removed.
    type: list
    elements: dict
    default: []
  helm_image:
    description: The bundle's image in which charts are rendered, with Python.
    type: str
    required: true
  helper_image:
    description: The image of pods that copy data from volume to volume, which all nodes have.
    type: str
    required: true
  ingress_class:
    description: The class of the Ingress objects.
    type: str
    default: nginx
  quota:
    description:
      - How much each app may have in its environment, as C(hard) of a ResourceQuota. Apps that
        share a namespace have the sum.
    type: dict
    default: {}
  pod_subnet:
    description:
      - The addresses of pods, as a network. Environments reach one another only where apps say so.
    type: str
    required: true
  service_subnet:
    description: The addresses of services, as a network.
    type: str
    required: true
  timeout:
    description: How many seconds the roll-outs may take altogether.
    type: int
    required: true
  pending:
    description: For a check, the ids of the apps of which an image would be built or fetched.
    type: list
    elements: str
    default: []
  nodes:
    description:
      - For a check, the nodes by name, each with its C(labels) and whether it is C(schedulable).
    type: dict
    default: {}
  loaded:
    description: For a check, the images that each node would be sent, by the node's name.
    type: dict
    default: {}
extends_documentation_fragment:
  - shared.kubeconfig
  - shared.apps
  - shared.secrets
  - shared.ca_dir
  - shared.ports
  - shared.bundle
attributes:
  check_mode:
    support: full
    details: The API checks every object that can be checked before its namespace exists.
  diff_mode:
    support: full
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Deploy the apps
  apps_deploy:
    kubeconfig: ~/.kube/slipway.yaml
    apps: "{{ images.apps }}"
    ca_dir: ~/.local/share/slipway/ca
    bundle: "{{ slipway_bundle_dir }}"
    helm_image: bundle.slipway.internal/python:3.13
    helper_image: bundle.slipway.internal/python:3.13
    pod_subnet: 10.244.0.0/16
    service_subnet: 10.96.0.0/16
    timeout: 120
  register: deployed
"""

RETURN = r"""
apps:
  description: >-
    A JSON file with the records, for as long as the run lasts; those of apps that could not be
    deployed have RV(apps[].failed).
  returned: always
  type: str
  contains:
    failed:
      description: The C(step) at which the app failed, and the C(reason).
      type: dict
    held:
      description: The commit at which a rollback holds the app.
      type: str
table:
  description: What was shown of what would be done.
  returned: in check mode
  type: list
  elements: str
"""
