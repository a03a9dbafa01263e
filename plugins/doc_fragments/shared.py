"""Options that several modules have, documented once."""

from __future__ import annotations


class ModuleDocFragment:
    """Ansible's way to the fragments: a module extends ``shared.kubeconfig``, and so on."""

    KUBECONFIG = r"""
options:
  kubeconfig:
    description: The kubeconfig of the cluster.
    type: path
    required: true
"""

    APPS = r"""
options:
  apps:
    description:
      - The JSON file with the records of all apps of the cluster, as the step before left it.
    type: path
    required: true
"""

    ENVIRONMENT = r"""
options:
  app:
    description: The app, as C(name) or as C(namespace/name).
    type: str
    required: true
  branch:
    description: The branch, where several of the app are deployed.
    type: str
    default: ""
"""

    PEOPLE = r"""
options:
  people:
    description:
      - What people may where, by their names. C(view), C(develop) and C(admin) have C(apps) by
        name, of which C(*) is every one, and C(namespaces).
    type: dict
    required: true
"""

    PORTS = r"""
options:
  ports:
    description:
      - The ports of 127.0.0.1, as C(http) and C(https), at which the ingress controller of
        container nodes answers for names below C(localhost).
    type: dict
    default: {}
"""

    DOMAIN = r"""
options:
  domain:
    description: What hosts are below of that say C({{ domain }}).
    type: str
    default: slipway.test
"""

    BOUNDS = r"""
options:
  host_suffixes:
    description: The names that hosts of apps may be, or be below of.
    type: list
    elements: str
    default: [slipway.test, slipway.localhost]
  reserved_hosts:
    description: Hosts that no app may have; an empty name is none.
    type: list
    elements: str
    default: []
  file_folders:
    description:
      - Folders of the controller, beside that of the file of the apps, of which apps may name
        files and archives.
    type: list
    elements: path
    default: []
"""

    CACHE = r"""
options:
  cache:
    description:
      - The directory of what is slow to make and outlives a checkout. It has bundles with their
        parts (C(bundle)) and the compiler that makes them (C(go-<version>), and C(go-build), which
        Go trims itself), the stores of the apps' images (C(images), and C(images-of) for nodes with
        another processor) with notes about their builds (C(builds), C(bases.json)), mirrors and
        work trees of sources (C(git), C(source)), what builders keep (C(buildkit), which keeps
        itself below 10 GB, C(buildx) and C(jib)) and need while they build (C(work)), what each
        cluster claims of all this (C(clusters)), and the log of the container engine that was
        started (C(engine)).
    type: path
    required: true
"""

    PROVIDER = r"""
options:
  provider:
    description:
      - Where a bundle comes from. V(archive) unpacks one of O(archive), V(upstream) downloads what
        C(bundle/upstream.yml) knows of what upstream publishes and builds the rest, and V(source)
        builds all from Go modules and Debian packages.
      - V(auto) is V(archive) if one is named for the processor, or else what is in the cache, or
        else V(upstream) if it answers within a few seconds, V(source) otherwise.
    type: str
    choices: [archive, auto, source, upstream]
    default: auto
  mirrors:
    description:
      - Mirrors of upstream, by what they stand for, a host or a host with the beginning of a path,
        of files as of images. Each is an address, or has C(url), C(user) and C(password), which is
        the name of a secret, and C(ca), a file of authorities that are trusted there as well.
    type: dict
    default: {}
  signatures:
    description:
      - Whether signatures by cosign are checked of what upstream publishes and C(signers) of
        C(bundle/upstream.yml) names, beside its sums. With V(auto) they are where C(cosign) is in
        C(PATH) and there is one; with V(required), what has none, or cannot be checked, fails.
    type: str
    choices: ["off", auto, required]
    default: "off"
  archive:
    description:
      - The archives of bundles, each a path or an address that begins with C(https://). One has to
        be made of the same lock, and is for one kind of processor; at least one has to be for a
        kind that is wanted. What a server sends is kept when the connection breaks, and gone on
        with.
    type: list
    elements: str
    default: []
  signers:
    description:
      - A file of allowed signers, as OpenSSH has them. With it, an archive has to be signed by one
        of them.
    type: str
    default: ""
  login:
    description:
      - Who asks for an archive, as C(user) and C(password), which is the name of a secret. Without
        it, C(~/.netrc) says so, or the file that C(NETRC) names.
    type: dict
    default: {}
"""

    LOCK = r"""
options:
  strict:
    description:
      - Whether it is a failure that Debian has other packages than C(images/debian-RELEASE.lock),
        when root file systems are made. Otherwise a line says so.
      - That a package has another content than was recorded of the same version is always one.
    type: bool
    default: false
  project:
    description: The checkout, whose folders C(bundle) and C(images) say what goes in.
    type: path
    required: true
  versions:
    description: The version of every component, by name.
    type: dict
    required: true
"""

    STORE = r"""
options:
  store:
    description: The image store on the controller, a directory with an OCI image layout.
    type: path
    required: true
"""

    BUNDLE = r"""
options:
  bundle:
    description: The directory of the bundle.
    type: path
    required: true
"""

    BUNDLES = r"""
options:
  bundles:
    description: The directory of each bundle of the cluster, by the architecture that it is for.
    type: dict
    required: true
"""

    SECRETS = r"""
options:
  secrets:
    description:
      - Name of the variable that has the secrets, a mapping of which the file of the apps has the
        names. Its values are taken to the letter, not as templates, and masked where something is
        shown.
    type: str
    default: slipway_secrets
"""

    REGISTRIES = r"""
options:
  registries:
    description:
      - The registries that nodes ask themselves, by the host that images name, or V(_default) for
        each that is not there. Each may have C(mirrors), addresses that are asked before, C(user)
        and C(password), which is the name of a secret, C(ca), certificates or a file of the
        controller with them, and C(plain_http). A mirror has the login and the C(ca) of the entry
        for its own host.
    type: dict
    default: {}
"""

    SESSION = r"""
options:
  session:
    description: Folder of the session of C(make dev) that the run belongs to.
    type: path
"""

    GITHUB_API = r"""
options:
  github_api:
    description: Base URL of the API that makes deploy keys.
    type: str
    default: https://api.github.com
"""

    CA_DIR = r"""
options:
  ca_dir:
    description: Where the authority is kept that certifies hosts with C(local-ca), and apps.
    type: path
    required: true
"""
