# Two commands do everything: `make run` and `make test`. `make setup` is their shared first half.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# More than there are cores: several workers wait for recorders that are being examined.
JOBS ?= 4

.PHONY: setup run test soak features lint bench contract clean

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

run: setup
	$(BIN)/onvifd demo --cameras 2 --data data/demo --host 127.0.0.1 --http-port 8080 --https-port 8443 --rtsp-port 8554

test: setup lint
	$(BIN)/python -m tests.run -n $(JOBS) --dist loadgroup --durations 40
	$(MAKE) features

# A million fuzzed inputs and ten thousand connections; ONVIFD_FUZZ_INPUTS takes another number. Then inputs that no run had.
soak: setup
	$(BIN)/python -m pytest -m soak tests
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=search tests

features: setup
	$(BIN)/python -m tests.features

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks

contract: setup
	$(BIN)/python -m onvifd.cli.contract

clean:
	rm -rf $(VENV)
