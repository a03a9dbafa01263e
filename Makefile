# make up    from nothing to services that answer
# make test  every check that a change has to pass
# make help  the rest
INVENTORY ?= inventory/local
ARGS ?=
OUTPUT ?= text

# Debian keeps root's programs out of a user's PATH; here they are looked for, and asked.
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/sbin:/sbin
GIVEN = $(if $(filter file,$(origin INVENTORY)),,$(INVENTORY))
data = $(playbook) --extra-vars 'apps_data_app="$(APP)" apps_data_branch="$(BRANCH)" apps_data_volume="$(VOLUME)"
playbook = ansible-playbook --inventory $(INVENTORY) $(ARGS)

# What a target prints is for its user, or for the program that it is piped to.
.SILENT:
.PHONY: help environment test-environment lock-environment doctor up bundle apps dev kubeconfig list rollback data-save data-load verify plan hosts trust sbom scan down test lint unit integration e2e docs lock bump fuzz vm foreign offline bench version

help: ## Show this list
	grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

environment:
	bin/bootstrap >&2

test-environment:
	bin/bootstrap test >&2

lock-environment:
	bin/bootstrap lock >&2

doctor: environment ## Say whether "make up" will work here and on the nodes, and what mends what will not; OUTPUT=json
	python -m slipway.doctor --output "$(OUTPUT)" $(playbook) playbooks/doctor.yml

up: environment ## Make everything as written: cluster, images, services; prove that they answer
	$(playbook) site.yml

bundle: environment ## Only what nodes get; ARCH=arm64: for that processor; OUT=file: as a file, which KEY=file signs, with what Maven needs of APPS=file
	$(playbook) $(if $(ARCH),--extra-vars '__bundle_architecture="$(ARCH)"') $(if $(OUT),--extra-vars '__bundle_out="$(OUT)" __bundle_key="$(KEY)" __bundle_apps="$(abspath $(APPS))"' playbooks/bundle_archive.yml,playbooks/bundle.yml)

apps: environment ## Only what apps.yml says: build, load, deploy, prove
	$(playbook) playbooks/apps.yml

dev: environment ## Follow the sources: what is saved or committed is served, until Ctrl-C
	python -m slipway.dev $(playbook) playbooks/dev.yml

kubeconfig: environment ## Fetch the administrator's kubeconfig; FOR=name: make one for somebody of slipway_people
	$(playbook) --extra-vars '__kubeadm_person="$(FOR)"' playbooks/kubeconfig.yml

list: environment ## List all environments: commit, age, state, address, last failure
	$(playbook) playbooks/list.yml

rollback: environment ## Have an app run its version before: APP=name, BRANCH=branch
	$(playbook) --extra-vars 'apps_rollback_app="$(APP)" apps_rollback_branch="$(BRANCH)"' playbooks/rollback.yml

data-save: environment ## Save the data of an app's volume: APP=name, BRANCH=branch, OUT=file; VOLUME=name of several
	$(data) __apps_data_state=saved apps_data_file="$(OUT)"' playbooks/data.yml

data-load: environment ## Have saved data in an app's volume: APP=name, BRANCH=branch, FROM=file; VOLUME=name of several
	$(data) __apps_data_state=loaded apps_data_file="$(FROM)"' playbooks/data.yml

plan: environment ## Say what "make up" would change, and what would become of each app; change nothing
	$(playbook) --check --diff site.yml

verify: environment ## Ask every route of every service
	$(playbook) playbooks/verify.yml

hosts: environment ## Write the names of the services into /etc/hosts, as root
	$(playbook) --extra-vars slipway_hosts_file=/etc/hosts playbooks/verify.yml

trust: environment ## Show the root of the local certificate authority, and how to trust it
	$(playbook) playbooks/local_ca.yml

sbom: environment ## Write what the bundle and each app's image are made of, as CycloneDX
	$(playbook) playbooks/sbom.yml

scan: environment ## List known faults of what they are made of, by the databases at hand
	$(playbook) playbooks/scan.yml

down: environment ## Remove all that "make up" made, but the cache
	$(playbook) playbooks/reset.yml

test: test-environment ## Run every check
	python tests/run.py

lint: test-environment ## Run the quick checks alone
	python tests/run.py lint

unit: test-environment ## Run the tests that need nothing but Python
	python tests/run.py unit

integration: test-environment ## Run the tests of what works with real programs
	python tests/run.py integration

e2e: test-environment ## Prove whole clusters: SCENARIO=name; T=expression asks one that stands, or INVENTORY=path
	python tests/run.py e2e --scenario "$(SCENARIO)" --tests "$(T)" --inventory "$(GIVEN)"

fuzz: test-environment ## Try the ingress controller on 100,000 clusters that are made up
	SLIPWAY_FUZZ=100000 pytest -q ingress/tests/unit/test_fuzz.py ingress/tests/integration/test_fuzz.py

docs: environment ## Write what repeats what is written elsewhere: pages of docs/, comments of defaults
	PYTHONPATH=$(CURDIR) python -m docs.generate

lock: lock-environment ## Write the hashes of all that is downloaded; ARGS=debian: of its packages alone
	PYTHONPATH=$(CURDIR) python bin/lock.py $(ARGS)

bump: environment ## Propose newer versions of what is locked, with their sums; ARGS="containerd kubernetes=1.36.4": of those
	ansible-playbook --inventory $(INVENTORY) --extra-vars '__bundle_bumped="$(ARGS)"' playbooks/bump.yml

vm: environment ## Try it on a virtual machine with control groups of version 2; ARGS=lab: on two over SSH
	PYTHONPATH=$(CURDIR) python tests/vm/run.py $(ARGS)

foreign: environment ## Make the bundle for machines of another processor, and run all programs of it by QEMU
	PYTHONPATH=$(CURDIR) python tests/foreign/run.py $(ARCH)

offline: environment ## Have the samples served by an archive on a machine without any network, which this one makes of itself
	PYTHONPATH=$(CURDIR) python tests/offline/run.py

bench: environment ## Measure against what one would do instead
	PYTHONPATH=$(CURDIR):$(CURDIR)/ingress/src python bench/run.py $(ARGS)

version: ## Say which version this is
	python3 -c 'import slipway; print(slipway.__version__)'
