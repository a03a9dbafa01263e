#!/usr/bin/python
"""Documentation of the action plugin apps_plan; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_plan
short_description: Read apps.yml and make a record of each app
description:
  - Validates the file against C(apps.schema.json) and the apps against one another, and reports
    every mistake at once, each with its line and the way to mend it.
  - Merges the file's defaults into each app and fills in what neither gives.
  - A C(git_branch) with C(*) becomes a record for each branch that it matches, as far as its
    C(max) allows; an environment that exists comes before a new one. The repository is asked for
    its branches and the cluster for its environments.
  - If the repository does not answer, its environments get RV(apps[].failed) and so stay as they
    are.
  - There need not be a cluster yet. Of a repository that a check may not ask, it takes what the
    mirror in the cache has.
  - Where an app has C(repository_settings), its repository is asked for C(slipway.yml) of each of
    its branches, which is a part of the app's settings as the entry leaves it open. What is wrong
    there, or cannot be had, is RV(apps[].failed) of that branch alone. The commits are fetched into
    the mirror in the cache, where M(apps_source) finds them; in a check, an app whose commit is not
    there is as the file alone has it.
  - It runs on the controller and changes nothing but the cache.
options:
  path:
    description: The file. Relative C(git_url) values are seen from its folder.
    type: path
    required: true
extends_documentation_fragment:
  - shared.kubeconfig
  - shared.domain
  - shared.bounds
  - shared.cache
  - shared.session
  - shared.secrets
  - shared.github_api
attributes:
  check_mode:
    support: full
    details: It only reads.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Read what is to run
  apps_plan:
    path: apps.yml
    kubeconfig: ~/.kube/slipway.yaml
    cache: ~/.cache/slipway
  register: plan
"""

RETURN = r"""
apps:
  description: >-
    A JSON file, for as long as the run lasts, with a record of each app in the order of the
    file.
  returned: always
  type: str
  contains:
    id:
      description: Namespace and name, C(greeter-main/greeter); no other app has it.
      type: str
    name:
      description: Name of the service.
      type: str
    namespace:
      description: Namespace; by default name and branch.
      type: str
    git_branch:
      description: Branch.
      type: str
    git_url:
      description: URL or absolute path of the repository; empty for an app of an image alone.
      type: str
    git_auth:
      description: The names of the secrets that open the repository.
      type: dict
    git_submodules:
      description: URLs of other repositories that submodules may come from with the same
        access.
      type: list
    git_path:
      description: Folder of the project in the repository, C(.) for its top.
      type: str
    branch_slug:
      description: The branch as a DNS label.
      type: str
    pattern:
      description: The C(git_branch) with a C(*) that the branch matches, if it came of one.
      type: str
    owner:
      description: The app that brings it along, if it is a service of one environment.
      type: dict
    needs:
      description: The apps that have to run before it does.
      type: list
    head:
      description: Newest commit of the branch, once its repository was asked.
      type: str
    build:
      description: The builder under C(tool) with its options; nothing until it is detected.
      type: dict
    base_image:
      description: The base image that the user names for each builder.
      type: dict
    registry_auth:
      description: Who its builds are to registries, by their hosts.
      type: dict
    command:
      description: What the container runs in place of its image's own.
      type: list
    port:
      description: Port of the service.
      type: int
    scheme:
      description: 'What the port speaks: C(http) or C(https).'
      type: str
    replicas:
      description: Number of pods, or the range in which Kubernetes chooses it.
      type: raw
    health_path:
      description: Path of the health check.
      type: str
    probes:
      description: 'Checks in place of those of the health path: C(startup), C(readiness),
        C(liveness).'
      type: dict
    resources:
      description: C(requests) and C(limits) of C(cpu) and C(memory).
      type: dict
    processes:
      description: What else runs of its image, by name.
      type: dict
    jobs:
      description: What runs of its image to an end, by name.
      type: dict
    quota:
      description: How much its environment may have, where that is not as for all.
      type: dict
    env:
      description: Environment variables.
      type: dict
    config_files:
      description: Files of the container.
      type: list
    volumes:
      description: What it keeps beyond its pods, by name.
      type: dict
    manifests:
      description: Objects that belong to the app.
      type: list
    helm:
      description: Charts that belong to the app.
      type: list
    service_account:
      description: The ServiceAccount that the pods run as.
      type: str
    rbac:
      description: What its pods may ask of the Kubernetes API, by an account of their own.
      type: list
    service:
      description: At which ports and addresses it is reached without a route.
      type: dict
    certificate:
      description: The certificate that it itself shows, if it has one.
      type: dict
    reach:
      description: Other apps that its environment reaches on the network.
      type: list
    security:
      description: What the container may do beyond the default.
      type: dict
    pod_security:
      description: The Pod Security Standard of the namespace.
      type: str
    node_selector:
      description: Labels that nodes must have.
      type: dict
    ingress:
      description: The routes with what holds for all of them; nothing for an app without
        a route.
      type: dict
leaving:
  description:
    - Environments of patterns whose branch is gone and that stay for their grace, or for good if
      they are marked to be kept.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: As that of an app; C(namespace), C(name) and C(git_branch) are beside it.
      type: str
    since:
      description: When a run first missed the branch (UTC); empty for one that is kept.
      type: str
      sample: "2026-01-31T12:00:00Z"
    until:
      description: When its grace ends (UTC); empty for one that is kept.
      type: str
gone:
  description: Ids of environments of patterns whose time is over.
  returned: always
  type: list
  elements: str
waiting:
  description: One line for each reason for which branches get no environment.
  returned: always
  type: list
  elements: str
"""
