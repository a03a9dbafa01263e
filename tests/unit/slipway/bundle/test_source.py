"""The source provider from end to end, on a small project and with stand-ins for the tools."""

from __future__ import annotations

import os
import platform
from hashlib import sha256
from pathlib import Path

import pytest

from slipway.architecture import Architecture
from slipway.bundle import debian, debian_lock, manifest
from slipway.bundle.keys import key_of
from slipway.bundle.provider import ensure
from slipway.bundle.source import SYSROOT, SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.control_node import emulation, tools
from slipway.errors import SlipwayError
from slipway.oci import ImageStore

VERSIONS = {
    "go": "1.26.6",
    "debian": "trixie",
    "tool": "1.2.3",
    "linked": "1.0.0",
    "metallb": "0.15.2",
}

FILES = {
    "bundle/go/components.yml": """
tool:
  module: example.com/tool
  binaries:
    bin/tool: example.com/tool
    cni/toolctl: example.com/toolctl
    tools/toold: example.com/toold
linked:
  module: example.com/linked
  cgo: true
  binaries:
    bin/linked: example.com/linked
metallb:
  module: example.com/metallb
  binaries: {image/metallb: example.com/metallb}
""",
    "bundle/go/tool/go.mod": "require example.com/tool v1.2.3\n",
    "bundle/go/linked/go.mod": "require example.com/linked v1.0.0\n",
    "bundle/go/metallb/go.mod": "require example.com/metallb v0.15.2\n",
    "images/debian-trixie.asc": "keys of trixie\n",
    "images/images.yml": """
metallb:
  ref: registry.example/metallb:v{metallb}
  packages: [conntrack]
  binaries: {metallb: /metallb}
  entrypoint: [/metallb]
machine:
  ref: registry.example/machine:{debian}
  variant: minbase
  packages: [systemd]
builder:
  packages: [docker-buildx]
  tools: {usr/libexec/buildx: docker-buildx}
filter:
  packages: [nftables]
  portable: {usr/libexec/nftables: nft}
""",
    "modules/example.com/metallb/config/manifests/metallb-native.yaml": "kind: Namespace\n",
}

GO = """#!/bin/sh
case "$1" in
env) echo go1.26.6 ;;
list) echo "{modules}/$5" ;;
build)
    echo "compile $(basename "$PWD")" >>"{log}"
    echo "compile $GOARCH $(basename "$PWD") ${{CC#*sysroot=}}" >>"{log}.for"
    [ -e "{broken}" ] && {{ echo "cannot compile" >&2; exit 1; }}
    for argument; do
        case "$argument" in
        -o=*) out="${{argument#-o=}}" ; mkdir -p "$out" ;;
        example.com/*) echo "$argument" >"$out${{argument#example.com/}}" ;;
        esac
    done ;;
esac
"""

MMDEBSTRAP = """#!/bin/sh
root="$(mktemp -d)"
export MMDEBSTRAP_APT_CONFIG="$root/apt.conf"
mkdir -p "$root/var/cache/apt/archives" "$root/usr/libexec" "$root/usr/lib/machine"
printf '#!/bin/sh\n' >"$root/usr/lib/machine/ld-linux-machine.so.2"
chmod 755 "$root/usr/lib/machine/ld-linux-machine.so.2"
download() {{
    cp "$root$1" "$2"
}}
hook() {{
    case "$1" in
    download*) eval "$1" ;;
    *) sh -c "$1" hook "$root" ;;
    esac
}}
for argument; do
    case "$argument" in
    --include=*)
        included="${{argument#--include=}}"
        echo "unpack $included" >>"{log}"
        echo "$included" >"$root/usr/libexec/${{included#docker-}}"
        echo "$included" >"$root/usr/lib/machine/libc.a"
        for name in $(echo "$included" | tr , ' '); do
            touch "$root/var/cache/apt/archives/${{name}}_1%3a2.0-1_machine.deb"
        done ;;
    --architectures=*)
        export ARCHITECTURE="${{argument#--architectures=}}"
        echo "unpack $ARCHITECTURE" >>"{log}.for" ;;
    --keyring=*) cat "${{argument#--keyring=}}" >>"{log}.keys" ;;
    --extract-hook=*) hook "${{argument#--extract-hook=}}" ;;
    --customize-hook=*) hook "${{argument#--customize-hook=}}" ;;
    *.tar) target="$argument" ;;
    esac
done
tar --create --file="$target" --directory="$root" .
rm -r "$root"
"""

DPKG_QUERY = "#!/bin/sh\necho systemd=$(cat '{systemd}')\n"

