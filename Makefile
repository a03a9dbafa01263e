# make up    from nothing to services that answer
# make test  every check that a change has to pass
# make help  the rest
INVENTORY ?= inventory/local
ARGS ?=

export PATH := $(CURDIR)/.venv/bin:$(PATH)
playbook = ansible-playbook --inventory $(INVENTORY) $(ARGS)

.PHONY: help environment up apps verify plan down test lint bench

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

environment:
	@bin/bootstrap

up: environment ## Make everything as written: cluster, images, services; prove that they answer
	$(playbook) site.yml

apps: environment ## Only what apps.yml says: build, load, deploy, prove
	$(playbook) playbooks/apps.yml playbooks/verify.yml

plan: environment ## Say what "make up" would change, and change nothing
	$(playbook) --check --diff site.yml

verify: environment ## Ask every route of every service
	$(playbook) playbooks/verify.yml

down: environment ## Remove all that "make up" made, but the cache
	$(playbook) playbooks/reset.yml

test: environment ## Run every check
	python tests/run.py

lint: environment ## Run the quick checks alone
	python tests/run.py --quick

bench: environment ## Measure against what one would do instead
	PYTHONPATH=$(CURDIR) python bench/run.py
