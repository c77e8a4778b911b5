# make setup   a virtual environment in .venv with peerburst (editable) and what its tests need
# make demo    a report on a made-up hotel evening, in demo-report/
# make test    the test suite
# make check   style, types, import layers, and the test suite with and without the compiler
# make accuracy  hold packets, flows and counts against tshark and a real Linux gateway; writes docs/accuracy.md
# make arena   record the captures in pcaps/arena anew, with real programs in network namespaces (root; half an hour)
# make bench   peerburst beside other flow meters; takes about half an hour, writes docs/benchmarks.md
# make evaluate  judge classes and kinds on captures with known answers; writes its part of docs/classes.md
# make clean   remove everything that these have made
#
# Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Strict: a wheel's view of the package, so that app/ is `peerburst` and nothing else is importable.
INSTALL := PYTHONWARNINGS=ignore $(PIP) install --config-settings editable_mode=strict --editable

CORPUS := ../shared/corpus/traffic
REPLAYED := $(addprefix $(CORPUS)/,skype-login-1.pcap skype-login-2.pcap web-espn.pcapng netflix.pcap kakaotalk-chat.pcap \
  viber-call.pcap whatsapp-login-call.pcap nmap-connect.pcap bittorrent-transfer.pcap)
DEMO := pcaps/hotel-evening.pcapng.zst
SOURCES := $(shell find app analysis capture -name '*.py' -o -name '*.toml' -o -name py.typed | LC_ALL=C sort)
TESTED := $(SOURCES) pyproject.toml $(shell find tests pcaps -type f -not -path '*/__pycache__/*' -not -path '*/.hypothesis/*')

# Stamps, named after the set of source files: an editable install links each file, so it is made anew when one comes or
# goes, not when one changes.
FILES := $(firstword $(shell echo $(SOURCES) | cksum))
FOR_USE := .venv/installed-for-use-$(FILES)
FOR_WORK := .venv/installed-for-work-$(FILES)
PASSED := .venv/tests-passed

.PHONY: setup demo test check accuracy arena bench evaluate clean
.DELETE_ON_ERROR:

setup: $(FOR_WORK)

demo: $(FOR_USE)
	@$(BIN)/peerburst report $(DEMO) -o demo-report

test: $(FOR_WORK)
	@$(run-tests)

check: $(FOR_WORK)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict -p peerburst
	$(BIN)/lint-imports --no-logo --no-cache
	@$(MAKE) --no-print-directory $(PASSED)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest

# Needs root, tshark and the captures beside the project; takes ten minutes.
accuracy: $(FOR_WORK)
	$(BIN)/python -m tests.lab.gateway.accuracy tests/lab/accuracy/results/gateway.json $(REPLAYED)
	$(BIN)/python -m tests.lab.accuracy

# Says which programs it lacks; tests/lab/arena/__init__.py lists them all.
arena: $(FOR_WORK)
	$(BIN)/python -m tests.lab.arena

bench: $(FOR_WORK)
	@$(PIP) install 'dpkt>=1.9' 'nfstream>=6.5'
	$(BIN)/python bench/run.py

# Needs the captures beside the project, those of pcaps/arena, and tshark for the bytes; takes some minutes.
evaluate: $(FOR_WORK)
	$(BIN)/python -m tests.lab.evaluate

clean:
	rm -rf .venv build dist peerburst.egg-info demo-report
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis tests/.hypothesis
	find app analysis capture tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Not run by `make check` again while nothing has changed since `make test` passed.
$(PASSED): $(FOR_WORK) $(TESTED)
	@$(run-tests)

# The stamp carries the time the tests began: a file edited meanwhile is newer.
define run-tests
rm -f $(PASSED); touch $(PASSED).running; \
echo "$(BIN)/python -m pytest"; \
NUMBA_DISABLE_JIT=0 $(BIN)/python -m pytest && mv $(PASSED).running $(PASSED)
endef

$(FOR_WORK): pyproject.toml | $(BIN)/python
	@echo "Installing peerburst and its development tools into .venv"
	@rm -f .venv/installed-for-*
	@$(INSTALL) '.[dev]'
	@touch $(FOR_USE) $@

$(FOR_USE): pyproject.toml | $(BIN)/python
	@echo "Installing peerburst into .venv"
	@rm -f .venv/installed-for-*
	@$(INSTALL) .
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "peerburst needs Python 3.11 or newer, and $(PYTHON) is missing or older;" \
	    "install one and name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "$(PYTHON) cannot make virtual environments; install its venv module" \
	    "(Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
