"""Texts filled in by Go's own templates, as Argo CD and Argo Events do it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters import process
from model_gitops_local import toolchain

# With the option that the ApplicationSet asks for. Of sprig's functions only those that the Sensor uses:
# https://masterminds.github.io/sprig/
RENDER = """\
package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"text/template"
)

func main() {
	var asked []struct {
		Text   string
		Params map[string]any
	}
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	functions := template.FuncMap{
		"list":       func(items ...any) []any { return items },
		"has":        func(item any, items []any) bool { return slices.Contains(items, item) },
		"trimPrefix": func(prefix, text string) string { return strings.TrimPrefix(text, prefix) },
	}
	made := []string{}
	for _, one := range asked {
		var text strings.Builder
		parsed := template.Must(template.New("").Funcs(functions).Option("missingkey=error").Parse(one.Text))
		if err := parsed.Execute(&text, one.Params); err != nil {
			panic(err)
		}
		made = append(made, text.String())
	}
	_ = json.NewEncoder(os.Stdout).Encode(made)
}
"""


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("render")
    (folder / "main.go").write_text(RENDER, "utf-8")
    words = [toolchain.ensure("go"), "build", "-o", folder / "render", folder / "main.go"]
    process.run(words, env={"GO111MODULE": "off", "GOTOOLCHAIN": "local"}, timeout=300)
    return folder / "render"


def rendered(renderer: Path, texts: list[str], params: dict[str, Any]) -> list[str]:
    asked = json.dumps([{"Text": one, "Params": params} for one in texts])
    return list(json.loads(process.run([renderer], input=asked).stdout))