APT_CACHE = """#!/bin/sh
[ "$1 $2" = "show --no-all-versions" ] && [ -n "$APT_CONFIG" ] || exit 1
shift 2
for package; do
    echo "Package: ${{package%%=*}}"
    [ "${{package%%=*}}" = systemd ] && echo "Source: systemd-source (257)"
    echo "Version: ${{package#*=}}"
    echo "Architecture: $ARCHITECTURE"
    echo "Description: a package"
    echo " Version: none"
    echo "SHA256: $(echo "$package" | cat - "{content}" | sha256sum | cut -d ' ' -f 1)"
    echo
done
"""


class Project:
    """A project of three components and two images."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        self.broken = root / "broken"
        self.said: list[str] = []
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        names = {"log": self.log, "broken": self.broken, "modules": root / "modules"}
        self.content = root / "content"
        self.content.touch()
        self.systemd = root / "systemd"
        self.systemd.write_text("257.9-1~deb13u1")
        self.lock = root / "images" / "debian-trixie.lock"
        (root / "tools").mkdir()
        for tool, script in (
            ("go", GO.format(**names)),
            ("mmdebstrap", MMDEBSTRAP.format(**names)),
            ("dpkg-query", DPKG_QUERY.format(systemd=self.systemd)),
            ("apt-cache", APT_CACHE.format(content=self.content)),
        ):
            (root / "tools" / tool).write_text(script)
            (root / "tools" / tool).chmod(0o755)

    def provider(
        self, architecture: Architecture = Architecture.AMD64, *, strict: bool = False
    ) -> SourceProvider:
        """The provider, as a new run has it."""
        cache = CacheLayout(self.root / "cache")
        return SourceProvider(self.root, VERSIONS, cache, architecture, strict)

    def write_lock(self, architecture: Architecture = Architecture.AMD64) -> None:
        """Record the packages as they are."""
        about = (manifest.read(self.bundle(architecture)) or {})["about"]
        packages = [debian.of_record(record) for record in about["packages"].values()]
        self.lock.write_text(debian_lock.as_text(packages, {}))
        self.work()
        self.said.clear()

    def change_images(self, old: str, new: str) -> None:
        """Replace a text in the table of images."""
        table = self.root / "images" / "images.yml"
        table.write_text(table.read_text().replace(old, new))

    def bundle(
        self, architecture: Architecture = Architecture.AMD64, *, strict: bool = False
    ) -> Path:
        """Have the bundle for an architecture."""
        provider = self.provider(architecture, strict=strict)
        return ensure(provider, CacheLayout(self.root / "cache"), self.said.append).path

    def made_for(self) -> set[str]:
        """What the tools were told of the machines that they work for, since this was asked."""
        log = self.log.with_name("log.for")
        told = {*log.read_text().splitlines()}
        log.unlink()
        return told

    def work(self) -> list[str]:
        """What the tools had to do since this was asked last."""
        done = sorted(self.log.read_text().splitlines()) if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return done


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "tools"), prepend=":")
    monkeypatch.setattr(tools, "missing", lambda _names: [])
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(emulation, "have", lambda *_: None)
    return project


ALL = [
    "compile linked",
    "compile metallb",
    "compile tool",
    "unpack conntrack",
    "unpack docker-buildx",
    "unpack nftables",
    "unpack systemd",
]


def test_it_lays_out_a_bundle(project: Project) -> None:
    bundle = project.bundle()
    assert project.work() == ALL
    assert (bundle / "bin" / "tool").read_text() == "example.com/tool\n"
    assert (bundle / "cni" / "toolctl").read_text() == "example.com/toolctl\n"
    assert (bundle / "manifests" / "metallb.yaml").read_text() == "kind: Namespace\n"
    assert (bundle / "tools" / "toold").read_text() == "example.com/toold\n"
    assert (bundle / "tools" / "docker-buildx").read_text() == "docker-buildx\n"
    assert os.access(bundle / "tools" / "docker-buildx", os.X_OK)
    portable = {path.name for path in (bundle / "nft").iterdir()}
    assert portable == {"ld-linux-machine.so.2", "nftables", "nftables.bin"}
    images = ImageStore(bundle / "images").images()
    assert sorted(images) == ["registry.example/machine:trixie", "registry.example/metallb:v0.15.2"]
    assert manifest.damaged(bundle) == []


def test_a_bundle_for_other_machines_is_made_for_them_in_every_part(project: Project) -> None:
    own = project.bundle()
    assert project.made_for() >= {"unpack amd64", "compile amd64 linked "}
    other = project.bundle(Architecture.ARM64)
    (sysroot,) = (project.root / "cache/bundle/parts").glob("packages-sysroot-*/root")
    assert project.made_for() == {
        "unpack arm64",
        "compile arm64 tool ",
        f"compile arm64 linked {sysroot}",
        "compile arm64 metallb ",
    }
    assert (sysroot / "usr/lib/machine/libc.a").read_text() == f"{','.join(SYSROOT)}\n"
    platforms = {each.platform for each in ImageStore(other / "images").images().values()}
    assert platforms == {"linux/arm64"}
    assert (manifest.read(other) or {})["about"]["platform"] == "linux/arm64"
    assert own.name != other.name


def test_bundles_for_two_kinds_of_machines_have_no_part_in_common(project: Project) -> None:
    parts = [
        {*(manifest.read(project.bundle(each)) or {})["about"]["parts"]} for each in Architecture
    ]
    assert parts[0] & parts[1] == set()
    project.made_for()
    for each in Architecture:
        project.bundle(each)
    assert not project.log.with_name("log.for").exists()


def test_where_a_machine_compiles_for_its_own_kind_it_has_what_c_is_linked_with(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    project.bundle(Architecture.ARM64)
    assert "compile arm64 linked " in project.made_for()
    assert not [*(project.root / "cache/bundle/parts").glob("packages-sysroot-*")]
    needed = project.provider(Architecture.ARM64).tools
    assert "libseccomp" in needed
    assert "c_compiler_amd64" in project.provider(Architecture.AMD64).tools


def test_what_c_is_linked_with_is_there_where_something_of_it_is_compiled(
    project: Project,
) -> None:
    provider = project.provider(Architecture.ARM64)
    for each in provider.components:
        names = [part.name for part in provider.parts_of([each], [], {})]
        assert ("packages-sysroot" in names) == each.cgo


def test_a_bundle_has_the_same_key_whichever_machine_makes_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive of one that was made across serves on machines that could make it themselves."""
    keys = {each: project.provider(each).key for each in Architecture}
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert {each: project.provider(each).key for each in Architecture} == keys
    assert len({*keys.values()}) == 2


