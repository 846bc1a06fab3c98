#!/usr/bin/env bash
# ruamel.yaml 0.19.1: the extra `libyaml` installs a C parser, and the safe loader does not use it.
#
# Expected: with the extra, YAML(typ="safe") parses by libyaml, as it does with the older extra.
# Happens: ruamel.yaml.clibz is installed and __with_libyaml__ is True, but the loader stays the pure
# Python one. Only ruamel.yaml.clib (the extra "oldlibyaml") changes it.
# Versions: ruamel.yaml 0.19.1, ruamel.yaml.clibz 0.3.7, ruamel.yaml.clib 0.2.15, Python 3.11.7
# Seen on 2026-11-29:
#   # ruamel.yaml==0.19.1
#   ruamel.yaml 0.19.1 with libyaml: False
#   the safe loader parses by: ruamel.yaml.parser.Parser
#   # ruamel.yaml[libyaml]==0.19.1 ruamel.yaml.clibz==0.3.7
#   ruamel.yaml 0.19.1 with libyaml: True
#   the safe loader parses by: ruamel.yaml.parser.Parser
#   # ruamel.yaml[oldlibyaml]==0.19.1 ruamel.yaml.clib==0.2.15
#   ruamel.yaml 0.19.1 with libyaml: True
#   the safe loader parses by: ruamel.yaml.clib._ruamel_yaml.CParser
set -euo pipefail

stated=$(sed -n 's/^#   //p' "$0") # the lines above, line by line
work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT
unset "${!XDG_@}"
export HOME="${work}" TMPDIR="${work}" LC_ALL=C.UTF-8

cat >"${work}/which.py" <<'PYTHON'
import ruamel.yaml

yaml = ruamel.yaml.YAML(typ="safe")
print("ruamel.yaml", ruamel.yaml.__version__, "with libyaml:", ruamel.yaml.__with_libyaml__)
print("the safe loader parses by:", yaml.Parser.__module__ + "." + yaml.Parser.__name__)
PYTHON
with() { # the packages, in an environment of their own
  timeout 300 python3 -m venv --clear "${work}/venv"
  timeout 900 "${work}/venv/bin/pip" --quiet install --no-cache-dir --disable-pip-version-check "$@" || exit 2
  echo "# $*"
  timeout 120 "${work}/venv/bin/python" "${work}/which.py"
}
{
  with 'ruamel.yaml==0.19.1'
  with 'ruamel.yaml[libyaml]==0.19.1' ruamel.yaml.clibz==0.3.7
  with 'ruamel.yaml[oldlibyaml]==0.19.1' ruamel.yaml.clib==0.2.15
} >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
