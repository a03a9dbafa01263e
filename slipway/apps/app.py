"""What flows from apps.yml to the proof: an app on one branch, a type for each stage of it.

The plan makes an :class:`App`, the sources make it a :class:`Sourced`, the build a :class:`Built`.
An app that fails stays at the stage that it had. The steps hand them on as files: as values of
Ansible's, a few hundred would cost more time than all that is done with them.

Settings have the names of apps.yml, where each is described: :file:`docs/apps-yml.md`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs

RESTRICTED = "restricted"
"""The strictest of the Pod Security Standards, which holds unless apps.yml says otherwise."""


class GitAuth(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a repository knows who asks: the names of secrets, and what goes with them."""

    token: str | None = None
    user: str | None = None
    ssh_key: str | None = None
    github_deploy_key: str | None = None
    known_hosts: str = ""


class RegistryLogin(Struct, frozen=True, forbid_unknown_fields=True):
    """Who somebody is to a registry: a name, and the name of the secret with the password."""

    user: str
    password: str


class BranchRules(Struct, forbid_unknown_fields=True):
    """What becomes of the environments of a pattern of branches."""

    max: int
    grace: str
    keep: list[str]
    exclude: list[str]


class _Build(Struct, forbid_unknown_fields=True, omit_defaults=True, tag_field="tool"):
    """How an image is made: with which ``tool``, and which secrets that asks for."""

    secrets: dict[str, str] = {}

    @property
    def tool(self) -> str:
        """The builder's name in apps.yml."""
        return str(self.__struct_config__.tag)


JAVA = 21
"""The version of Java of the bundle's own JDK and of its base image."""


class JibBuild(_Build, tag="jib", kw_only=True):
    """A Maven project with Google's Jib plugin, built by the JDK of a version of ``java``.

    ``wrapper`` says whether Maven is the one that the project asks for.
    """

    java: int = JAVA
    wrapper: bool = True
    module: str | None = None
    args: list[str] = []


class BuildxBuild(_Build, tag="buildx", kw_only=True):
    """A Dockerfile."""

    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str | None = None
    args: dict[str, str] = {}


class PrebuiltBuild(_Build, tag="prebuilt", kw_only=True):
    """An image that somebody else has built: nothing asks for secrets."""

    archive: str


class ImageBuild(_Build, tag="image", kw_only=True):
    """An image of a registry by its reference ``ref``: there is nothing to make."""

    ref: str

    @property
    def version(self) -> str:
        """The digest of the reference in hex, or its tag."""
        name, _, digest = self.ref.partition("@")
        _, _, tag = name.rpartition("/")[2].partition(":")
        return digest.rpartition(":")[2] or tag or "latest"


Build = JibBuild | BuildxBuild | PrebuiltBuild | ImageBuild
"""How an image is made."""