def test_the_parts_for_amd64_are_known_by_what_they_are_made_of_alone(project: Project) -> None:
    """Those that users have in their cache are to stay."""
    provider = project.provider()
    folders = {part.folder for part in provider.to_make()}
    assert {f"{each.name}-{each.key[:16]}" for each in provider.components} < folders
    packages = key_of(debian.RECIPE, "trixie", "minbase", ["systemd"])
    assert f"packages-machine-{packages[:16]}" in folders


def test_packages_are_of_the_archive_that_the_release_s_keys_are_of(project: Project) -> None:
    project.bundle()
    keys = project.log.with_name("log.keys").read_text().splitlines()
    assert keys == ["keys of trixie"] * 4


def test_a_tool_that_its_packages_lack_is_told(project: Project) -> None:
    project.change_images("libexec/buildx", "libexec/buildy")
    with pytest.raises(SlipwayError, match="builder: usr/libexec/buildy is no file"):
        project.bundle()


def test_it_records_the_versions_of_everything(project: Project) -> None:
    about = (manifest.read(project.bundle()) or {})["about"]
    assert about["provider"] == "source"
    assert about["versions"] == VERSIONS
    assert {name: [*packages] for name, packages in about["packages"].items()} == {
        "builder": ["docker-buildx"],
        "filter": ["nftables"],
        "machine": ["systemd"],
        "metallb": ["conntrack"],
    }
    digest = sha256(b"systemd=257.9-1~deb13u1\n").hexdigest()
    assert about["packages"]["machine"]["systemd"] == {
        "version": "257.9-1~deb13u1",
        "architecture": "amd64",
        "source": "systemd-source",
        "source_version": "257",
        "sha256": digest,
    }
    nftables = about["packages"]["filter"]["nftables"]
    assert (nftables["version"], nftables["source"]) == ("1:2.0-1", "nftables")
    assert nftables["source_version"] == "1:2.0-1"
    parts = project.root / "cache" / "bundle" / "parts"
    assert set(about["parts"]) == {path.name for path in parts.iterdir()}


def test_a_second_run_does_nothing(project: Project) -> None:
    project.bundle()
    project.work()
    project.bundle()
    assert project.work() == []


def test_what_is_still_to_be_made_is_known_without_reading_what_is_there(
    project: Project,
) -> None:
    lanes = {part.lane for part in project.provider().to_make()}
    assert lanes == {"modules", "compile", "packages", "pack"}
    project.bundle()
    assert project.provider().to_make() == []


