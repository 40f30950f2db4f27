.DEFAULT_GOAL := help
.PHONY: help build deb rpm source verify quickstart test lint unit integration packaging fuzz nightly bench clean

help: ## List these targets
	@sed -n 's/^\([a-z ]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

build: ## Compile the module and the hosts into target/mod_wsgi
	packaging/compile

deb rpm source: ## Make the package in dist/
	packaging/build $@

verify: ## Build the packages twice and compare every byte
	packaging/verify

quickstart: ## Build, install and serve an application with it
	packaging/quickstart

test: ## Run what CI runs
	tests/run

lint unit integration packaging fuzz: ## Run one part of it
	tests/run $@

nightly: ## Run the slow tests that CI does not run (as root)
	tests/nightly

bench: ## Compare the speed with the C module
	tests/bench/run

clean: ## Remove what was built, caches and tools included
	rm -rf target dist