class Probe(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A check of the container: of a path, by a command, or whether the port is open.

    Times are in seconds.
    """

    path: str | None = None
    command: list[str] | None = None
    port: int | None = None
    scheme: str | None = None
    period: int = 10
    timeout: int = 3
    failures: int = 3


class Variable(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An environment variable: its ``value``, or where that comes from.

    That is a ``secret`` of the vault, a ``password`` that the environment has of its own, or a
    ``key`` of an object of the namespace.
    """

    value: str | None = None
    secret: str | None = None
    password: str | None = None
    app: str | None = None
    config_map: str | None = None
    kubernetes_secret: str | None = None
    key: str = ""

    @property
    def is_secret(self) -> bool:
        """Whether its value is in the app's own Secret."""
        return self.secret is not None or self.password is not None


class Located(Struct, omit_defaults=True, kw_only=True):
    """Something in the app's repository (``source``) or on this machine (``file``)."""

    source: str | None = None
    file: str | None = None

    @property
    def name(self) -> str:
        """The path by which a user knows it."""
        return self.source or self.file or ""


class ConfigFile(Located, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A file that the container finds at its ``path``, and where its content comes from.

    That is ``binary`` once it was read and is no text.
    """

    path: str
    content: str | None = None
    binary: bytes | None = None
    secret: str | None = None
    password: str | None = None
    app: str | None = None
    template: bool = False

    @property
    def is_secret(self) -> bool:
        """Whether its content is in the app's own Secret."""
        return self.secret is not None or self.password is not None


class Origin(Struct, forbid_unknown_fields=True):
    """Whose data a new volume begins with: that of another branch of the app."""

    branch: str


class Volume(
    Struct,
    rename={"storage_class": "class", "origin": "from"},
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """What outlives pods at a ``path`` of the container; with ``keep``, its environment, too."""

    path: str
    size: str = "1Gi"
    keep: bool = False
    storage_class: str | None = None
    origin: Origin | None = None


HERE, NODES = "here", "nodes"
"""Who fetches the images that pods of manifests and charts name: this machine, or each node."""


class Manifest(Located, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Kubernetes objects of the app's as YAML."""

    content: str | None = None
    template: bool = True
    allow_kinds: list[str] = []
    pull: str = HERE


class Chart(Located, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A Helm chart whose objects are the app's."""

    release: str
    values: dict[str, Any] = {}
    allow_kinds: list[str] = []
    pull: str = HERE


HTTPS = "https"
"""What a port speaks whose TLS ends in the app."""

CLUSTER_IP, NODE_PORT, LOAD_BALANCER = "ClusterIP", "NodePort", "LoadBalancer"
"""From where a Service is reached: the cluster, any node's address, an address of its own."""


class Port(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One port of a Service; without a ``target``, the container has the same one."""

    port: int
    target: int | None = None
    protocol: str = "TCP"
    node_port: int | None = None

    @property
    def of_container(self) -> int:
        """The port of the container."""
        return self.target or self.port


class Service(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How an app is reached without a route: from where, and at which ports, by their names."""

    type: str = CLUSTER_IP
    address: str | None = None
    ports: dict[str, Port] = {}


class Certificate(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A certificate that the app shows: where it is, and which ``hosts`` it is for, too.

    Its key stores have a ``password`` that the environment has of its own.
    """

    path: str
    password: str
    hosts: list[str] = []


class Reach(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Another app that is reached on the network; without a ``branch``, that of the same one."""

    app: str
    branch: str | None = None


class RbacRule(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What may be done with resources of the app's namespace, as in a Role of Kubernetes."""

    api_groups: list[str] = msgspec.field(default_factory=lambda: [""])
    resources: list[str]
    resource_names: list[str] = []
    verbs: list[str]


class Scale(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """From how many to how many pods run: so many that each uses ``cpu`` percent of its request."""

    min: int = 1
    max: int
    cpu: int = 80


class Process(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Pods of the same image beside those that serve: a worker, for example."""

    command: list[str]
    replicas: int | Scale = 1
    resources: dict[str, dict[str, str]] = {}


BEFORE, FIRST = "before", "first"
"""When a job runs: before each version serves, or once, as soon as the first one does."""


class Job(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What runs of the same image to an end: by its ``schedule``, or ``when`` there is none.

    ``timeout`` is in seconds.
    """

    command: list[str]
    when: str = BEFORE
    schedule: str | None = None
    timeout: int = 600
    resources: dict[str, dict[str, str]] = {}


class Security(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the container may do beyond the default."""

    run_as_user: int | None = None
    writable_root: bool = False
    capabilities: list[str] = []


class HostCertificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A host's own certificate: the names of the secrets that have it and its key."""

    certificate: str
    key: str


class Rule(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One path of a host that leads to the app.

    ``path`` and ``rewrite`` are in ASCII, as a request has them. ``expect`` is what its answer must
    contain; ``tls`` is where the host's certificate comes from.
    """

    host: str
    path: str
    path_type: str = "Prefix"
    rewrite: str | None = None
    expect: str | None = None
    tls: str | HostCertificate | None = None


class Ingress(Struct, forbid_unknown_fields=True):
    """How an app is reached from outside."""

    rules: list[Rule]
    websocket: bool
    max_body_size: str
    timeout: str
    max_header_size: str = "32k"
    rewrite_redirects: bool = False


class Owner(Struct, frozen=True):
    """The app that brings a service along: its name, and its repository."""

    name: str
    git_url: str


class CarriedImage(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """An image that pods of the app's manifests or charts name, which this machine has for nodes.

    It is ``named`` as it stands there; ``image`` is its reference in the store, empty in a check
    until it is there. The pods want nodes with the labels of ``node_selector``; those that are
    ``tolerant`` may also be where others are not. What is had for one ``architecture`` alone says
    which.
    """

    named: str
    image: str
    node_selector: dict[str, str] = {}
    tolerant: bool = False
    architecture: str = ""


class Failure(Struct, frozen=True):
    """At which ``step`` an app failed, and the ``reason``."""

    step: str
    reason: str


class Environment(Struct, kw_only=True):
    """A service on one branch, in its namespace."""

    id: str
    """Namespace and name, ``greeter-main/greeter``; no other app has it."""
    name: str
    """Name of the service."""
    namespace: str
    """Namespace; by default name and branch."""
    git_branch: str
    """Branch."""

    @property
    def label(self) -> str:
        """How messages name it: ``greeter (main)``."""
        return f"{self.name} ({self.git_branch})"

    @property
    def tolerant(self) -> bool:
        """Whether its pods may be on nodes that take none without tolerations."""
        return False


class App(Environment, kw_only=True, tag_field="stage", tag="planned", omit_defaults=True):
    """An app as apps.yml has it, defaults and templates of names filled in."""

    git_url: str
    """URL or absolute path of the repository; empty for an app of an image alone."""
    git_auth: GitAuth | None = None
    """The names of the secrets that open the repository."""
    git_submodules: list[str] = []
    """URLs of other repositories that submodules may come from with the same access."""
    git_path: str = "."
    """Folder of the project in the repository, ``.`` for its top."""
    branch_slug: str
    """The branch as a DNS label."""
    pattern: str | None = None
    """The ``git_branch`` with a ``*`` that the branch matches, if it came of one."""
    owner: Owner | None = None
    """The app that brings it along, if it is a service of one environment."""
    needs: list[Reach] = []
    """The apps that have to run before it does."""
    head: str = ""
    """Newest commit of the branch, once its repository was asked."""
    build: Build | None = None
    """The builder under ``tool`` with its options; nothing until it is detected."""
    base_image: dict[str, str] = {}
    """The base image that the user names for each builder."""
    registry_auth: dict[str, RegistryLogin] = {}
    """Who its builds are to registries, by their hosts."""
    command: list[str] = []
    """What the container runs in place of its image's own."""
    port: int
    """Port of the service."""
    scheme: str = "http"
    """What the port speaks: ``http`` or ``https``."""
    replicas: int | Scale
    """Number of pods, or the range in which Kubernetes chooses it."""
    health_path: str | None = None
    """Path of the health check."""
    probes: dict[str, Probe] = {}
    """Checks in place of those of the health path: ``startup``, ``readiness``, ``liveness``."""
    resources: dict[str, dict[str, str]] = {}
    """``requests`` and ``limits`` of ``cpu`` and ``memory``."""
    processes: dict[str, Process] = {}
    """What else runs of its image, by name."""
    jobs: dict[str, Job] = {}
    """What runs of its image to an end, by name."""
    quota: dict[str, str] = {}
    """How much its environment may have, where that is not as for all."""
    env: dict[str, Variable] = {}
    """Environment variables."""
    config_files: list[ConfigFile] = []
    """Files of the container."""
    volumes: dict[str, Volume] = {}
    """What it keeps beyond its pods, by name."""
    manifests: list[Manifest] = []
    """Objects that belong to the app."""
    helm: list[Chart] = []
    """Charts that belong to the app."""
    service_account: str | None = None
    """The ServiceAccount that the pods run as."""
    rbac: list[RbacRule] = []
    """What its pods may ask of the Kubernetes API, by an account of their own."""
    service: Service = msgspec.field(default_factory=Service)
    """At which ports and addresses it is reached without a route."""
    certificate: Certificate | None = None
    """The certificate that it itself shows, if it has one."""
    reach: list[Reach] = []
    """Other apps that its environment reaches on the network."""
    security: Security = msgspec.field(default_factory=Security)
    """What the container may do beyond the default."""
    pod_security: str = RESTRICTED
    """The Pod Security Standard of the namespace."""
    node_selector: dict[str, str] = {}
    """Labels that nodes must have."""
    ingress: Ingress | None = None
    """The routes with what holds for all of them; nothing for an app without a route."""
    failed: Failure | None = None
    """The ``step`` at which the app failed, and the ``reason``."""
    held: str = ""
    """The commit at which a rollback holds the app."""

    @property
    def family(self) -> Owner:
        """By whom the environments of its pattern are known."""
        return self.owner or Owner(self.name, self.git_url)

    @property
    def newest_commit(self) -> str:
        """The commit that is to run, as far as it is known."""
        return self.head

    @property
    def rules(self) -> Sequence[Rule]:
        """The paths that lead to it."""
        return self.ingress.rules if self.ingress else ()

    @property
    def allow_kinds(self) -> set[str]:
        """The kinds that apps.yml allows it beyond those of a branch."""
        own = {kind for entry in self.manifests for kind in entry.allow_kinds}
        return own | {kind for entry in self.helm for kind in entry.allow_kinds}

    @property
    def account(self) -> str | None:
        """The ServiceAccount whose token its pods have, if they have one."""
        return f"slipway-rbac-{self.name}" if self.rbac else self.service_account

    @property
    def is_open(self) -> bool:
        """Whether others than the cluster's pods reach its Service."""
        return self.service.type != CLUSTER_IP

    @property
    def has_own_port(self) -> bool:
        """Whether its Service leads to its own port: for routes, or as the only one."""
        return bool(self.rules or not self.service.ports)

    def fail(self, step: str, reason: str) -> None:
        """Note at which step it failed and why, unless it failed before."""
        self.failed = self.failed or Failure(step, reason)


class Sourced(App, kw_only=True, tag="sourced", omit_defaults=True):
    """An app whose source is in the cache."""

    commit: str
    """The newest commit of the branch; of a folder alone, the newest that changed the folder.

    Without a repository it is the version of the image.
    """
    tree: str
    """Git's hash of the files that the app is made of."""
    checkout: str
    """Absolute path of a work tree at the newest commit of the branch; it must not be changed.

    Empty without a repository.
    """
    project: str
    """The app's folder, seen from the work tree, links followed."""
    whole: bool
    """Whether the app is made of the whole repository."""

    @property
    def newest_commit(self) -> str:
        """As App."""
        return self.commit


class Built(Sourced, kw_only=True, tag="built", omit_defaults=True):
    """An app that has an image."""

    image: str
    """Reference of the image in the store, its tag made of its content."""
    carried: list[CarriedImage] = []
    """The images that pods of its manifests and charts name, with their references in the store."""

    @property
    def images(self) -> set[str]:
        """All images that are for it in the store."""
        return {self.image, *(each.image for each in self.carried if each.image)}


class RolledBack(Environment, kw_only=True, tag_field="stage", tag="rolled back"):
    """An app that is to go back to its version before.

    Objects of manifests and charts stay as they are, with their images.
    """

    image: str
    """That version's image."""
    node_selector: dict[str, str]
    """Labels that nodes must have for that version."""


E = TypeVar("E", bound=Environment)
S = TypeVar("S", bound=App)


def advanced(app: App, stage: type[S], **found: Any) -> S:
    """The app at its next stage, with what that adds to it."""
    return stage(**{**structs.asdict(app), **found})


def runnable(apps: Iterable[Environment]) -> Iterator[Built]:
    """The apps that have an image to run: those that did not fail."""
    return (app for app in apps if isinstance(app, Built) and not app.failed)


def images_of(apps: Iterable[Environment]) -> set[str]:
    """The images of those that have one, and those that their manifests and charts name."""
    return {image for app in apps if isinstance(app, Built) for image in app.images}


def checkouts_of(apps: Iterable[App]) -> set[Path]:
    """The work trees of those that have one."""
    return {Path(app.checkout) for app in apps if isinstance(app, Sourced) and app.checkout}


def save(apps: Iterable[Environment], folder: Path) -> str:
    """Write apps to a new file in ``folder``; return its path."""
    with tempfile.NamedTemporaryFile(
        dir=folder, prefix="apps-", suffix=".json", delete=False
    ) as file:
        file.write(msgspec.json.encode([*apps]))
    return file.name


def load(path: str) -> list[App]:
    """The apps that :func:`save` wrote; raises msgspec.MsgspecError for anything else."""
    return [*msgspec.json.decode(Path(path).read_bytes(), type=list[App | Sourced | Built])]


def load_environments(path: str) -> list[Environment]:
    """As :func:`load`, of a file that may also have what is rolled back."""
    kinds = list[App | Sourced | Built | RolledBack]
    return [*msgspec.json.decode(Path(path).read_bytes(), type=kinds)]


def placeable(environments: Iterable[Environment]) -> list[Built | RolledBack | CarriedImage]:
    """Those whose image nodes are to have."""
    found = list(environments)
    ready = [*runnable(found)]
    return [
        *ready,
        *(each for app in ready for each in app.carried if each.image),
        *(each for each in found if isinstance(each, RolledBack)),
    ]