def test_a_damaged_bundle_is_laid_out_anew_from_its_parts(project: Project) -> None:
    bundle = project.bundle()
    project.work()
    blob = next((bundle / "images" / "blobs" / "sha256").iterdir())
    blob.unlink()
    assert manifest.damaged(project.bundle()) == []
    assert project.work() == []


def test_of_a_damaged_file_only_its_part_is_made_anew(project: Project) -> None:
    bundle = project.bundle()
    project.work()
    (bundle / "bin" / "tool").write_text("damaged")  # the part has the same file by a link
    assert (project.bundle() / "bin" / "tool").read_text() == "example.com/tool\n"
    assert project.work() == ["compile tool"]


def test_after_a_failure_it_goes_on_where_it_was(project: Project) -> None:
    project.broken.touch()
    with pytest.raises(SlipwayError, match="cannot compile"):
        project.bundle()
    first = project.work()
    project.broken.unlink()
    project.bundle()
    finished = [line for line in first if line.startswith("unpack")]
    assert project.work() == sorted(set(ALL) - set(finished))


def test_a_changed_recipe_makes_another_bundle_of_the_same_parts(project: Project) -> None:
    before = project.bundle()
    project.work()
    project.change_images("[/metallb]", '[/metallb]\n  user: "65532"')
    assert project.bundle() != before
    assert project.work() == []


def test_a_changed_pin_makes_only_what_depends_on_it(project: Project) -> None:
    project.bundle()
    project.work()
    (project.root / "bundle" / "go" / "tool" / "go.sum").write_text("example.com/tool h1:abc\n")
    project.bundle()
    assert project.work() == ["compile tool"]


UNPACKED = [line for line in ALL if line.startswith("unpack")]


def test_a_new_lock_has_the_packages_fetched_anew(project: Project) -> None:
    project.write_lock()
    project.bundle()
    assert project.work() == UNPACKED
    assert project.said[-1].endswith(
        "of 8)"
    )  # the last of four root file systems and what is packed
    project.bundle(strict=True)
    assert project.work() == []


def test_what_debian_has_changed_since_the_lock_is_said(project: Project) -> None:
    project.write_lock()
    project.systemd.write_text("257.10-1~deb13u1")
    project.bundle()
    assert project.said[-1] == (
        "1 of Debian's packages are not as in debian-trixie.lock: "
        "systemd 257.9-1~deb13u1 -> 257.10-1~deb13u1; make lock records what the archive has now"
    )


def test_if_strict_what_debian_has_changed_is_a_failure(project: Project) -> None:
    project.write_lock()
    project.systemd.write_text("257.10-1~deb13u1")
    with pytest.raises(SlipwayError) as caught:
        project.bundle(strict=True)
    (problem,) = caught.value.problems
    assert problem.where == str(project.lock)
    assert "systemd 257.9-1~deb13u1 -> 257.10-1~deb13u1" in problem.what
    assert problem.fix == "make lock records what the archive has now"


def test_another_content_under_the_same_version_is_refused(project: Project) -> None:
    project.write_lock()
    project.content.write_text("forged")
    with pytest.raises(SlipwayError, match=r"packages of \w+: \S+ \S+ has the sha256 \w+, and had"):
        project.bundle()
    parts = project.root / "cache" / "bundle" / "parts"
    kept = [path for path in parts.glob("packages-*") if manifest.is_there(path)]
    assert len(kept) == len(UNPACKED)  # those of before the lock


def test_packages_for_other_machines_are_compared_with_what_is_recorded_of_theirs(
    project: Project,
) -> None:
    project.write_lock()
    project.bundle(Architecture.ARM64)
    assert not any("lock" in line for line in project.said)
    project.write_lock(Architecture.ARM64)
    project.systemd.write_text("257.10-1~deb13u1")
    project.bundle(Architecture.ARM64)
    assert project.said[-1].endswith(
        "systemd 257.9-1~deb13u1 -> 257.10-1~deb13u1; "
        'make lock ARGS="debian --architecture=arm64" records what the archive has now'
    )


def test_what_c_is_linked_with_for_other_machines_is_refused_if_it_is_forged(
    project: Project,
) -> None:
    name, *_others = SYSROOT
    project.lock.write_text(f"{name} 1:2.0-1 arm64 {'0' * 64}\n")
    with pytest.raises(SlipwayError, match=f"packages of sysroot: {name} 1:2.0-1 has the sha256"):
        project.bundle(Architecture.ARM64)


def test_without_a_lock_there_is_nothing_to_compare_with(project: Project) -> None:
    project.bundle()
    assert not any("lock" in line for line in project.said)
