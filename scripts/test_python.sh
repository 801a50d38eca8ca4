#!/usr/bin/env bash
# Installs the wheel of the Python package into a new environment, and runs pytest there on
# python/tests and python/examples.
#
#   scripts/test_python.sh [--wheel FILE] [--results FILE] [ARGUMENTS OF PYTEST]
#   STRICT=1 scripts/test_python.sh      fails if a tool is missing
#
#   --wheel FILE       tests this wheel. If omitted, builds one with the profile of `cargo build`
#   --results FILE     writes the results as JUnit XML, which scripts/count_tests.py reads
#
# Needs Rust and python3 (3.10 or later) with venv and pip, and network access the first time.
# PYTHON names another Python than python3. Tests that need torch or jax are skipped if it is missing;
# scripts/install_test_tools.sh installs both.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
results=$place/results.xml wheel=
while [ $# -gt 0 ]; do
    case $1 in
        --wheel) wheel=$(realpath "$2"); shift 2 ;;
        --results) results=$(realpath -m "$2"); shift 2 ;;
        -h | --help) sed -n '2,14s/^# \?//p' "$0"; exit ;;
        *) break ;;
    esac
done
python=${PYTHON:-python3}

# cannot REASON: ends the script, because a tool is missing.
cannot() {
    echo "The tests of the Python package did not run: $1." >&2
    cat >"$results" <<XML
<testsuite><testcase file="tests" name="all tests"><skipped message="$1"/></testcase></testsuite>
XML
    [ "${STRICT:-}" != 1 ] || exit 1
    exit 0
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    cannot "the Python package needs Python 3.10 or later"
"$python" -m venv "$place/env" >/dev/null 2>&1 || cannot "python3 has no venv (Debian: python3-venv)"
folders=$(PYTHON=$place/env/bin/python scripts/pytest_env.sh) ||
    cannot "pip cannot install pytest, which needs a network"
if [ -z "$wheel" ]; then
    scripts/python_env.sh >/dev/null || cannot "pip cannot install maturin, which needs a network"
    scripts/python_wheel.sh --dev "$place"
    wheel=$(echo "$place"/*.whl)
fi
# The folders have the requirements of the wheel, so that pip needs no network.
site=$("$place/env/bin/python" -c 'import site; print(site.getsitepackages()[0])')
echo "$folders" >"$site/tests.pth"
"$place/env/bin/pip" install --quiet --no-index "$wheel"

bin=${CARGO_TARGET_DIR:-target}/debug
UCF_BIN=${UCF_BIN:-$(realpath -m "$bin")}
export UCF_BIN PYTHONDONTWRITEBYTECODE=1
repository=$PWD
# Another folder, so that tests import the package from its wheel and not from python/.
cd "$place"
status=0
env/bin/python -m pytest -c "$repository/python/pyproject.toml" --rootdir "$repository/python" -p no:cacheprovider \
    --numprocesses auto --maxprocesses 4 --dist loadfile --timeout 300 -rs \
    -o junit_family=xunit1 --junitxml "$results" "$@" \
    "$repository/python/tests" "$repository/python/examples" || status=$?
exit $status
